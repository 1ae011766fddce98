/** Authenticode signatures of boot images. */

import type { ByteSource } from '@osguard/formats/bytes';
import { planPeSignature } from '@osguard/formats/pe';
import { assertRole } from './roles.ts';
import { completePlan } from './signer.ts';
import type { Signer } from './signer.ts';

/**
 * The image with one more signature. The result reads from `image`, which must stay readable.
 * @throws KeysError unless the role is boot; FormatError when `image` is no PE image that can be signed.
 */
export async function signPe(signer: Signer, image: ByteSource): Promise<ByteSource> {
  assertRole(signer, { roles: ['boot'], what: 'a boot image' });
  return completePlan(signer, planPeSignature(image, signer.certificate));
}
