/** What is fixed in version 1 of the layer format: docs/layer-format.md. */

/** Of the file system, of data blocks and of hash blocks. Bytes. */
export const layerBlockSize = 4096;

/** The same for all layers: the tree has to grow while the archive is read, when nothing is known of it. */
export const layerSalt: Uint8Array = new Uint8Array(32);

/** UUID of both superblocks: the first 16 bytes of the diff ID, marked as derived (RFC 9562, version 8). */
export function derivedUuid(diffId: Uint8Array): Uint8Array {
  const uuid = Uint8Array.from(diffId.subarray(0, 16));
  uuid[6] = ((uuid[6] ?? 0) & 0x0f) | 0x80;
  uuid[8] = ((uuid[8] ?? 0) & 0x3f) | 0x80;
  return uuid;
}
