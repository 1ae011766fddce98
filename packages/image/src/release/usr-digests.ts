/** Digests of every regular file of /usr, by threads where its bytes lie in a few pieces. */

import { createHash } from 'node:crypto';
import type { ErofsExtent, ErofsImage, ErofsNode } from '@osguard/formats/erofs';
import type { FileDigestName } from '../files/file-job.ts';
import type { FileThreads } from '../files/file-threads.ts';

export interface UsrLocation {
  /** The file that holds the EROFS image. */
  readonly path: string;
  /** Byte of that file at which the image begins. */
  readonly offset: number;
}

/** A regular file. */
export interface UsrFile {
  /** From the root of the file system. */
  readonly path: string;
  readonly node: ErofsNode;
}

export interface UsrDigestsOptions {
  readonly location: UsrLocation;
  readonly algorithms: readonly FileDigestName[];
  readonly threads: FileThreads;
  /** The regular files, when the caller has walked the image already. */
  readonly files?: Iterable<UsrFile>;
}

export interface DigestedFile {
  /** Absolute inside the image, for example `/usr/bin/true`. */
  readonly path: string;
  /** In the order of the algorithms, lower-case hex. */
  readonly digests: readonly string[];
}

/** What a thread is given at once: enough to be worth the way, little enough to be shared. */
const batchBytes = 8 * 1024 * 1024;
const batchFiles = 512;
/** An image may claim millions of files. */
const batchesAtOnce = 64;

interface Planned {
  readonly path: string;
  readonly extents: readonly ErofsExtent[];
}

/** In the order of the walk. @throws FormatError for a broken image; system errors reject. */
export async function usrDigests(
  usr: ErofsImage,
  { location, algorithms, threads, files: regular = usr.walk() }: UsrDigestsOptions,
): Promise<readonly DigestedFile[]> {
  const found: DigestedFile[][] = [];
  let running: Promise<void>[] = [];
  let batch: Planned[] = [];
  let bytes = 0;
  const send = (): void => {
    const files = batch;
    const place = found.push([]) - 1;
    const bodies = files.map(({ extents }) => extents);
    const job = threads.digests({ path: location.path, algorithms, bodies }).then((digests) => {
      found[place] = files.map(({ path }, index) => ({ path, digests: digests[index] ?? [] }));
    });
    // Waited for below; until then a failure is not unhandled.
    job.catch(() => undefined);
    running.push(job);
    batch = [];
    bytes = 0;
  };
  for (const { path: inside, node } of regular) {
    if (node.type !== 'file') continue;
    const path = `/usr${inside}`;
    const extents = usr.extents(node);
    if (extents === undefined) {
      send();
      found.push([{ path, digests: digestsHere(usr.chunks(node), algorithms) }]);
      continue;
    }
    const moved = extents.map(({ offset, size }) => ({ offset: location.offset + offset, size }));
    batch.push({ path, extents: moved });
    bytes += node.size;
    if (bytes >= batchBytes || batch.length >= batchFiles) send();
    if (running.length >= batchesAtOnce) {
      await Promise.all(running);
      running = [];
    }
  }
  send();
  await Promise.all(running);
  return found.flat();
}

function digestsHere(chunks: Iterable<Uint8Array>, algorithms: readonly FileDigestName[]): string[] {
  const hashes = algorithms.map((name) => createHash(name));
  for (const chunk of chunks) for (const hash of hashes) hash.update(chunk);
  return hashes.map((hash) => hash.digest('hex'));
}
