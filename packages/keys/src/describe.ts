/** What `osguard keys show` says: every certificate, what it may sign, and what its thief could do. */

import { importPublicKey } from '@osguard/formats/x509';
import type { Certificate } from '@osguard/formats/x509';
import type { Keyring } from './keyring.ts';
import { roleFacts } from './roles.ts';
import type { KeyRole, RoleFacts } from './roles.ts';

export interface KeyDescription {
  readonly role: KeyRole;
  readonly name: string;
  readonly subject: string;
  /** SHA-256 of the certificate, lower-case hex. */
  readonly fingerprint: string;
  /** ISO 8601, UTC. */
  readonly notBefore: string;
  readonly notAfter: string;
  /** For example `RSA-3072`. */
  readonly algorithm: string;
  readonly signs: string;
  readonly trustedBy: string;
  readonly abuse: RoleFacts['abuse'];
  readonly hasPrivateKey: boolean;
}

export function describeKeys(keyring: Keyring): readonly KeyDescription[] {
  return keyring.entries.map(({ role, name, certificate, hasPrivateKey }) => ({
    role,
    name,
    subject: certificate.subjectText,
    fingerprint: certificate.fingerprint,
    notBefore: new Date(certificate.notBefore).toISOString(),
    notAfter: new Date(certificate.notAfter).toISOString(),
    algorithm: keyAlgorithm(certificate),
    signs: roleFacts[role].signs,
    trustedBy: roleFacts[role].trustedBy,
    abuse: roleFacts[role].abuse,
    hasPrivateKey,
  }));
}

function keyAlgorithm(certificate: Certificate): string {
  const { asymmetricKeyDetails } = importPublicKey(certificate);
  const { modulusLength, namedCurve } = asymmetricKeyDetails ?? {};
  return modulusLength === undefined ? `EC ${namedCurve ?? '?'}` : `RSA-${modulusLength}`;
}
