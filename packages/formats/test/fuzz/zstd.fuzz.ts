/** Frames of streams: cut anywhere, they must be cut at the same places, and never hang. */

import { zstdCompressSync } from 'node:zlib';
import { ZstdFrames } from '@osguard/formats/zstd';
import type { FuzzTarget } from '@osguard/testkit';
import { defineFuzz } from '@osguard/testkit';

const skipped = Buffer.from('502a4d180a00000030313233343536373839', 'hex');
const random = Buffer.from(Array.from({ length: 3000 }, (_, index) => (index * index * 31) >> 3));

function cut(bytes: Uint8Array, piece: number): string {
  const frames = new ZstdFrames();
  const digests: string[] = [];
  let outcome = 'ended';
  try {
    for (let at = 0; at < bytes.length; at += piece) {
      for (const part of frames.push(bytes.subarray(at, at + piece)))
        digests.push(Buffer.from(part).toString('hex'));
    }
    frames.end();
  } catch (error) {
    outcome = error instanceof Error ? error.message : '';
  }
  return `${outcome} ${digests.join('')}`;
}

export const target: FuzzTarget = defineFuzz({
  name: 'zstd',
  seeds: () => [
    zstdCompressSync(Buffer.from('hello hello hello hello')),
    Buffer.concat([skipped, zstdCompressSync(random), zstdCompressSync(Buffer.alloc(300_000)), skipped]),
  ],
  run(bytes) {
    const whole = cut(bytes, bytes.length + 1);
    const apart = cut(bytes, 1);
    // A frame that is refused may have been handed on in parts already.
    if (whole.startsWith('ended') && whole !== apart) throw new Error('pieces decide what is in a stream');
    const frames = new ZstdFrames();
    for (const _ of frames.push(bytes));
    frames.end();
  },
});
