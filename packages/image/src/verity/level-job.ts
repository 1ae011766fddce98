/**
 * One level of a tree computed or checked from file to file, by any number of threads at once: each claims the
 * next run of blocks from a shared counter, reads it itself, hashes it, and writes or compares the digests.
 * Nothing is handed between threads but the claims, so that memory does not grow with the image.
 */

import { readSync, writeSync } from 'node:fs';
import { FormatError } from '@osguard/formats/bytes';
import { verityDigestSize } from '@osguard/formats/verity';
import type { BlockHashing, DigestLayout } from './hash-window.ts';
import { HashWindow, hashWindowSize, placeOfDigest } from './hash-window.ts';

/** Plain data: it is sent to worker threads, which share the file descriptors of the process. */
export interface LevelJob {
  readonly mode: 'format' | 'verify';
  readonly hashing: BlockHashing;
  readonly layout: DigestLayout;
  /** Blocks to hash: data, or the level below. Bytes. */
  readonly source: {
    readonly fd: number;
    readonly offset: number;
    readonly blockSize: number;
    readonly blocks: number;
  };
  /** What has to hold the same bytes as the source; when verifying only. */
  readonly twin?: { readonly fd: number; readonly offset: number };
  /** The level that holds their digests: where it begins, in bytes. */
  readonly target: { readonly fd: number; readonly offset: number };
  /** {@link jobControlSize} bytes shared by all threads of the job. */
  readonly control: SharedArrayBuffer;
  /** A thread keeps at most this many findings of each kind; it counts them all. */
  readonly maxFindings: number;
  /** Source blocks that are not compared: nothing that stands above them is proven. */
  readonly unproven?: readonly BlockRange[];
}

/** Blocks from `first` up to, but not including, `end`. */
export interface BlockRange {
  readonly first: number;
  readonly end: number;
}

/** What one thread found in its claims, in rising order. */
export interface LevelFindings {
  /** Source blocks whose digest is not the stored one. */
  readonly bad: readonly number[];
  readonly badCount: number;
  /** Hash blocks whose bytes between or behind the digests are not zero. */
  readonly unclean: readonly number[];
  /** Source blocks that are not the same in the twin. */
  readonly unlike: readonly number[];
}

export const jobControlSize = 16;
const claimsAt = 0;
const stopAt = 1;
const doneAt = 2;

// A claim is 1 MiB of source: under a millisecond of work, so that threads end together.
const claimSize = 1024 * 1024;

function claimBlocks(blockSize: number): number {
  return Math.max(1, claimSize / blockSize);
}

/** Makes all threads of the job end after their current claim. */
export function stopJob(control: SharedArrayBuffer): void {
  Atomics.store(new Int32Array(control), stopAt, 1);
}

/** Source blocks done so far by all threads, roughly (in units of a claim). */
export function blocksDone(job: LevelJob): number {
  const claims = Atomics.load(new Int32Array(job.control), doneAt);
  return Math.min(job.source.blocks, claims * claimBlocks(job.source.blockSize));
}

/**
 * Works on claims until none are left; yields after each, so that a caller on the main thread can breathe.
 * @throws FormatError `truncated` when a file ends too early; system errors pass through.
 */
