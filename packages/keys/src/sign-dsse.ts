/** DSSE envelopes around release manifests, SBOM and provenance statements. */

import { planDsse } from '@osguard/formats/dsse';
import type { DsseContent } from '@osguard/formats/dsse';
import { assertRole } from './roles.ts';
import { completePlan } from './signer.ts';
import type { Signer } from './signer.ts';

/** The envelope as JSON; its key ID is the fingerprint of the certificate. @throws KeysError unless the role is release. */
export async function signDsse(
  signer: Signer,
  content: Pick<DsseContent, 'payloadType' | 'payload'>,
): Promise<Uint8Array<ArrayBuffer>> {
  assertRole(signer, { roles: ['release'], what: 'a release statement' });
  const { payloadType, payload } = content;
  return completePlan(signer, planDsse({ payloadType, payload, keyid: signer.certificate.fingerprint }));
}
