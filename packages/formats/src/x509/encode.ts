/** Building certificates (RFC 5280 section 4.1) around any signer: first what to sign, then the whole. */

import { FormatError } from '../bytes/index.ts';
import {
  derBitString,
  derBoolean,
  derContext,
  derInteger,
  derNull,
  derOctetString,
  derOid,
  derSequence,
  derTime,
} from '../der/index.ts';
import { signatureOids } from './oids.ts';
import type { DigestAlgorithm, KeyKind } from './oids.ts';
import { encodeCommonName } from './name.ts';

export interface CertificateRequest {
  readonly commonName: string;
  /** Unsigned big-endian, 1 to 20 bytes, not zero (RFC 5280 section 4.1.2.2). */
  readonly serial: Uint8Array;
  /** Milliseconds since 1970; stored in whole seconds. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array;
  readonly keyKind: KeyKind;
  /** Of the certificate's own signature. */
  readonly digestAlgorithm: DigestAlgorithm;
  /** Who signs; the certificate's own key unless told otherwise. */
  readonly issuer?: CertificateIssuer;
  readonly extensions: readonly {
    readonly oid: string;
    readonly critical: boolean;
    readonly value: Uint8Array;
  }[];
}

export interface CertificateIssuer {
  /** Subject name of the issuer's certificate, DER. */
  readonly name: Uint8Array;
  readonly keyKind: KeyKind;
}

export interface CertificatePlan {
  /** What the issuer's key signs with `digestAlgorithm`. */
  readonly toSign: Uint8Array;
  /** RSA: PKCS #1 v1.5; elliptic: the DER sequence of r and s. */
  finish(signature: Uint8Array): Uint8Array<ArrayBuffer>;
}

/** A certificate; self-issued, so that subject and issuer are one, unless the request names an issuer. */
export function planCertificate(request: CertificateRequest): CertificatePlan {
  const { serial } = request;
  if (serial.length === 0 || serial.length > 20 || serial.every((octet) => octet === 0)) {
    throw new FormatError('not-encodable', `serial number: 1 to 20 bytes and not zero, got ${serial.length}`);
  }
  if (serial.length === 20 && (serial[0] ?? 0) >= 0x80) {
    throw new FormatError('not-encodable', 'serial number: more than 20 octets when encoded as positive');
  }
  const name = encodeCommonName(request.commonName);
  const issuer = request.issuer ?? { name, keyKind: request.keyKind };
  const algorithm = signatureAlgorithm(issuer.keyKind, request.digestAlgorithm);
  const extensions = request.extensions.map(({ oid, critical, value }) =>
    critical
      ? derSequence(derOid(oid), derBoolean(true), derOctetString(value))
      : derSequence(derOid(oid), derOctetString(value)),
  );
  const toSign = derSequence(
    derContext(0, derInteger(2)),
    derInteger(serial),
    algorithm,
    issuer.name,
    derSequence(derTime(request.notBefore), derTime(request.notAfter)),
    name,
    request.publicKey,
    derContext(3, derSequence(...extensions)),
  );
  return { toSign, finish: (signature) => derSequence(toSign, algorithm, derBitString(signature)) };
}

/** RFC 8017 wants NULL parameters for RSA, RFC 5758 none for ECDSA. */
export function signatureAlgorithm(key: KeyKind, digest: DigestAlgorithm): Uint8Array<ArrayBuffer> {
  const oid = derOid(signatureOids[key][digest]);
  return key === 'rsa' ? derSequence(oid, derNull()) : derSequence(oid);
}

/** Bits of KeyUsage (RFC 5280 section 4.2.1.3) that role certificates use. */
export const keyUsageDigitalSignature = 0x80;
/** keyCertSign and cRLSign. */
export const keyUsageAuthority = 0x06;

export const extensionOids = {
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
} as const;

export const serverAuthentication = '1.3.6.1.5.5.7.3.1';
export const clientAuthentication = '1.3.6.1.5.5.7.3.2';
export const codeSigning = '1.3.6.1.5.5.7.3.3';