export function* runClaims(job: LevelJob): Generator<void, LevelFindings> {
  const { source, layout, control } = job;
  const counters = new Int32Array(control);
  const perClaim = claimBlocks(source.blockSize);
  const window = new HashWindow({
    hashing: job.hashing,
    blockSize: source.blockSize,
    blocks: Math.max(1, Math.min(perClaim, hashWindowSize / source.blockSize)),
  });
  // The last claim of a level reaches to the end of its hash block, which may be far behind its digests.
  const computed = Buffer.alloc(placeOfDigest(layout, perClaim) + layout.hashBlockSize);
  const stored = Buffer.alloc(job.mode === 'verify' ? computed.length : 0);
  const bad: number[] = [];
  const unclean: number[] = [];
  const unlike: number[] = [];
  const other = Buffer.allocUnsafeSlow(job.twin === undefined ? 0 : window.blocks * source.blockSize);
  let badCount = 0;
  while (Atomics.load(counters, stopAt) === 0) {
    const first = Atomics.add(counters, claimsAt, 1) * perClaim;
    if (first >= source.blocks) break;
    const end = Math.min(first + perClaim, source.blocks);
    const region = regionOf(layout, { first, end, total: source.blocks });
    const digests = computed.subarray(0, region.end - region.start).fill(0);
    for (let at = first; at < end; at += window.blocks) {
      const count = Math.min(window.blocks, end - at);
      const bytes = window.data.subarray(0, count * source.blockSize);
      readFully(source.fd, bytes, source.offset + at * source.blockSize);
      if (job.twin !== undefined) {
        const same = other.subarray(0, bytes.length);
        readFully(job.twin.fd, same, job.twin.offset + at * source.blockSize);
        // Before hashing, which destroys what is in the window.
        if (!same.equals(bytes) && unlike.length < job.maxFindings) {
          unlike.push(
            at + Math.floor(same.findIndex((octet, index) => octet !== bytes[index]) / source.blockSize),
          );
        }
      }
      window.digestInto(digests, { count, first: at, at: -region.start, layout });
    }
    if (job.mode === 'format') {
      writeFully(job.target.fd, digests, job.target.offset + region.start);
    } else {
      const there = stored.subarray(0, digests.length);
      readFully(job.target.fd, there, job.target.offset + region.start);
      if (!digests.equals(there)) {
        const differing = differences(digests, { there, start: region.start, first, end, job });
        for (const block of differing.bad.slice(0, job.maxFindings - bad.length)) bad.push(block);
        for (const block of differing.unclean.slice(0, job.maxFindings - unclean.length)) unclean.push(block);
        badCount += differing.bad.length;
      }
    }
    Atomics.add(counters, doneAt, 1);
    yield;
  }
  return { bad, badCount, unclean, unlike };
}

interface Run {
  readonly first: number;
  readonly end: number;
  /** Digests of the whole level. */
  readonly total: number;
}

/** Bytes of the level that hold a run of digests; the end of a hash block belongs to its last digest. */
function regionOf(layout: DigestLayout, { first, end, total }: Run): { start: number; end: number } {
  const start = placeOfDigest(layout, first);
  const whole = end % layout.digestsPerBlock === 0 || end === total;
  const lastBlock = Math.floor((end - 1) / layout.digestsPerBlock);
  return { start, end: whole ? (lastBlock + 1) * layout.hashBlockSize : placeOfDigest(layout, end) };
}

interface Comparison {
  readonly there: Buffer;
  readonly start: number;
  readonly first: number;
  readonly end: number;
  readonly job: LevelJob;
}

/** Which digests differ; and, once those are set equal, which hash blocks differ elsewhere. */
function differences(digests: Buffer, options: Comparison): { bad: number[]; unclean: number[] } {
  const { there, start, first, end, job } = options;
  const { layout, unproven = [] } = job;
  const bad: number[] = [];
  for (let index = first; index < end; index += 1) {
    const at = placeOfDigest(layout, index) - start;
    const until = at + layout.digestSize;
    const differs = digests.compare(there, at, until, at, until) !== 0;
    if (differs && !unproven.some((range) => index >= range.first && index < range.end)) bad.push(index);
    digests.copy(there, at, at, until);
  }
  const unclean = new Set<number>();
  for (let at = 0; at < there.length; at += 1) {
    if (there[at] !== digests[at]) unclean.add(Math.floor((start + at) / layout.hashBlockSize));
  }
  return { bad, unclean: [...unclean] };
}

/** The digest of one block, for example of the top block: the root hash. @throws FormatError `truncated` */
export function digestOfBlock(hashing: BlockHashing, source: Omit<LevelJob['source'], 'blocks'>): Buffer {
  const window = new HashWindow({ hashing, blockSize: source.blockSize, blocks: 1 });
  readFully(source.fd, window.data, source.offset);
  const size = verityDigestSize(hashing.algorithm);
  const digest = Buffer.alloc(size);
  const layout = { digestSize: size, digestStride: size, digestsPerBlock: 1, hashBlockSize: size };
  window.digestInto(digest, { count: 1, first: 0, at: 0, layout });
  return digest;
}

/** Fills `bytes` from `position`. @throws FormatError `truncated` */
export function readFully(fd: number, bytes: Uint8Array, position: number): void {
  let done = 0;
  while (done < bytes.length) {
    const count = readSync(fd, bytes, done, bytes.length - done, position + done);
    if (count === 0) {
      throw new FormatError('truncated', `${bytes.length - done} bytes are missing`, {
        offset: position + done,
      });
    }
    done += count;
  }
}

/** Writes all of `bytes` at `position`: a single write may stop early. */
export function writeFully(fd: number, bytes: Uint8Array, position: number): void {
  let done = 0;
  while (done < bytes.length) done += writeSync(fd, bytes, done, bytes.length - done, position + done);
}
