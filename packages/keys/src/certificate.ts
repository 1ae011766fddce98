/** Certificates of roles: self-signed; end entity with digitalSignature only, or an authority over end entities. */

import { createHash } from 'node:crypto';
import {
  derBitString,
  derBoolean,
  derElement,
  derInteger,
  derOctetString,
  derOid,
  derSequence,
} from '@osguard/formats/der';
import {
  codeSigning,
  extensionOids,
  keyUsageAuthority,
  keyUsageDigitalSignature,
} from '@osguard/formats/x509';
import type { CertificateRequest } from '@osguard/formats/x509';
import { roleFacts } from './roles.ts';
import type { KeyRole } from './roles.ts';

export interface RoleCertificateOptions {
  /** Before the role in the common name. */
  readonly name: string;
  readonly serial: Uint8Array;
  /** Milliseconds since 1970. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** SubjectPublicKeyInfo of an RSA key, DER. */
  readonly publicKey: Uint8Array;
}

/** RFC 7093 section 2 method 1: the leftmost 160 bits of the SHA-256 of the key. */
export function keyIdentifierOf(publicKey: Uint8Array): Uint8Array {
  return createHash('sha256').update(publicKey).digest().subarray(0, 20);
}

export function roleCertificateRequest(role: KeyRole, options: RoleCertificateOptions): CertificateRequest {
  const keyIdentifier = keyIdentifierOf(options.publicKey);
  const authority = roleFacts[role].authority === true;
  const extensions: CertificateRequest['extensions'][number][] = [
    {
      oid: extensionOids.basicConstraints,
      critical: true,
      // pathLenConstraint 0: no further authority below.
      value: authority ? derSequence(derBoolean(true), derInteger(0)) : derSequence(),
    },
    {
      oid: extensionOids.keyUsage,
      critical: true,
      value: authority
        ? derBitString(Uint8Array.of(keyUsageAuthority), 1)
        : derBitString(Uint8Array.of(keyUsageDigitalSignature), 7),
    },
    { oid: extensionOids.subjectKeyIdentifier, critical: false, value: derOctetString(keyIdentifier) },
    {
      oid: extensionOids.authorityKeyIdentifier,
      critical: false,
      value: derSequence(derElement(0x80, keyIdentifier)),
    },
  ];
  if (roleFacts[role].codeSigning) {
    const value = derSequence(derOid(codeSigning));
    extensions.push({ oid: extensionOids.extendedKeyUsage, critical: false, value });
  }
  return {
    commonName: `${options.name} ${role}`,
    serial: options.serial,
    notBefore: options.notBefore,
    notAfter: options.notAfter,
    publicKey: options.publicKey,
    keyKind: 'rsa',
    digestAlgorithm: 'sha256',
    extensions,
  };
}
