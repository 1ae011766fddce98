/** reference-values.json of a release: its boot image and the certificates a machine for it is given. */

import { join } from 'node:path';
import type { ByteSource } from '@osguard/formats/bytes';
import type { ReferenceValues } from '@osguard/formats/reference-values';
import { encodeReferenceValues } from '@osguard/formats/reference-values';
import type { Certificate } from '@osguard/formats/x509';
import type { Keyring } from '@osguard/keys';
import { secureBootKeys } from '@osguard/keys';
import { openFileSource } from '../files/source.ts';
import { writeWhole } from '../files/write.ts';
import { databaseRoles } from '../release/folder.ts';
import { predictMeasurements } from './predict.ts';

/** In the release folder. */
export const referenceValuesName = 'reference-values.json';

export interface ReleaseMeasurementOptions {
  readonly name: string;
  readonly version: string;
  /** Of the kernel package: decides which certificates db must hold. */
  readonly kernel: string;
  /** Signed. */
  readonly uki: ByteSource;
  /** Its Authenticode digest (SHA-256) in lower-case hex, when the caller has it. */
  readonly ukiDigest?: string;
  /** The certificate whose key signed it. */
  readonly bootCertificate: Certificate;
  /** Certificates are enough. */
  readonly keyring: Keyring;
}

/** @throws KeysError when a certificate that the firmware needs is not there; FormatError, ImageError */
export function releaseMeasurements(options: ReleaseMeasurementOptions): ReferenceValues {
  const { name, version, uki, ukiDigest, keyring } = options;
  const keys = secureBootKeys(keyring, { db: databaseRoles(options.kernel) });
  return predictMeasurements({
    name,
    version,
    uki,
    ...(ukiDigest !== undefined && { ukiDigest }),
    secureBoot: { keys, authority: options.bootCertificate.der },
  });
}

/** Writes the file into the release folder in which uki.efi lies. */
export async function writeReferenceValues(
  folder: string,
  options: Omit<ReleaseMeasurementOptions, 'uki' | 'ukiDigest'>,
): Promise<void> {
  using uki = openFileSource(join(folder, 'uki.efi'));
  const values = releaseMeasurements({ ...options, uki });
  await writeWhole(join(folder, referenceValuesName), encodeReferenceValues(values));
}
