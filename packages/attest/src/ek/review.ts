/** Whether a node that enrolled before would still be let in, as far as its endorsement key goes. */

import type { Certificate } from '@osguard/formats/x509';
import { FormatError } from '@osguard/formats/bytes';
import { parseCertificate, validatePath } from '@osguard/formats/x509';
import { parseEkCertificate } from '@osguard/formats/tpm2';
import type { Policy } from '../policy/types.ts';
import { understoodExtensions } from './judge.ts';
import { revocationProblem } from './revocation.ts';
import type { EnrolmentCheckId } from './types.ts';

export interface EnrolledEndorsement {
  readonly node: string;
  /** DER, leaf first. */
  readonly ekCertificates: readonly Uint8Array[];
  /** An operator let it in. */
  readonly approved: boolean;
  /** Milliseconds since 1970. */
  readonly enrolled: number;
}

/**
 * The check it would fail, or undefined. A certificate that has expired since it enrolled, and a revocation list that is
 * too old, keep new nodes out; they do not take a running fleet down.
 */
export function endorsementProblem(
  { node, ekCertificates, approved, enrolled }: EnrolledEndorsement,
  { trust }: Pick<Policy, 'trust'>,
  now: number,
): EnrolmentCheckId | undefined {
  if (approved || trust.endorsementKeys.has(node)) return undefined;
  const [leaf, ...others] = ekCertificates;
  if (leaf === undefined) return 'ek-certificate';
  try {
    const path = validatePath(parseEkCertificate(leaf).certificate, {
      anchors: trust.endorsementRoots,
      others: [...others.map((der): Certificate => parseCertificate(der)), ...trust.endorsementIntermediates],
      now: enrolled,
      understood: understoodExtensions,
    });
    if (!path.ok) return 'ek-certificate-path';
    const revocation = revocationProblem(path.path, trust.revocation, now);
    return revocation?.problem === 'revoked' ? 'ek-certificate-revocation' : undefined;
  } catch (error) {
    if (error instanceof FormatError) return 'ek-certificate';
    throw error;
  }
}
