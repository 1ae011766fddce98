/** A release as reference for verdicts: its signed manifest and its expected measurements. */

import type { ReleaseManifest } from '@osguard/formats/release';
import type { ReleaseState } from '../policy/types.ts';

export interface ReferenceRelease {
  /** SHA-256 of the signed manifest's payload, lower-case hex: what promotion and revocation name. */
  readonly id: string;
  readonly manifest: ReleaseManifest;
  /** Parsed and indexed once; see `openReferenceRelease`. */
  readonly values: ReferenceValues;
  readonly state: ReleaseState;
  readonly from?: number | undefined;
  readonly until?: number | undefined;
}

/** Opaque here: what @osguard/formats/reference-values parses. */
export type ReferenceValues = unknown;
