/** Archives of all kinds, broken: whatever is accepted must be an image that reads back to its end. */

import { sourceOf } from '@osguard/formats/bytes';
import { ErofsWriter, readErofs } from '@osguard/formats/erofs';
import { createTarReader } from '@osguard/formats/tar';
import type { FuzzTarget } from '@osguard/testkit';
import { defineFuzz } from '@osguard/testkit';
import { Budget } from '../../src/convert/budget.ts';
import { LayerTree } from '../../src/convert/layer-tree.ts';
import { LayerError } from '../../src/error.ts';
import { dir, file, link, symlink, tarOf } from '../support/layer.ts';

const xattrs = new Map([
  ['user.a', Buffer.from('value')],
  ['trusted.overlay.opaque', Buffer.from('y')],
]);

/** Mutations mostly break checksums: those of the result are right again. */
function repaired(broken: Uint8Array): Uint8Array {
  const bytes = Uint8Array.from(broken);
  for (let at = 0; at + 512 <= bytes.length; at += 512) {
    const block = bytes.subarray(at, at + 512);
    if (Buffer.from(block.subarray(257, 262)).toString('latin1') !== 'ustar') continue;
    block.fill(0x20, 148, 156);
    const sum = block.reduce((total, byte) => total + byte, 0);
    block.set(Buffer.from(`${sum.toString(8).padStart(6, '0')}\0 `, 'latin1'), 148);
  }
  return bytes;
}

function convert(bytes: Uint8Array): void {
  const pieces: Uint8Array[] = [];
  let head = new Uint8Array();
  let end = 0;
  const sink = {
    write(offset: number, piece: Uint8Array): void {
      if (offset === 0 && end > 0) {
        head = Uint8Array.from(piece);
        return;
      }
      pieces.push(Uint8Array.from(piece));
      end += piece.length;
    },
  };
  const writer = new ErofsWriter(sink, {
    uuid: new Uint8Array(16),
    buildTime: 0,
    buffer: new Uint8Array(65_536),
  });
  const budget = new Budget({ maxMetadata: 16 * 2 ** 20 });
  const tree = new LayerTree(writer, budget);
  const tar = createTarReader(tree, { lenientEnd: true });
  for (let at = 0; at < bytes.length; at += 1000) tar.push(bytes.subarray(at, at + 1000));
  tar.end();
  tree.finish();
  const image = Buffer.concat(pieces);
  image.set(head);
  readAll(image);
}

function readAll(image: Uint8Array): void {
  try {
    const read = readErofs(sourceOf(image), { depth: 4096 });
    for (const { node } of read.walk()) {
      read.xattrs(node);
      if (node.type === 'file') read.read(node);
    }
  } catch (cause) {
    throw new Error('an image of ours cannot be read', { cause });
  }
}

export const target: FuzzTarget = defineFuzz({
  name: 'layer',
  seeds: () => [
    tarOf(
      dir('.'),
      dir('d', { xattrs }),
      file('d/f', Buffer.alloc(5000, 1), { xattrs }),
      link('d/l', 'd/f'),
      symlink('s', 'd'),
      file('s/x', 'x'),
      file('d/.wh.gone'),
      file('e/.wh..wh..opq'),
      file('d/f', 'again'),
    ),
    tarOf(
      symlink('a', 'b/../c'),
      symlink('b', 'a'),
      dir('n', { kind: 'character-device', major: 1, minor: 3 }),
      file(`${'deep/'.repeat(30)}f`, 'x', { mtime: { seconds: -5, nanoseconds: 5 } }),
      file('ü\udcff', '', { uid: 70_000, xattrs: new Map([['security.capability', Buffer.alloc(20)]]) }),
    ),
  ],
  run(bytes) {
    convert(repaired(bytes));
  },
  accepts: (error) => error instanceof LayerError,
});
