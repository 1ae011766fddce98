/** Signed PCR policies: secrets sealed to the key of the role measure open on every machine that booted what it signed. */

import type { PcrSignature, PcrValues } from '@osguard/formats/pcr-signature';
import { planPcrSignature } from '@osguard/formats/pcr-signature';
import type { DigestAlgorithm } from '@osguard/formats/x509';
import { assertRole } from './roles.ts';
import type { Signer } from './signer.ts';

export interface SignPcrPolicyOptions {
  readonly bank: DigestAlgorithm;
  /** PCR → value, lower-case hex. */
  readonly values: PcrValues;
}

/** @throws KeysError unless the role is measure */
export async function signPcrPolicy(
  signer: Signer,
  { bank, values }: SignPcrPolicyOptions,
): Promise<PcrSignature> {
  assertRole(signer, { roles: ['measure'], what: 'a PCR policy' });
  const plan = planPcrSignature({ bank, values, publicKey: signer.certificate.publicKey });
  return plan.finish(await signer.sign(bank, plan.toSign));
}
