/**
 * The layer header: what an image is an image of, in the first 1,024 bytes, which EROFS leaves to boot loaders.
 * It lies in block 0, so the root hash vouches for it. docs/layer-format.md, "Layer header":
 *
 *     0 "osguard-layer\0\0\0" · 16 version u32 = 1 · 20 zero u32 · 24 tar size u64 · 32 diff ID[32] · 64 zero[960];
 *     all little-endian
 */

import { ByteReader, ByteWriter, equalBytes, FormatError, fromHex, toHex } from '../bytes/index.ts';

/** Bytes. */
export const layerHeaderSize = 1024;

/** Digest of a layer's uncompressed tar, as image configurations list them. */
export type DiffId = `sha256:${string}`;

export interface LayerHeader {
  readonly version: 1;
  /** Of the uncompressed tar. Bytes. */
  readonly tarSize: number;
  readonly diffId: DiffId;
}

const magic = new TextEncoder().encode('osguard-layer\0\0\0');

/** @returns 1,024 bytes. */
export function encodeLayerHeader({ version, tarSize, diffId }: LayerHeader): Uint8Array<ArrayBuffer> {
  return new ByteWriter({ capacity: layerHeaderSize })
    .bytes(magic)
    .u32(version)
    .u32(0)
    .u64(tarSize)
    .bytes(diffIdBytes(diffId))
    .zeros(layerHeaderSize - 64)
    .finish();
}

/**
 * @param bytes the first 1,024 bytes of an image, or more of it. Only what dm-verity has checked can be believed.
 * @throws FormatError `not-this-format`, `unsupported` (version), `malformed`, `truncated`
 */
export function parseLayerHeader(bytes: Uint8Array): LayerHeader {
  const reader = new ByteReader(bytes);
  if (!equalBytes(reader.bytes(magic.length, 'layer header'), magic)) {
    throw new FormatError('not-this-format', 'no layer header', { offset: 0 });
  }
  const version = reader.u32('version');
  if (version !== 1) throw new FormatError('unsupported', `layer format version ${version}`, { offset: 16 });
  const reserved = reader.u32('reserved');
  const tarSize = reader.size64('tar size');
  const diffId: DiffId = `sha256:${toHex(reader.bytes(32, 'diff ID'))}`;
  const rest = reader.bytes(layerHeaderSize - 64, 'reserved');
  if (reserved !== 0 || rest.some((byte) => byte !== 0)) {
    throw new FormatError('malformed', 'layer header: what is reserved must be zero', { offset: 20 });
  }
  return { version, tarSize, diffId };
}

/** The 32 bytes of a diff ID. @throws FormatError `malformed` for any other algorithm or length. */
export function diffIdBytes(diffId: string): Uint8Array {
  if (!/^sha256:[0-9a-f]{64}$/.test(diffId)) {
    throw new FormatError('malformed', `${JSON.stringify(diffId.slice(0, 100))} is no SHA-256 diff ID`);
  }
  return fromHex(diffId.slice('sha256:'.length), 'diff ID');
}
