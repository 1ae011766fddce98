/**
 * A TPM in software, as far as quotes go: it signs whatever it is told, which a TPM never would. That is what makes it
 * possible to break one rule at a time. Structures: TPM 2.0 Library Part 2.
 */

import { sign } from 'node:crypto';
import { fromHex } from '@osguard/formats/bytes';
import {
  akTemplateP256,
  ekTemplateRsa2048,
  encodeAttest,
  encodePublicArea,
  encodeTpmSignature,
  handleName,
  keyFieldsOf,
  pcrSelectionDigest,
  qualifiedName,
  tpmHandle,
} from '@osguard/formats/tpm2';
import type { ClockInfo, PcrSelection, TpmPublic, TpmSignature } from '@osguard/formats/tpm2';
import { privateKey, publicKey } from './keys.ts';
import type { KeyName } from './keys.ts';

/** The public area of a P-256 key with the template of the attestation key. */
export function attestationKeyArea(key: KeyName, changes: Partial<TpmPublic['attributes']> = {}): TpmPublic {
  const fields = keyFieldsOf(publicKey(key));
  if (fields.type !== 'ecc') throw new TypeError(`${key} is no ECC key`);
  return { ...akTemplateP256, ...fields, attributes: { ...akTemplateP256.attributes, ...changes } };
}

export function endorsementKeyArea(key: KeyName): TpmPublic {
  const fields = keyFieldsOf(publicKey(key));
  if (fields.type !== 'rsa') throw new TypeError(`${key} is no RSA key`);
  return { ...ekTemplateRsa2048, modulus: fields.modulus };
}

export interface QuoteRequest {
  readonly area: TpmPublic;
  readonly selections: readonly PcrSelection[];
  /** Of the bank SHA-256, lower-case hex. */
  readonly values: ReadonlyMap<number, string>;
  readonly extraData: Uint8Array;
  readonly clockInfo: ClockInfo;
  /** Parent of the key: TPM_RH_OWNER unless told otherwise. */
  readonly hierarchy?: number;
}

export function makeQuote(request: QuoteRequest): Uint8Array {
  const { area, selections, values, extraData, clockInfo, hierarchy = tpmHandle.owner } = request;
  const sha256 = new Map(
    Array.from({ length: 24 }, (_, pcr) => [pcr, fromHex(values.get(pcr) ?? '00'.repeat(32))]),
  );
  const other = new Map(Array.from({ length: 24 }, (_, pcr) => [pcr, new Uint8Array(48)]));
  return encodeAttest({
    type: 'quote',
    qualifiedSigner: qualifiedName(handleName(hierarchy), area),
    extraData,
    clockInfo,
    firmwareVersion: 0x2023_0517_0000_0001n,
    pcrSelections: selections,
    pcrDigest: pcrSelectionDigest(selections, { sha256, sha384: other }, 'sha256'),
  });
}

export function signQuote(quote: Uint8Array, key: KeyName): TpmSignature {
  const both = sign('sha256', quote, { key: privateKey(key), dsaEncoding: 'ieee-p1363' });
  return { scheme: 'ecdsa', hash: 'sha256', r: both.subarray(0, 32), s: both.subarray(32) };
}

export { encodePublicArea, encodeTpmSignature };
