/** Certificates of roles: self-signed, end entity, digitalSignature only. */

import { createHash } from 'node:crypto';
import { derBitString, derElement, derOctetString, derOid, derSequence } from '@osguard/formats/der';
import { codeSigning, extensionOids, keyUsageDigitalSignature } from '@osguard/formats/x509';
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

export function roleCertificateRequest(role: KeyRole, options: RoleCertificateOptions): CertificateRequest {
  // RFC 7093 section 2 method 1: the leftmost 160 bits of the SHA-256 of the key.
  const keyIdentifier = createHash('sha256').update(options.publicKey).digest().subarray(0, 20);
  const extensions: CertificateRequest['extensions'][number][] = [
    { oid: extensionOids.basicConstraints, critical: true, value: derSequence() },
    {
      oid: extensionOids.keyUsage,
      critical: true,
      value: derBitString(Uint8Array.of(keyUsageDigitalSignature), 7),
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
