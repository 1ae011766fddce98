import assert from 'node:assert/strict';
import { createHash, hash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { chunkIndexSize, encodeChunkIndex, parseChunkIndex } from '@osguard/formats/layer';
import type { ConvertedLayer, DownloadOptions, EncodedTransport } from '@osguard/layers';
import { convertLayer, encodeTransport, LayerError, openDownload } from '@osguard/layers';
import type { Scratch } from '@osguard/testkit';
import { judge, noJudge, scratch } from '@osguard/testkit';
import { dir, file, pieces, tarOf } from './support/layer.ts';

const chunkSize = 64 * 1024;

interface Published extends Disposable {
  readonly folder: Scratch;
  readonly converted: ConvertedLayer;
  readonly encoded: EncodedTransport;
  readonly image: Buffer;
  readonly blob: Buffer;
}

async function published(): Promise<Published> {
  const folder = scratch('transport');
  // Nothing zstd could make smaller.
  const bytes = Buffer.concat(
    Array.from({ length: 15_000 }, (_, index) => hash('sha256', String(index), 'buffer')),
  );
  const layer = tarOf(dir('d'), file('d/large', bytes), file('small', 'small'));
  const converted = await convertLayer(pieces(layer), { output: folder.file('image') });
  const encoded = await encodeTransport(folder.file('image'), {
    output: folder.file('blob'),
    layer: converted,
    chunkSize,
  });
  return {
    folder,
    converted,
    encoded,
    image: readFileSync(folder.file('image')),
    blob: readFileSync(folder.file('blob')),
    [Symbol.dispose]: () => folder[Symbol.dispose](),
  };
}

function optionsFor({ folder, encoded, converted }: Published): DownloadOptions {
  return { output: folder.file('got'), blob: encoded.digest, rootHash: converted.rootHash, threads: 1 };
}

const isRefused =
  (code: string, pattern: RegExp) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof LayerError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, pattern);
    return true;
  };

function feed(download: { write(bytes: Uint8Array): void }, bytes: Uint8Array, piece: number): void {
  for (let at = 0; at < bytes.length; at += piece) download.write(bytes.subarray(at, at + piece));
}

