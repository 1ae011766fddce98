/** A release as reference for verdicts: its signed manifest and its expected measurements. */

import type { ReferenceValues } from '@osguard/formats/reference-values';
import type { ReleaseManifest } from '@osguard/formats/release';
import type { ReleaseState } from '../policy/types.ts';

export interface ReferenceRelease {
  /** SHA-256 of the signed manifest's payload, lower-case hex: what promotion and revocation name. */
  readonly id: string;
  readonly manifest: ReleaseManifest;
  readonly values: ReferenceValues;
  readonly state: ReleaseState;
  /** Milliseconds since 1970; not accepted before. */
  readonly from?: number | undefined;
  /** Not accepted from then on. */
  readonly until?: number | undefined;
}
