/** The interface of everything that can sign: a key file today, PKCS #11 and cloud KMS behind the same one. */

import type { Certificate, DigestAlgorithm } from '@osguard/formats/x509';
import type { KeyRole } from './roles.ts';

/**
 * A private key one cannot see. Implementations keep it out of errors, JSON, `toString` and inspection, and
 * pass the contract suite in this room's tests.
 */
export interface Signer {
  readonly role: KeyRole;
  readonly certificate: Certificate;
  /**
   * Hashes `data` with `digestAlgorithm` and signs: RSA PKCS #1 v1.5, or ECDSA as the DER sequence of r and s.
   * @throws KeysError `signing-failed`
   */
  sign(digestAlgorithm: DigestAlgorithm, data: Uint8Array): Promise<Uint8Array>;
}

/** What `@osguard/formats/cms`, `/pe` and `/efi` plan: what to sign, and how the signature makes it whole. */
export interface SignaturePlan<Signed> {
  readonly digestAlgorithm: DigestAlgorithm;
  readonly toSign: Uint8Array;
  finish(signature: Uint8Array): Signed;
}

export async function completePlan<Signed>(signer: Signer, plan: SignaturePlan<Signed>): Promise<Signed> {
  return plan.finish(await signer.sign(plan.digestAlgorithm, plan.toSign));
}
