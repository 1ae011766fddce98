/**
 * Work on the bytes of files that threads can do alone: digests of stretches, a comparison of two stretches, a look for
 * anything but zeros, a part in a level of a hash tree. Everything is read in pieces that stay in the processor's cache.
 */

import type { Hash } from 'node:crypto';
import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import type { LevelFindings, LevelJob } from '../verity/level-job.ts';
import { runClaims } from '../verity/level-job.ts';

/** Bytes of a file that follow each other. */
export interface FileArea {
  readonly path: string;
  /** Byte of the file. */
  readonly offset: number;
  /** Bytes. */
  readonly size: number;
}

export type FileDigestName = 'sha1' | 'sha256';

/** Several bodies of one file, each hashed from its pieces in order. */
export interface DigestJob {
  readonly kind: 'digest';
  readonly path: string;
  readonly algorithms: readonly FileDigestName[];
  readonly bodies: readonly (readonly Omit<FileArea, 'path'>[])[];
}

/** Where two stretches of the same size differ. */
export interface CompareJob {
  readonly kind: 'compare';
  readonly area: FileArea;
  readonly other: Omit<FileArea, 'size'>;
}

/** Where a stretch is not zero. */
export interface ZerosJob {
  readonly kind: 'zeros';
  readonly area: FileArea;
}

/** Runs of blocks of a level that others work on too, until none is left. */
export interface LevelShareJob {
  readonly kind: 'level';
  readonly job: LevelJob;
}

export type FileJob = DigestJob | CompareJob | ZerosJob | LevelShareJob;

export interface FileJobResult {
  /** Of a digest job, per body in the order of the algorithms, lower-case hex. */
  readonly digests: readonly (readonly string[])[];
  /** Of the others, from the start of the stretch; absent when there is no such byte. */
  readonly at?: number;
  /** Of a level. */
  readonly findings?: LevelFindings;
}

/** Whether the caller is the one who does the job: true for the first who asks, of all threads. */
export function claimJob(claim: Int32Array): boolean {
  return Atomics.exchange(claim, 0, 1) === 0;
}

/** Read by pieces of this many bytes: two of them fit in a second-level cache. */
const pieceSize = 128 * 1024;

/** Jobs of a thread run one after another: what they work in is made once. */
const memory = [Buffer.allocUnsafeSlow(pieceSize), Buffer.allocUnsafeSlow(pieceSize)] as const;
const zeros: Buffer = Buffer.alloc(pieceSize);

/**
 * @throws system errors, an error with the code `TRUNCATED` where a file ends too early, FormatError where a level does.
 */
export function runFileJob(job: FileJob): FileJobResult {
  if (job.kind === 'digest') return digest(job);
  if (job.kind === 'level') return { digests: [], findings: findingsOf(job.job) };
  const at = job.kind === 'compare' ? firstDifference(job) : firstNonZero(job.area);
  return { digests: [], ...(at !== undefined && { at }) };
}

function findingsOf(job: LevelJob): LevelFindings {
  const claims = runClaims(job);
  for (;;) {
    const step = claims.next();
    if (step.done === true) return step.value;
  }
}

function digest({ path, algorithms, bodies }: DigestJob): FileJobResult {
  using file = open(path);
  const digests = bodies.map((body) => {
    const hashes = algorithms.map((name): Hash => createHash(name));
    for (const { offset, size } of body) {
      for (let done = 0; done < size; done += pieceSize) {
        const bytes = file.read(offset + done, Math.min(pieceSize, size - done));
        for (const hash of hashes) hash.update(bytes);
      }
    }
    return hashes.map((hash) => hash.digest('hex'));
  });
  return { digests };
}

function firstDifference({ area, other }: CompareJob): number | undefined {
  using one = open(area.path);
  using two = open(other.path, 1);
  for (let done = 0; done < area.size; done += pieceSize) {
    const length = Math.min(pieceSize, area.size - done);
    const a = one.read(area.offset + done, length);
    const b = two.read(other.offset + done, length);
    if (!a.equals(b)) return done + a.findIndex((octet, index) => octet !== b[index]);
  }
  return undefined;
}

function firstNonZero({ path, offset, size }: FileArea): number | undefined {
  using file = open(path);
  for (let done = 0; done < size; done += pieceSize) {
    const bytes = file.read(offset + done, Math.min(pieceSize, size - done));
    if (!bytes.equals(zeros.subarray(0, bytes.length))) {
      return done + bytes.findIndex((octet) => octet !== 0);
    }
  }
  return undefined;
}

interface OpenFile extends Disposable {
  /** Valid until the next read. */
  read(offset: number, length: number): Buffer;
}

/** @param place Which memory to read into: two files that are open at once need two. */
function open(path: string, place: 0 | 1 = 0): OpenFile {
  const fd = openSync(path, 'r');
  const buffer = memory[place];
  return {
    read(offset, length) {
      let done = 0;
      while (done < length) {
        const count = readSync(fd, buffer, done, length - done, offset + done);
        if (count === 0) throw truncated(path, offset + done);
        done += count;
      }
      return buffer.subarray(0, length);
    },
    [Symbol.dispose]: () => closeSync(fd),
  };
}

function truncated(path: string, offset: number): Error {
  // The shape of a system error: verification reports those as a finding of the check.
  return Object.assign(new Error(`${path} ends before byte ${offset + 1}`), {
    code: 'TRUNCATED',
    syscall: 'read',
  });
}
