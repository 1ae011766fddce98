/** The keys of the suite: public on purpose, good for nothing else. */

import { createPrivateKey, createPublicKey, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { derBitString, derBoolean, derInteger, derOid, derSequence, derTime } from '@osguard/formats/der';
import {
  extensionOids,
  parseCertificate,
  parseRevocationList,
  planCertificate,
  signatureOids,
} from '@osguard/formats/x509';
import type { Certificate, RevocationList } from '@osguard/formats/x509';
import pems from './keys.json' with { type: 'json' };

export type KeyName = keyof typeof pems;

const privateKeys = new Map<KeyName, KeyObject>();

export function privateKey(name: KeyName): KeyObject {
  const known = privateKeys.get(name) ?? createPrivateKey(pems[name]);
  privateKeys.set(name, known);
  return known;
}

export function publicKey(name: KeyName): KeyObject {
  return createPublicKey(privateKey(name));
}

/** SubjectPublicKeyInfo, DER. */
export function spki(name: KeyName): Uint8Array {
  return new Uint8Array(publicKey(name).export({ format: 'der', type: 'spki' }));
}

export interface CertificateSpec {
  readonly name: string;
  readonly key: KeyName;
  /** Default: itself. */
  readonly issuer?: { readonly certificate: Certificate; readonly key: KeyName };
  readonly notBefore?: string;
  readonly notAfter?: string;
  readonly authority?: boolean;
  /** Of basic constraints. */
  readonly pathLength?: number;
  /** The first octet of the key usage bits. */
  readonly keyUsage?: number;
  readonly extendedKeyUsage?: string;
}

export const keyUsageBits = {
  digitalSignature: 0x80,
  keyEncipherment: 0x20,
  keyAgreement: 0x08,
  keyCertSign: 0x04,
  cRLSign: 0x02,
} as const;

export function makeCertificate(spec: CertificateSpec): Certificate {
  const { authority = false, pathLength, keyUsage, extendedKeyUsage, issuer } = spec;
  const constraints = authority
    ? derSequence(derBoolean(true), ...(pathLength === undefined ? [] : [derInteger(pathLength)]))
    : derSequence();
  const plan = planCertificate({
    commonName: spec.name,
    ...(issuer !== undefined && { issuer: { name: issuer.certificate.subject, keyKind: 'ec' } }),
    serial: Uint8Array.of(1, spec.name.length),
    notBefore: Date.parse(spec.notBefore ?? '2026-01-01T00:00:00Z'),
    notAfter: Date.parse(spec.notAfter ?? '2056-01-01T00:00:00Z'),
    publicKey: spki(spec.key),
    keyKind: 'ec',
    digestAlgorithm: 'sha256',
    extensions: [
      { oid: extensionOids.basicConstraints, critical: true, value: constraints },
      ...(keyUsage === undefined
        ? []
        : [
            {
              oid: extensionOids.keyUsage,
              critical: true,
              value: Uint8Array.of(3, 2, trailingZeros(keyUsage), keyUsage),
            },
          ]),
      ...(extendedKeyUsage === undefined
        ? []
        : [
            {
              oid: extensionOids.extendedKeyUsage,
              critical: false,
              value: derSequence(derOid(extendedKeyUsage)),
            },
          ]),
    ],
  });
  return parseCertificate(plan.finish(sign('sha256', plan.toSign, privateKey(issuer?.key ?? spec.key))));
}

export interface RevocationListSpec {
  readonly issuer: { readonly certificate: Certificate; readonly key: KeyName };
  readonly revoked?: readonly Certificate[];
  readonly thisUpdate?: string;
  readonly nextUpdate?: string;
}

export function makeRevocationList(spec: RevocationListSpec): RevocationList {
  const { issuer, revoked = [] } = spec;
  const thisUpdate = derTime(Date.parse(spec.thisUpdate ?? '2026-11-20T00:00:00Z'));
  const nextUpdate = derTime(Date.parse(spec.nextUpdate ?? '2026-12-20T00:00:00Z'));
  const algorithm = derSequence(derOid(signatureOids.ec.sha256));
  const entries = revoked.map(({ serial }) => derSequence(derInteger(serial), thisUpdate));
  const tbs = derSequence(
    derInteger(1),
    algorithm,
    issuer.certificate.subject,
    thisUpdate,
    nextUpdate,
    ...(entries.length === 0 ? [] : [derSequence(...entries)]),
  );
  const signature = sign('sha256', tbs, privateKey(issuer.key));
  return parseRevocationList(derSequence(tbs, algorithm, derBitString(signature)));
}

function trailingZeros(octet: number): number {
  return octet === 0 ? 0 : 31 - Math.clz32(octet & -octet);
}
