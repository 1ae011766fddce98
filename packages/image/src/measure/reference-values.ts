/** reference-values.json of a release: its boot image and the certificates a machine for it is given. */

import type { ByteSource } from '@osguard/formats/bytes';
import type { ReferenceValues } from '@osguard/formats/reference-values';
import type { Certificate } from '@osguard/formats/x509';
import type { Keyring } from '@osguard/keys';
import { secureBootKeys } from '@osguard/keys';
import { databaseRoles } from '../release/folder.ts';
import { predictMeasurements } from './predict.ts';

export interface ReleaseMeasurementOptions {
  readonly name: string;
  readonly version: string;
  /** Of the kernel package: decides which certificates db must hold. */
  readonly kernel: string;
  /** Signed. */
  readonly uki: ByteSource;
  /** The certificate whose key signed it. */
  readonly bootCertificate: Certificate;
  /** Certificates are enough. */
  readonly keyring: Keyring;
}

/** Of this name in the release folder. */
export const referenceValuesName = 'reference-values.json';

/** @throws KeysError when a certificate that the firmware needs is not there; FormatError, ImageError */
export function releaseMeasurements(options: ReleaseMeasurementOptions): ReferenceValues {
  const { name, version, uki, keyring } = options;
  const keys = secureBootKeys(keyring, { db: databaseRoles(options.kernel) });
  return predictMeasurements({
    name,
    version,
    uki,
    secureBoot: { keys, authority: options.bootCertificate.der },
  });
}