describe('verity images in transport', () => {
  it('come back as they were, whatever the pieces', async () => {
    using made = await published();
    assert.equal(made.encoded.size, made.blob.length);
    assert.equal(made.encoded.digest, `sha256:${createHash('sha256').update(made.blob).digest('hex')}`);
    for (const piece of [1, 1000, 65_536, made.blob.length]) {
      using download = openDownload(optionsFor(made));
      assert.equal(download.position, 0);
      feed(download, made.blob, piece);
      assert.equal(download.done, made.image.length);
      const { rootHash, diffId, hashOffset, size } = download.finish();
      assert.deepEqual(
        [rootHash, diffId, hashOffset, size],
        [made.converted.rootHash, made.converted.diffId, made.converted.hashOffset, made.converted.size],
      );
      assert.ok(readFileSync(made.folder.file('got')).equals(made.image), `pieces of ${piece}`);
      assert.deepEqual(readdirSync(made.folder.path).sort(), ['blob', 'got', 'image']);
    }
  });

  it('is a zstd stream for everybody else', { skip: judge('zstd') ? false : noJudge('zstd') }, async () => {
    using made = await published();
    const done = judge('zstd')?.run(['-dq', made.folder.file('blob'), '-o', made.folder.file('plain')]);
    assert.equal(done?.status, 0, done?.stderr);
    assert.ok(readFileSync(made.folder.file('plain')).equals(made.image));
  });

  it('goes on where it stopped, in another process', async () => {
    using made = await published();
    let asked = 0;
    for (const upTo of [3, 8, 5000, 70_000, 200_000, 200_001, made.blob.length]) {
      using download = openDownload(optionsFor(made));
      assert.ok(download.position >= asked && download.position <= upTo);
      asked = download.position;
      feed(download, made.blob.subarray(asked, upTo), 999);
      if (upTo === made.blob.length) download.finish();
      else assert.throws(() => download.finish(), isRefused('layer-format', /ends early/));
    }
    assert.ok(asked > 100_000);
    assert.ok(readFileSync(made.folder.file('got')).equals(made.image));
  });

  it('keeps of a damaged partial file what is good', async () => {
    using made = await published();
    const first = openDownload(optionsFor(made));
    feed(first, made.blob.subarray(0, 300_000), 4096);
    first[Symbol.dispose]();
    const partial = readdirSync(made.folder.path).find((name) => name.endsWith('.part')) ?? '';
    const bytes = readFileSync(made.folder.file(partial));
    bytes.writeUInt8(bytes.readUInt8(2 * chunkSize + 5) ^ 1, 2 * chunkSize + 5);
    writeFileSync(made.folder.file(partial), bytes);
    using second = openDownload(optionsFor(made));
    assert.equal(second.done, 2 * chunkSize);
    feed(second, made.blob.subarray(second.position), 4096);
    second.finish();
    assert.ok(readFileSync(made.folder.file('got')).equals(made.image));
  });

  it('notices any flipped bit, before it is decompressed, and can go on', async () => {
    using made = await published();
    const at = made.blob.length - 1000;
    const bad = Buffer.from(made.blob);
    bad.writeUInt8(bad.readUInt8(at) ^ 0x10, at);
    using download = openDownload(optionsFor(made));
    assert.throws(
      () => feed(download, bad, 4096),
      isRefused('digest', /its frame is not what the index says/),
    );
    feed(download, made.blob.subarray(download.position), 4096);
    download.finish();
    assert.ok(readFileSync(made.folder.file('got')).equals(made.image));
  });

  it('refuses an image of another root hash at its index, and one that only claims it at the end', async () => {
    using made = await published();
    const other = 'ab'.repeat(32) as typeof made.converted.rootHash;
    using asked = openDownload({ ...optionsFor(made), rootHash: other });
    assert.throws(() => feed(asked, made.blob, 4096), isRefused('digest', /root hash is .* expected abab/));
    const { chunks } = parseChunkIndex(made.blob.subarray(0, chunkIndexSize(made.encoded.chunks)));
    const { diffId, dataSize, size: imageSize } = made.converted;
    const lie = Buffer.from(made.blob);
    lie.set(encodeChunkIndex({ chunkSize, imageSize, dataSize, rootHash: other, diffId, chunks }));
    using claimed = openDownload({ ...optionsFor(made), rootHash: other });
    feed(claimed, lie, 4096);
    assert.throws(() => claimed.finish(), isRefused('digest', /root hash is/));
    assert.deepEqual(readdirSync(made.folder.path).sort(), ['blob', 'image']);
  });

  it('refuses a tree that is not the one of the data, to the last byte', async () => {
    using made = await published();
    for (const at of [
      made.converted.hashOffset + 20,
      made.converted.hashOffset + 600,
      made.image.length - 1,
    ]) {
      const bad = Buffer.from(made.image);
      bad.writeUInt8(bad.readUInt8(at) ^ 1, at);
      writeFileSync(made.folder.file('bad'), bad);
      const encoded = await encodeTransport(made.folder.file('bad'), {
        output: made.folder.file('bad-blob'),
        layer: made.converted,
        chunkSize,
      });
      using download = openDownload({ ...optionsFor(made), blob: encoded.digest });
      feed(download, readFileSync(made.folder.file('bad-blob')), 100_000);
      assert.throws(() => download.finish(), isRefused('digest', /hash tree/));
    }
  });

  it('refuses what is longer than its index says, and images beyond a limit', async () => {
    using made = await published();
    const large = openDownload({ ...optionsFor(made), maxImageSize: 4096 });
    assert.throws(() => feed(large, made.blob, 4096), isRefused('layer-too-large', /at most 4096/));
    large[Symbol.dispose]();
    assert.deepEqual(readdirSync(made.folder.path).sort(), ['blob', 'image']);
    using long = openDownload(optionsFor(made));
    assert.throws(
      () => feed(long, Buffer.concat([made.blob, Buffer.alloc(1)]), 4096),
      isRefused('layer-format', /longer/),
    );
  });
});
