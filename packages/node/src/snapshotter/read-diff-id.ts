/**
 * Which layer a verity image is: docs/layer-format.md puts the diff ID into UUID and volume name of the EROFS
 * superblock, so that the signed root hash covers it.
 */

import { SnapshotterError } from './error.ts';

/** fs/erofs/erofs_fs.h: the superblock's place, its magic, and the 32 bytes of `uuid` and `volume_name` in it. */
const superblockOffset = 1024;
const magic = 0xe0f5e1e2;
const uuidOffset = superblockOffset + 48;
const diffIdLength = 32;

/** @param start of the image, at least its first 4096 bytes. @returns `sha256:…`. @throws SnapshotterError `layer-mismatch`. */
export function readDiffId(start: Uint8Array): string {
  const view = new DataView(start.buffer, start.byteOffset, start.byteLength);
  if (start.length < 4096 || view.getUint32(superblockOffset, true) !== magic) {
    throw new SnapshotterError('layer-mismatch', 'the image of the layer is not an EROFS file system');
  }
  return `sha256:${start.subarray(uuidOffset, uuidOffset + diffIdLength).toHex()}`;
}
