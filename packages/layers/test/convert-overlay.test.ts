/** Layers converted one by one and stacked by the kernel's overlayfs, against umoci's unpack of the same image. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { TarWriteEntry } from '@osguard/formats/tar';
import { convertLayer } from '@osguard/layers';
import type { Scratch } from '@osguard/testkit';
import { judge, noJudge, scratch, seededRandom } from '@osguard/testkit';
import { folderLines } from './support/folder.ts';
import { dir, file, link, pieces, symlink, tarOf } from './support/layer.ts';
import { isRoot, Mounts, noMount, notRoot } from './support/mounts.ts';
import { writeOciLayout } from './support/oci-layout.ts';

const umoci = judge('umoci');

/** Removing things changes the times of directories when a tool does it, but not when a layer says so. */
const options = { directoryTimes: false };

async function compare(image: Scratch, layers: readonly Uint8Array[]): Promise<boolean> {
  using mounts = new Mounts(image);
  const lower: string[] = [];
  for (const [index, layer] of layers.entries()) {
    const output = image.file(`layer-${index}.erofs`);
    await convertLayer(pieces(layer), { output });
    const mounted = mounts.erofs(output);
    if (mounted === undefined) return false;
    lower.unshift(mounted);
  }
  // An overlay needs two.
  const empty = image.file('empty.erofs');
  await convertLayer(pieces(tarOf()), { output: empty });
  const bottom = mounts.erofs(empty);
  const merged = mounts.overlay([...lower, ...(bottom === undefined ? [] : [bottom])]);
  if (merged === undefined) return false;
  writeOciLayout(image.file('oci'), layers);
  const done = umoci?.run(['unpack', '--image', `${image.file('oci')}:latest`, image.file('bundle')]);
  assert.equal(done?.status, 0, done?.stderr);
  assert.deepEqual(folderLines(merged, options), folderLines(image.file('bundle/rootfs'), options));
  return true;
}

const handMade: readonly Uint8Array[] = [
  tarOf(
    dir('.'),
    dir('etc'),
    file('etc/keep', 'keep'),
    file('etc/gone', 'gone'),
    file('etc/changed', 'one'),
    dir('var'),
    dir('var/cache'),
    file('var/cache/a', 'a'),
    file('var/cache/b', 'b'),
    dir('swap'),
    file('swap/x', 'x'),
    file('flip', 'file'),
    dir('tree'),
    dir('tree/deep'),
    file('tree/deep/leaf', 'leaf'),
    file('linked', 'body'),
    link('linked-too', 'linked'),
    symlink('sym', 'etc/keep'),
  ),
  tarOf(
    dir('.', { mode: 0o750 }),
    dir('etc', { mode: 0o700 }),
    file('etc/.wh.gone'),
    file('etc/changed', 'two', { mode: 0o4755, uid: 70_000 }),
    dir('var'),
    dir('var/cache', { uid: 12 }),
    file('var/cache/.wh..wh..opq'),
    file('var/cache/c', 'c'),
    file('swap', 'now a file'),
    dir('flip'),
    file('flip/y', 'y'),
    file('.wh.tree'),
    file('.wh.sym'),
    file('caps', 'caps', { xattrs: new Map([['user.note', Buffer.from('kept')]]) }),
  ),
  tarOf(
    dir('.'),
    dir('etc', { mode: 0o700 }),
    file('etc/gone', 'back'),
    dir('tree'),
    file('tree/new', 'new'),
    file('.wh.linked'),
    dir('var'),
    dir('var/cache'),
    file('var/cache/.wh.c'),
    symlink('sym', 'caps'),
  ),
];

/** A next layer for what is there, as builders write them: parents first, whiteouts for what was there only. */
function randomLayer(there: Map<string, string>, random: ReturnType<typeof seededRandom>): TarWriteEntry[] {
  const names = ['a', 'b', 'c', 'd'];
  const entries: TarWriteEntry[] = [dir('.')];
  const mine = new Set<string>();
  const forget = (path: string): void => {
    for (const known of there.keys()) if (known === path || known.startsWith(`${path}/`)) there.delete(known);
  };
  for (let step = 0; step < 12; step += 1) {
    const path = Array.from({ length: 1 + random.below(3) }, () => names[random.below(4)] ?? '').join('/');
    const parents = path
      .split('/')
      .slice(0, -1)
      .map((_, index, all) => all.slice(0, index + 1).join('/'));
    if (mine.has(path) || parents.some((parent) => there.get(parent) !== 'directory')) continue;
    if (mine.size > 0 && [...mine].some((known) => known.startsWith(`${path}/`))) continue;
    for (const parent of parents.filter((one) => !mine.has(one))) {
      entries.push(dir(parent));
      mine.add(parent);
    }
    mine.add(path);
    const kind =
      there.has(path) && random.below(3) === 0 ? 'gone' : ['directory', 'file', 'symlink'][random.below(3)];
    const name = path.slice(path.lastIndexOf('/') + 1);
    if (kind === 'gone') {
      forget(path);
      entries.push(file([...path.split('/').slice(0, -1), `.wh.${name}`].join('/')));
      continue;
    }
    if (kind !== 'directory' || there.get(path) !== 'directory') forget(path);
    there.set(path, kind ?? '');
    const mode = 0o100 + random.below(0o677);
    if (kind === 'directory') entries.push(dir(path, { mode }));
    else if (kind === 'file') entries.push(file(path, `body ${random.below(1000)}`, { mode }));
    else entries.push(symlink(path, 'nowhere'));
    const opaque = kind === 'directory' && random.below(4) === 0;
    if (!opaque) continue;
    entries.push(file(`${path}/.wh..wh..opq`));
    for (const known of there.keys()) if (known.startsWith(`${path}/`)) there.delete(known);
  }
  return entries;
}

const reason = umoci === undefined ? noJudge('umoci') : !isRoot && notRoot;

describe('stacked layers, judged by umoci', { skip: reason }, () => {
  it('an image with everything layers can do to each other', async (t) => {
    using image = scratch('overlay');
    if (!(await compare(image, handMade))) t.skip(noMount);
  });

  it('images of arbitrary layers', async (t) => {
    for (let seed = 1; seed <= 12; seed += 1) {
      using image = scratch('overlay');
      const random = seededRandom(seed);
      const there = new Map<string, string>();
      const layers = Array.from({ length: 4 }, () => tarOf(...randomLayer(there, random)));
      if (!(await compare(image, layers))) {
        t.skip(noMount);
        return;
      }
    }
  });
});
