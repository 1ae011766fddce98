/** The two signatures the kernel checks: a volume's root hash and an IPE policy. */

import { planIpePolicySignature, planRootHashSignature } from '@osguard/formats/cms';
import { assertRole } from './roles.ts';
import { completePlan } from './signer.ts';
import type { Signer } from './signer.ts';

/** Detached PKCS #7 over the lower-case hex root hash. @throws KeysError unless the role is usr or layers. */
export async function signRootHash(signer: Signer, rootHash: string): Promise<Uint8Array<ArrayBuffer>> {
  assertRole(signer, { roles: ['usr', 'layers'], what: 'a root hash' });
  return completePlan(signer, planRootHashSignature(signer.certificate, rootHash));
}

/** PKCS #7 with the policy inside. @throws KeysError unless the role is boot. */
export async function signIpePolicy(
  signer: Signer,
  policy: string | Uint8Array,
): Promise<Uint8Array<ArrayBuffer>> {
  assertRole(signer, { roles: ['boot'], what: 'an IPE policy' });
  const bytes = typeof policy === 'string' ? Buffer.from(policy, 'utf8') : policy;
  return completePlan(signer, planIpePolicySignature(signer.certificate, bytes));
}
