/** Ways to break bytes that find parser bugs: flips, extreme integers, truncation, repetition, splices. */

import type { Random } from './random.ts';

const extremes = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];

type Mutation = (bytes: Uint8Array, random: Random) => Uint8Array;

const flipBit: Mutation = (bytes, random) => {
  const at = random.below(bytes.length);
  bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
  return bytes;
};

const setExtreme: Mutation = (bytes, random) => {
  const value = extremes[random.below(extremes.length)] ?? 0;
  const width = [1, 2, 4, 8][random.below(4)] ?? 1;
  const at = random.below(Math.max(1, bytes.length - width));
  const little = random.below(2) === 0;
  for (let i = 0; i < width && at + i < bytes.length; i += 1) {
    const shift = little ? i : width - 1 - i;
    bytes[at + i] = shift < 4 ? (value >>> (shift * 8)) & 0xff : value === 0xffff_ffff ? 0xff : 0;
  }
  return bytes;
};

const truncate: Mutation = (bytes, random) => bytes.subarray(0, random.below(bytes.length));

const repeat: Mutation = (bytes, random) => {
  const start = random.below(bytes.length);
  const piece = bytes.subarray(start, start + 1 + random.below(64));
  return Buffer.concat([bytes.subarray(0, start), piece, piece, bytes.subarray(start)]);
};

const move: Mutation = (bytes, random) => {
  const length = 1 + random.below(Math.min(64, bytes.length));
  bytes.copyWithin(
    random.below(bytes.length),
    random.below(bytes.length),
    random.below(bytes.length) + length,
  );
  return bytes;
};

const mutations: readonly Mutation[] = [
  flipBit,
  flipBit,
  setExtreme,
  setExtreme,
  setExtreme,
  truncate,
  repeat,
  move,
];

/** A broken copy of `seed`: between one and four mutations. */
export function mutate(seed: Uint8Array, random: Random): Uint8Array {
  let bytes: Uint8Array = Uint8Array.from(seed);
  const rounds = 1 + random.below(4);
  for (let round = 0; round < rounds && bytes.length > 0; round += 1) {
    const mutation = mutations[random.below(mutations.length)];
    if (mutation !== undefined) bytes = Uint8Array.from(mutation(bytes, random));
  }
  return bytes;
}
