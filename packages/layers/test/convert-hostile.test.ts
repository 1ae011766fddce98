/** Layers made to hurt: the answer is an error in bounded time and memory, and nothing is left behind. */

import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { deflateRawSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { sourceOf } from '@osguard/formats/bytes';
import { readErofs } from '@osguard/formats/erofs';
import type { TarWriteEntry } from '@osguard/formats/tar';
import { writeTar } from '@osguard/formats/tar';
import type { ConvertLayerOptions } from '@osguard/layers';
import { convertLayer, LayerError } from '@osguard/layers';
import { scratch } from '@osguard/testkit';
import { dir, file, pieces, symlink, tarOf } from './support/layer.ts';
import { isRoot, Mounts, noMount, notRoot } from './support/mounts.ts';

const isRefused =
  (code: string, pattern: RegExp) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof LayerError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, pattern);
    return true;
  };

/** Converts into a folder that must be as it was before. */
async function leavesNothing(
  layer: AsyncIterable<Uint8Array>,
  expected: Parameters<typeof assert.rejects>[1],
  options: Partial<ConvertLayerOptions> = {},
): Promise<void> {
  using folder = scratch('layer');
  writeFileSync(folder.file('layer.erofs'), 'the old one');
  await assert.rejects(convertLayer(layer, { output: folder.file('layer.erofs'), ...options }), expected);
  assert.deepEqual(readdirSync(folder.path), ['layer.erofs']);
  assert.equal(await readFile(folder.file('layer.erofs'), 'utf8'), 'the old one');
}

function* endless(entry: (index: number) => TarWriteEntry): Generator<TarWriteEntry> {
  for (let index = 0; index < 10_000_000; index += 1) yield entry(index);
}

async function* streamed(entries: Iterable<TarWriteEntry>): AsyncGenerator<Uint8Array> {
  let batch: Uint8Array[] = [];
  for (const piece of writeTar(entries)) {
    batch.push(Uint8Array.from(piece));
    if (batch.length < 256) continue;
    yield Buffer.concat(batch);
    batch = [];
    await Promise.resolve();
  }
  yield Buffer.concat(batch);
}

/** 1 GiB of zeros in about a megabyte, many times over. */
async function* gzipBomb(): AsyncGenerator<Uint8Array> {
  const name = file('zeros', '', {});
  const header = tarOf({ ...name }).subarray(0, 512);
  header.write('77777777777', 124);
  header.fill(0x20, 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  yield gzipSync(header);
  const member = gzipSync(Buffer.alloc(16 * 2 ** 20), { level: 9 });
  for (;;) yield await Promise.resolve(member);
}

async function* failing(): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(gzipSync(tarOf(dir('d'))).subarray(0, 20));
  throw new Error('connection reset');
}

/** Files whose tails take 34 MiB. */
function* manyTails(): Generator<TarWriteEntry> {
  for (let index = 0; index < 9000; index += 1) {
    yield file(`d${index % 10}/f${index}`, Buffer.alloc(4000, `${index} `));
  }
}

describe('layers: bombs', () => {
  it('compressed zeros end at the limit', async () => {
    const limits = { maxTarSize: 100 * 2 ** 20 };
    await leavesNothing(gzipBomb(), isRefused('layer-too-large', /larger than 104857600 bytes/), { limits });
  });

  const limits = { maxMetadata: 4 * 2 ** 20 };
  const bombs: readonly (readonly [string, (index: number) => TarWriteEntry])[] = [
    ['endless files', (index) => file(`f${index}`)],
    ['the same file again and again', () => file('f')],
    ['deep paths', (index) => file(`${index}/${'d/'.repeat(1000)}f`)],
    [
      'large attributes',
      (index) => file('f', '', { xattrs: new Map([[`user.${index}`, Buffer.alloc(60_000, index)]]) }),
    ],
    ['long links', (index) => symlink(`l${index}`, 'x'.repeat(4000))],
    ['whiteouts', (index) => file(`.wh.${index}`)],
    ['opaque marks', (index) => file(`d${index}/.wh..wh..opq`)],
    ['entries that are left out', (index) => file(`.wh..wh.${index}`)],
  ];
  for (const [what, entry] of bombs) {
    it(`${what} end at the limit`, async () => {
      const started = performance.now();
      await leavesNothing(streamed(endless(entry)), isRefused('layer-too-large', /bytes of memory/), {
        limits,
      });
      assert.ok(performance.now() - started < 20_000);
    });
  }

  it('symlinks that multiply work are followed a bounded number of times', async () => {
    const up = '../'.repeat(60);
    const links = Array.from({ length: 60 }, (_, index) => symlink(`s${index}`, `${up}s${index + 1}/x`));
    await leavesNothing(streamed([...links, file('s0/f')]), isRefused('layer-format', /too many symlinks/));
  });
});

