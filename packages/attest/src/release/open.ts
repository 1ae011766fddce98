/** From the two files of a release to what verdicts are measured against; nothing is taken that the role release did not sign. */

import { hash } from 'node:crypto';
import { FormatError } from '@osguard/formats/bytes';
import { certificateDsseKey, parseDsse, verifyDsse } from '@osguard/formats/dsse';
import { parseReferenceValues } from '@osguard/formats/reference-values';
import { parseRelease, releasePayloadType } from '@osguard/formats/release';
import type { Certificate } from '@osguard/formats/x509';
import { AttestError } from '../error.ts';
import type { ReleaseState } from '../policy/types.ts';
import type { ReferenceRelease } from './types.ts';

export const manifestFile = 'release.json';
export const referenceValuesFile = 'reference-values.json';

export interface ReleaseFiles {
  /** release.json, a DSSE envelope. */
  readonly manifest: Uint8Array;
  /** reference-values.json. */
  readonly referenceValues: Uint8Array;
}

export interface OpenReferenceOptions {
  /** Whose signatures count; one is enough. */
  readonly trust: readonly Certificate[];
  readonly state: ReleaseState;
  /** Milliseconds since 1970. */
  readonly from?: number | undefined;
  readonly until?: number | undefined;
}

/** @throws AttestError (`release`) when the manifest is not signed by a trusted key, or does not name these reference values. */
export function openReferenceRelease(files: ReleaseFiles, options: OpenReferenceOptions): ReferenceRelease {
  const { trust, state, from, until } = options;
  try {
    const envelope = parseDsse(files.manifest);
    const { signedBy } = verifyDsse(envelope, trust.map(certificateDsseKey));
    if (envelope.payloadType !== releasePayloadType || signedBy.length === 0) {
      throw new AttestError('release', `${manifestFile} is not signed by anyone the policy trusts`, {
        hint: 'trust.release of the policy names the certificates of those who sign releases',
      });
    }
    const manifest = parseRelease(envelope.payload);
    const listed = manifest.files.find(({ path }) => path === referenceValuesFile);
    const named = listed !== undefined && 'sha256' in listed ? listed.sha256 : undefined;
    const digest = hash('sha256', files.referenceValues, 'hex');
    if (named !== digest) {
      const found = named === undefined ? 'which names none' : `which names ${named}`;
      throw new AttestError(
        'release',
        `${referenceValuesFile} (${digest}) is not the one of ${manifestFile}, ${found}`,
      );
    }
    const values = parseReferenceValues(files.referenceValues);
    if (values.name !== manifest.name || values.version !== manifest.version || values.bank !== 'sha256') {
      throw new AttestError(
        'release',
        `${referenceValuesFile} is for ${values.name} ${values.version} (${values.bank}), not for ${manifest.name} ${manifest.version} (sha256)`,
      );
    }
    const id = hash('sha256', envelope.payload, 'hex');
    return { id, manifest, values, state, from, until };
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    throw new AttestError('release', cause.message, { cause });
  }
}
