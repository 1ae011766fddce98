/** Layers made by hand, converted and read back. */

import { readFileSync } from 'node:fs';
import type { ErofsImage } from '@osguard/formats/erofs';
import { readErofs } from '@osguard/formats/erofs';
import { sourceOf } from '@osguard/formats/bytes';
import type { TarWriteEntry } from '@osguard/formats/tar';
import { writeTar } from '@osguard/formats/tar';
import type { ConvertedLayer, ConvertLayerOptions } from '@osguard/layers';
import { convertLayer } from '@osguard/layers';
import { scratch } from '@osguard/testkit';

const plain = { uid: 0, gid: 0, mtime: { seconds: 1_700_000_000, nanoseconds: 0 } };
type Rest = Partial<TarWriteEntry>;

export const dir = (path: string, rest: Rest = {}): TarWriteEntry => ({
  ...plain,
  mode: 0o755,
  kind: 'directory',
  path,
  ...rest,
});
export const file = (path: string, body: string | Uint8Array = '', rest: Rest = {}): TarWriteEntry => ({
  ...plain,
  mode: 0o644,
  kind: 'file',
  path,
  body: sourceOf(Uint8Array.from(Buffer.from(body))),
  ...rest,
});
export const symlink = (path: string, linkPath: string, rest: Rest = {}): TarWriteEntry => ({
  ...plain,
  mode: 0o777,
  kind: 'symlink',
  path,
  linkPath,
  ...rest,
});
export const link = (path: string, linkPath: string, rest: Rest = {}): TarWriteEntry => ({
  ...plain,
  mode: 0o644,
  kind: 'hardlink',
  path,
  linkPath,
  ...rest,
});

export function tarOf(...entries: readonly TarWriteEntry[]): Buffer {
  return Buffer.concat([...writeTar(entries)]);
}

export async function* pieces(bytes: Uint8Array, size = 65_536): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
  await Promise.resolve();
}

export interface ReadLayer {
  readonly converted: ConvertedLayer;
  /** Image, superblock and tree. */
  readonly bytes: Buffer;
  readonly image: ErofsImage;
}

export async function convert(
  layer: Uint8Array,
  options: Partial<ConvertLayerOptions> & { readonly piece?: number } = {},
): Promise<ReadLayer> {
  using folder = scratch('layer');
  const output = folder.file('layer.erofs');
  const { piece, ...rest } = options;
  const converted = await convertLayer(pieces(layer, piece), { output, threads: 1, ...rest });
  const bytes = readFileSync(output);
  return { converted, bytes, image: readErofs(sourceOf(bytes)) };
}

/** What a path is, in one line: type, mode, owner, then target, device, body or attributes. */
export function describe(image: ErofsImage, path: string): string {
  const node = image.lookup(path);
  if (node === undefined) return 'missing';
  const parts = [node.type, node.mode.toString(8), `${node.uid}:${node.gid}`];
  if (node.type === 'symlink') parts.push(`-> ${image.symlinkTarget(node)}`);
  if (node.type === 'file') parts.push(JSON.stringify(Buffer.from(image.read(node)).toString()));
  if (node.type === 'char' || node.type === 'block') {
    const { major, minor } = image.device(node);
    parts.push(`${major},${minor}`);
  }
  for (const [name, value] of image.xattrs(node)) parts.push(`${name}=${Buffer.from(value).toString()}`);
  return parts.join(' ');
}

/** All paths but the root. */
export function paths(image: ErofsImage): readonly string[] {
  return Array.from(image.walk(), ({ path }) => path).filter((path) => path !== '/');
}