describe('layers: what is broken', () => {
  const layer = tarOf(dir('d'), file('d/f', Buffer.alloc(100_000, 7)));
  const broken: readonly (readonly [string, Uint8Array, RegExp])[] = [
    ['a gzip stream that ends early', gzipSync(layer).subarray(0, -9), /gzip data is broken/],
    [
      'a wrong gzip checksum',
      Buffer.concat([gzipSync(layer).subarray(0, -8), Buffer.alloc(8)]),
      /gzip data is broken/,
    ],
    ['deflate without gzip', deflateRawSync(layer), /header|truncated|ends in the middle/],
    ['a zstd stream that ends early', zstdCompressSync(layer).subarray(0, -3), /zstd/],
    [
      'garbage behind a zstd frame',
      Buffer.concat([zstdCompressSync(layer), Buffer.from('garbage')]),
      /zstd frame/,
    ],
    ['gzip that is no tar', gzipSync(Buffer.alloc(2000, 'x')), /checksum/],
    ['no tar', Buffer.alloc(2000, 'x'), /checksum/],
  ];
  for (const [what, bytes, pattern] of broken) {
    it(`${what} is refused`, () => leavesNothing(pieces(bytes), isRefused('layer-format', pattern)));
  }

  it('a source that fails, fails the conversion', async () => {
    await leavesNothing(failing(), /connection reset/);
  });

  it('cancelling leaves nothing behind, before and in the middle', async () => {
    const isAbort = { name: 'AbortError' };
    await leavesNothing(pieces(layer), isAbort, { signal: AbortSignal.abort() });
    for (const blob of [layer, gzipSync(layer, { level: 0 })]) {
      const controller = new AbortController();
      async function* cancelled(): AsyncGenerator<Uint8Array> {
        yield await Promise.resolve(blob.subarray(0, 50_000));
        controller.abort();
        yield blob.subarray(50_000);
      }
      await leavesNothing(cancelled(), isAbort, { signal: controller.signal });
    }
  });

  it('a full disk is a system error, and nothing is left behind', async (t) => {
    using folder = scratch('layer');
    using mounts = new Mounts(folder);
    const small = isRoot ? mounts.memory('2m') : undefined;
    if (small === undefined) {
      t.skip(isRoot ? noMount : notRoot);
      return;
    }
    const large = tarOf(
      ...Array.from({ length: 40 }, (_, index) => file(`f${index}`, Buffer.alloc(100_000, index))),
    );
    for (const threads of [1, 2]) {
      const output = `${small}/layer.erofs`;
      await assert.rejects(convertLayer(pieces(large), { output, threads, sourceSize: 2 ** 30 }), {
        code: 'ENOSPC',
      });
      assert.deepEqual(readdirSync(small), []);
    }
  });

  it('the same layer twice at once gives one whole image', async () => {
    using folder = scratch('layer');
    const output = folder.file('layer.erofs');
    const [one, two] = await Promise.all([
      convertLayer(pieces(layer, 100), { output }),
      convertLayer(pieces(layer, 999), { output }),
    ]);
    assert.equal(one.rootHash, two.rootHash);
    assert.deepEqual(readdirSync(folder.path), ['layer.erofs']);
    assert.equal((await readFile(output)).length, one.size);
  });

  it('unreadable media types are refused before anything is read', async () => {
    const mediaType = 'application/vnd.oci.image.layer.v1.tar+gzip+encrypted';
    await leavesNothing(pieces(layer), isRefused('media-type', /encrypted/), { mediaType });
  });

  it('a folder that cannot be written to is a system error', async () => {
    using folder = scratch('layer');
    mkdirSync(folder.file('taken'));
    await assert.rejects(convertLayer(pieces(layer), { output: folder.file('missing/layer') }), {
      code: 'ENOENT',
    });
    await assert.rejects(convertLayer(pieces(layer), { output: folder.file('taken') }), { code: 'EISDIR' });
    assert.deepEqual(readdirSync(folder.path), ['taken']);
  });
});

describe('layers: tails', () => {
  it('more of them than fit in memory go to a file, and nothing shows it', async () => {
    using folder = scratch('layer');
    const output = folder.file('layer.erofs');
    const { inodes } = await convertLayer(streamed(manyTails()), { output });
    assert.equal(inodes, 9011);
    const image = readErofs(sourceOf(await readFile(output)));
    for (const index of [0, 1, 4500, 8000, 8500, 8999]) {
      const node = image.lookup(`/d${index % 10}/f${index}`);
      assert.ok(node);
      assert.equal(Buffer.from(image.read(node)).toString(), Buffer.alloc(4000, `${index} `).toString());
    }
    assert.deepEqual(readdirSync(folder.path), ['layer.erofs']);
  });
});
