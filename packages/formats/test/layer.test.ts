import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FormatError } from '@osguard/formats/bytes';
import type { ChunkIndex } from '@osguard/formats/layer';
import {
  chunkIndexFrameSize,
  chunkIndexSize,
  diffIdBytes,
  encodeChunkIndex,
  encodeLayerHeader,
  parseChunkIndex,
  parseLayerHeader,
} from '@osguard/formats/layer';
import { parseRootHash } from '@osguard/formats/verity';

const diffId = `sha256:${'cd'.repeat(32)}` as const;
const header = { version: 1, tarSize: 2 ** 40 + 5, diffId } as const;
const index: ChunkIndex = {
  chunkSize: 65_536,
  imageSize: 131_072,
  dataSize: 122_880,
  rootHash: parseRootHash('ab'.repeat(32)),
  diffId,
  chunks: [3, 65_792].map((frameSize, at) => ({
    frameSize,
    frameDigest: new Uint8Array(32).fill(at + 1),
    chunkDigest: new Uint8Array(32).fill(at + 9),
  })),
};

const isRefused =
  (code: string, pattern: RegExp) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof FormatError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, pattern);
    return true;
  };

function changed(bytes: Uint8Array, at: number, to: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[at] = to;
  return copy;
}

describe('layer header', () => {
  it('has its fields where the format says', () => {
    const bytes = encodeLayerHeader(header);
    assert.equal(bytes.length, 1024);
    const hex = Buffer.from(bytes).toString('hex');
    assert.ok(hex.startsWith('6f7367756172642d6c6179657200000001000000000000000500000000010000cdcd'));
    assert.match(hex.slice(128), /^0+$/);
    assert.deepEqual(parseLayerHeader(Buffer.concat([bytes, Buffer.alloc(9)])), header);
  });

  it('refuses what is none, of another version, or has more to say', () => {
    const bytes = encodeLayerHeader(header);
    assert.throws(
      () => parseLayerHeader(changed(bytes, 3, 0)),
      isRefused('not-this-format', /no layer header/),
    );
    assert.throws(() => parseLayerHeader(changed(bytes, 16, 2)), isRefused('unsupported', /version 2/));
    for (const at of [20, 64, 1023]) {
      assert.throws(() => parseLayerHeader(changed(bytes, at, 1)), isRefused('malformed', /must be zero/));
    }
    assert.throws(() => parseLayerHeader(bytes.subarray(0, 1023)), isRefused('truncated', /needs/));
    assert.throws(() => diffIdBytes('sha512:00'), isRefused('malformed', /no SHA-256 diff ID/));
  });
});

describe('chunk index', () => {
  it('has its fields where the format says', () => {
    const bytes = encodeChunkIndex(index);
    assert.equal(bytes.length, chunkIndexSize(2));
    assert.equal(chunkIndexFrameSize(bytes.subarray(0, 8)), bytes.length);
    const hex = Buffer.from(bytes).toString('hex');
    const start = [
      '5d2a4d18',
      'f8000000',
      Buffer.from('osguard-chunks\0\0').toString('hex'),
      '01000000',
      '00000100',
    ];
    assert.ok(hex.startsWith(start.join('')));
    assert.equal(hex.slice(240, 248), '03000000');
    assert.deepEqual(parseChunkIndex(bytes), index);
  });

  it('refuses sizes that contradict each other', () => {
    const bytes = encodeChunkIndex(index);
    const bad: readonly (readonly [number, number, string])[] = [
      [4, 0, 'malformed'],
      [7, 1, 'too-large'],
      [0, 0, 'not-this-format'],
      [8, 0, 'not-this-format'],
      [24, 2, 'unsupported'],
      [30, 0, 'malformed'],
      [32, 1, 'malformed'],
      [41, 0, 'malformed'],
      [112, 3, 'malformed'],
      [116, 1, 'malformed'],
      [122, 2, 'malformed'],
    ];
    for (const [at, to, code] of bad) {
      assert.throws(() => parseChunkIndex(changed(bytes, at, to)), isRefused(code, /./), `byte ${at}`);
    }
    assert.throws(() => encodeChunkIndex({ ...index, chunks: [] }), isRefused('not-encodable', /0 chunks/));
    assert.throws(() => encodeChunkIndex({ ...index, chunkSize: 4096 }), isRefused('not-encodable', /4096/));
  });
});
