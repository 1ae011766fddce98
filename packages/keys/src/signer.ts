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

/** A signature in two steps, as `@osguard/formats/cms` and `/x509` plan them, in one. */
export async function completePlan(
  signer: Signer,
  plan: {
    readonly digestAlgorithm: DigestAlgorithm;
    readonly toSign: Uint8Array;
    finish(signature: Uint8Array): Uint8Array<ArrayBuffer>;
  },
): Promise<Uint8Array<ArrayBuffer>> {
  return plan.finish(await signer.sign(plan.digestAlgorithm, plan.toSign));
}
