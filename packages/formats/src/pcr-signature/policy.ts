/**
 * Which policy a signature stands for: TPM2_PolicyPCR over the values of one bank in a SHA-256 policy session (TPM 2.0
 * Part 3, section 23.7). systemd then signs that digest with the *bank's* hash, so in the bank sha512 an RSA signature
 * covers SHA-512 of a SHA-256 policy digest.
 */

import type { KeyObject } from 'node:crypto';
import { createPublicKey, hash, verify } from 'node:crypto';
import { FormatError, fromHex, toHex } from '../bytes/index.ts';
import { pcrSelectionDigest, policyPcrDigest } from '../tpm2/index.ts';
import type { PcrSignature, PcrSignatureBank } from './types.ts';

/** PCR → value, lower-case hex. */
export type PcrValues = ReadonlyMap<number, string>;

/** Lower-case hex, 32 bytes. */
export function pcrPolicy(bank: PcrSignatureBank, values: PcrValues): string {
  const pcrs = [...values.keys()].sort((a, b) => a - b);
  const bytes = new Map([...values].map(([pcr, value]) => [pcr, fromHex(value, `PCR ${pcr}`)]));
  const selections = [{ bank, pcrs }];
  const digest = pcrSelectionDigest(selections, { [bank]: bytes }, 'sha256');
  return toHex(policyPcrDigest(selections, digest, { hash: 'sha256' }));
}

/** As systemd writes it into `pkfp`. @throws FormatError for keys that are neither RSA nor elliptic */
export function pcrKeyFingerprint(key: KeyObject): string {
  if (key.asymmetricKeyType === 'rsa') {
    return hash('sha256', key.export({ type: 'pkcs1', format: 'der' }), 'hex');
  }
  if (key.asymmetricKeyType === 'ec') {
    const { x = '', y = '' } = key.export({ format: 'jwk' });
    const point = [Buffer.of(4), Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')];
    return hash('sha256', Buffer.concat(point), 'hex');
  }
  throw new FormatError('unsupported', `PCR signatures by ${key.asymmetricKeyType ?? 'unknown'} keys`);
}

export interface PcrSignatureInput {
  readonly bank: PcrSignatureBank;
  readonly values: PcrValues;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array;
}

export interface PcrSignaturePlan {
  readonly digestAlgorithm: PcrSignatureBank;
  /** The policy digest. */
  readonly toSign: Uint8Array;
  finish(signature: Uint8Array): PcrSignature;
}

export function planPcrSignature({ bank, values, publicKey }: PcrSignatureInput): PcrSignaturePlan {
  const policy = pcrPolicy(bank, values);
  const pcrs = [...values.keys()].sort((a, b) => a - b);
  const keyFingerprint = pcrKeyFingerprint(importKey(publicKey));
  return {
    digestAlgorithm: bank,
    toSign: fromHex(policy),
    finish: (signature) => ({ pcrs, keyFingerprint, policy, signature }),
  };
}

/** What of a signature holds; all must. */
export interface PcrSignatureVerdict {
  /** Made by this key. */
  readonly key: boolean;
  /** For these PCR values. */
  readonly policy: boolean;
  readonly signature: boolean;
}

/** @throws FormatError when `publicKey` is none, or a value does not fit the bank */
export function verifyPcrSignature(
  { pcrs, keyFingerprint, policy, signature }: PcrSignature,
  { bank, values, publicKey }: PcrSignatureInput,
): PcrSignatureVerdict {
  const key = importKey(publicKey);
  const selected = new Map(
    pcrs.flatMap((pcr) => {
      const value = values.get(pcr);
      return value === undefined ? [] : [[pcr, value] as const];
    }),
  );
  return {
    key: pcrKeyFingerprint(key) === keyFingerprint,
    policy: selected.size === pcrs.length && pcrPolicy(bank, selected) === policy,
    signature: verify(bank, fromHex(policy), key, signature),
  };
}

function importKey(spki: Uint8Array): KeyObject {
  try {
    return createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
  } catch (cause) {
    throw new FormatError('malformed', 'no SubjectPublicKeyInfo', { cause });
  }
}
