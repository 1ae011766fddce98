import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { FormatError, sourceOf } from '@osguard/formats/bytes';
import { readErofs } from '@osguard/formats/erofs';
import type { FuzzTarget } from '@osguard/testkit';
import { defineFuzz, judge, scratch, vectors } from '@osguard/testkit';
import { pattern, writeModel, metadata, text } from '../support/erofs-tree.ts';
import type { Model, ModelNode } from '../support/erofs-tree.ts';

const label = new Map([['security.selinux', text('system_u:object_r:usr_t:s0\0')]]);
const nodes: readonly (readonly [string, ModelNode])[] = [
  ['/', { ...metadata, type: 'directory', mode: 0o755, xattrs: label }],
  ['/d', { ...metadata, type: 'directory', mode: 0o755, xattrs: new Map([...label, ['user.a', text('b')]]) }],
  ['/d/file', { ...metadata, type: 'file', body: pattern(5000), xattrs: label }],
  ['/d/blocks', { ...metadata, type: 'file', uid: 70_000, body: pattern(1024) }],
  ['/d/link', { ...metadata, type: 'symlink', target: 'file' }],
  ['/d/hard', { ...metadata, type: 'link', target: '/d/file' }],
  ['/dev', { ...metadata, type: 'char', major: 1, minor: 3 }],
  ...Array.from({ length: 60 }, (_, index) => [`/d/${index}`, { ...metadata, type: 'fifo' }] as const),
];
const tree: Model = new Map(nodes);

/** mkfs.erofs's own chunk-based image, where the tool is. */
function chunked(): readonly Uint8Array[] {
  const mkfs = judge('mkfs.erofs');
  if (mkfs === undefined) return [];
  using dir = scratch('erofs-seed');
  mkdirSync(dir.file('tree'));
  writeFileSync(dir.file('tree/body'), pattern(9000));
  const { status } = mkfs.run(['--quiet', '--chunksize=4096', dir.file('image'), dir.file('tree')]);
  return status === 0 ? [readFileSync(dir.file('image'))] : [];
}

export const target: FuzzTarget = defineFuzz({
  name: 'erofs',
  seeds: () => [
    writeModel(tree, { blockSize: 512 }),
    writeModel(tree),
    ...chunked(),
    ...(vectors()?.rows('7-erofs') ?? [])
      .flatMap((row) => row['files'] as readonly { readonly file: string }[])
      .filter(({ file }) => file.endsWith('.erofs'))
      .map(({ file }) => vectors()?.file(file) ?? new Uint8Array(1)),
  ],
  run: (bytes) => {
    const image = readErofs(withoutChecksum(bytes), { fileSize: 2 ** 20 });
    let first: unknown;
    for (const { node } of image.walk()) {
      try {
        image.xattrs(node);
        if (node.type === 'symlink') image.symlinkTarget(node);
        if (node.type !== 'file') continue;
        if (node.size > 0) image.read(node, node.size - 1, 1);
        for (const piece of image.chunks(node)) void piece.length;
      } catch (error) {
        // One bad file does not hide what is behind it.
        if (!(error instanceof FormatError)) throw error;
        first ??= error;
      }
    }
    if (first !== undefined) throw first;
  },
});

/** The checksum guards all of block 0: without this, nothing behind a broken superblock would be tried. */
function withoutChecksum(bytes: Uint8Array): ReturnType<typeof sourceOf> {
  const copy = Uint8Array.from(bytes);
  if (copy.length > 1032) copy[1032] = (copy[1032] ?? 0) & ~1;
  return sourceOf(copy);
}
