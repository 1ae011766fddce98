/** The process that is measured for `erofs-verity`: a folder to an image and its hash tree, the bodies read once. */

import type { BigIntStats } from 'node:fs';
import { closeSync, lstatSync, openSync, readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fromHex } from '@osguard/formats/bytes';
import type { ErofsMetadata } from '@osguard/formats/erofs';
import type { ImageEntry } from '../../packages/image/src/erofs/index.ts';
import { writeErofsImage } from '../../packages/image/src/erofs/index.ts';
import { writeFully } from '../../packages/image/src/files/write.ts';
import { createTreeBuilder } from '../../packages/image/src/verity/index.ts';

function metadataOf(stats: BigIntStats): ErofsMetadata {
  return {
    mode: Number(stats.mode & 0o7777n),
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    mtime: Number(stats.mtimeNs / 1_000_000_000n),
    mtimeNsec: Number(stats.mtimeNs % 1_000_000_000n),
  };
}

function entriesOf(root: string): readonly ImageEntry[] {
  const entries: ImageEntry[] = [];
  const folders = [''];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    const metadata = metadataOf(lstatSync(join(root, folder), { bigint: true }));
    entries.push({ path: folder || '/', type: 'directory', ...metadata });
    for (const child of readdirSync(join(root, folder), { withFileTypes: true })) {
      const path = `${folder}/${child.name}`;
      const file = join(root, path);
      if (child.isDirectory()) {
        folders.push(path);
        continue;
      }
      const stats = lstatSync(file, { bigint: true });
      const own = metadataOf(stats);
      if (child.isSymbolicLink()) entries.push({ path, type: 'symlink', target: readlinkSync(file), ...own });
      else entries.push({ path, type: 'file', body: { file, size: Number(stats.size) }, ...own });
    }
  }
  return entries;
}

const [folder = '', image = '', tree = '', salt = '', uuid = ''] = process.argv.slice(2);
using builder = createTreeBuilder({ salt: fromHex(salt), uuid });
const fd = openSync(image, 'w');
writeErofsImage(entriesOf(folder), {
  fd,
  uuid: fromHex(uuid.replaceAll('-', '')),
  buildTime: 1_700_000_000,
  onChunk(offset, bytes) {
    if (offset === builder.size) builder.push(bytes);
    else builder.patch(offset / 4096, bytes);
  },
});
closeSync(fd);
const { rootHash, geometry, pieces } = builder.finish();
const out = openSync(tree, 'w');
let at = geometry.hashOffset;
for (const piece of pieces) {
  writeFully(out, piece, at);
  at += piece.length;
}
closeSync(out);
process.stdout.write(`${rootHash}\n`);
