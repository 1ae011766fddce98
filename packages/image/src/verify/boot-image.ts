/** The boot image of a disk, whose signatures several checks ask for and which is hashed once. */

import type { ByteSource } from '@osguard/formats/bytes';
import type { PeVerification } from '@osguard/formats/pe';
import { verifyPe } from '@osguard/formats/pe';
import type { Keyring } from '@osguard/keys';

export interface BootImage {
  readonly source: ByteSource;
  /** Against the certificates of the role boot. @throws FormatError when it is no PE image. */
  verification(): PeVerification;
}

export function openBootImage(source: ByteSource, trust: Keyring): BootImage {
  let made: PeVerification | undefined;
  return {
    source,
    verification: () => (made ??= verifyPe(source, { trusted: trust.certificates('boot') })),
  };
}
