import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import fc from 'fast-check';
import { FormatError } from '@osguard/formats/bytes';
import { ZstdFrames } from '@osguard/formats/zstd';

const skippable = Buffer.concat([Buffer.from('502a4d1804000000', 'hex'), Buffer.from('skip')]);
const large = Buffer.from(Array.from({ length: 400_000 }, (_, index) => (index * index * 31) >> 3));
const bodies = [Buffer.from('hello'), Buffer.alloc(300_000), large, Buffer.alloc(0)];
const frames = bodies.map((body, index) =>
  zstdCompressSync(body, {
    params: { [constants.ZSTD_c_checksumFlag]: index % 2, [constants.ZSTD_c_compressionLevel]: 1 + index },
  }),
);

function cut(bytes: Uint8Array, sizes: readonly number[]): Buffer[] {
  const reader = new ZstdFrames();
  const parts: Buffer[] = [];
  for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
    const size = sizes[turn % sizes.length] ?? 1;
    for (const part of reader.push(bytes.subarray(at, at + size))) parts.push(Buffer.from(part));
    at += size;
  }
  reader.end();
  return parts;
}

const isRefused =
  (code: string) =>
  (error: unknown): boolean =>
    error instanceof FormatError && error.code === code;

describe('zstd frames', () => {
  it('are told apart, and what is to be skipped is left out', () => {
    const stream = Buffer.concat(frames.flatMap((frame) => [skippable, frame]).concat(skippable));
    const parts = cut(stream, [stream.length]);
    // A magic number, then the rest.
    assert.equal(parts.length, 2 * frames.length);
    for (const [index, body] of bodies.entries()) {
      const frame = Buffer.concat(parts.slice(2 * index, 2 * index + 2));
      assert.ok(frame.equals(frames[index] ?? Buffer.alloc(0)));
      assert.ok(zstdDecompressSync(frame).equals(body));
    }
  });

  it('are the same however the stream comes', () => {
    const stream = Buffer.concat([skippable, ...frames]);
    const sizes = fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(sizes, (given) => Buffer.concat(cut(stream, given)).equals(Buffer.concat(frames))),
      { numRuns: 30 },
    );
  });

  it('refuse what is none, and end whole', () => {
    const frame = frames[0] ?? Buffer.alloc(0);
    assert.throws(() => cut(Buffer.concat([frame, Buffer.from('garbage')]), [3]), isRefused('malformed'));
    for (const end of [2, 5, frame.length - 1]) {
      assert.throws(() => cut(frame.subarray(0, end), [4]), isRefused('truncated'), `${end} bytes`);
    }
    assert.throws(() => cut(skippable.subarray(0, -1), [4]), isRefused('truncated'));
    assert.deepEqual(cut(new Uint8Array(), [1]), []);
  });
});
