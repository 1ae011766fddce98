/**
 * Locked packages on disk: `<cache>/packages/<sha256>.deb`, shared by all builds of this user. A file that is there
 * under its name was whole and had that hash when it was put there; {@link fetchPackages} checks it again on use.
 */

import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open as openPath, rename, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EventSink } from '@osguard/events';
import { isAbort, step } from '@osguard/events';

import { ImageError } from '../error.ts';
import type { Lock, LockedPackage } from './lock.ts';
import type { Mirrors } from './mirrors.ts';
import type { OpenUrl } from './open-url.ts';
import { createOpenUrl, FinalAnswer } from './open-url.ts';

/** `$XDG_CACHE_HOME/osguard`, or the same below `~/.cache`. */
export function defaultCacheFolder(): string {
  const base = process.env['XDG_CACHE_HOME'];
  return join(base !== undefined && base.startsWith('/') ? base : join(homedir(), '.cache'), 'osguard');
}

export interface FetchPackagesOptions {
  readonly cacheFolder: string;
  /** Called only when something is missing, so that a warm build asks apt nothing. */
  readonly mirrors: () => Promise<Mirrors>;
  readonly sink?: EventSink | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Downloads at the same time; 8 unless given. */
  readonly parallel?: number;
  readonly open?: OpenUrl;
}

/** Paths of the .debs by package name. */
export type PackageFiles = ReadonlyMap<string, string>;

export async function fetchPackages(lock: Lock, options: FetchPackagesOptions): Promise<PackageFiles> {
  const { cacheFolder, sink } = options;
  const folder = join(cacheFolder, 'packages');
  await mkdir(folder, { recursive: true });
  return await step(sink, { id: 'packages', title: 'fetch packages' }, async (report) => {
    const files = new Map(lock.packages.map((entry) => [entry.name, join(folder, `${entry.sha256}.deb`)]));
    const missing: LockedPackage[] = [];
    for (const entry of lock.packages) {
      if (!(await isCached(files.get(entry.name) ?? '', entry))) missing.push(entry);
    }
    if (missing.length === 0) {
      report.cached(`${lock.packages.length} packages`);
      return files;
    }
    const total = missing.reduce((sum, { size }) => sum + size, 0);
    let done = 0;
    const onBytes = (count: number): void => {
      done += count;
      report.progress({ done, total, unit: 'bytes' });
    };
    const mirrors = await options.mirrors();
    const open = options.open ?? createOpenUrl(mirrors.proxies);
    await inParallel(missing, options.parallel ?? 8, async (entry) => {
      await fetchOne(entry, { path: files.get(entry.name) ?? '', mirrors, open, onBytes, options });
    });
    report.detail(`${missing.length} of ${lock.packages.length} packages, ${Math.round(total / 1e6)} MB`);
    return files;
  });
}

async function isCached(path: string, { size, sha256 }: LockedPackage): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) return false;
  if (found.size === size && (await digestOf(path)) === sha256) return true;
  await rm(path, { force: true });
  return false;
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  const stream: AsyncIterable<Buffer> = createReadStream(path, { highWaterMark: 1 << 20 });
  for await (const chunk of stream) hash.update(chunk);
  return hash.digest('hex');
}

interface FetchOne {
  readonly path: string;
  readonly mirrors: Mirrors;
  readonly open: OpenUrl;
  readonly onBytes: (count: number) => void;
  readonly options: FetchPackagesOptions;
}

/** How often a place is asked again after a failure of the network. */
const attempts = 4;

async function fetchOne(entry: LockedPackage, context: FetchOne): Promise<void> {
  const { mirrors } = context;
  const { signal } = context.options;
  const places = [mirrors.bases[entry.archive], mirrors.snapshots[entry.archive]].filter(
    (base) => base !== undefined,
  );
  const failures: string[] = [];
  for (const base of places) {
    const url = `${base}/${entry.path}`;
    for (let attempt = 1; attempt <= attempts; attempt += 1) {
      try {
        await download(url, entry, context);
        return;
      } catch (error) {
        if (signal?.aborted === true || isAbort(error)) throw error;
        const problem = error instanceof Error ? error.message : String(error);
        const final = error instanceof FinalAnswer || attempt === attempts;
        if (final) failures.push(`${url}: ${problem}`);
        if (final) break;
        await sleep(200 * 4 ** (attempt - 1), undefined, signal === undefined ? {} : { signal });
      }
    }
  }
  if (places.length === 0) failures.push(`no mirror of the ${entry.archive} archive is known`);
  throw new ImageError('package', `${entry.name} ${entry.version} cannot be had:\n${failures.join('\n')}`, {
    hint: 'build without --lock to take the current versions, or name an archive of former states: distribution: {snapshot: {mirror: URL}}',
    data: { package: entry.name, version: entry.version, sha256: entry.sha256 },
  });
}

async function download(
  url: string,
  entry: LockedPackage,
  { path, open, onBytes, options }: FetchOne,
): Promise<void> {
  const { status, body } = await open(url, { signal: options.signal });
  if (status !== 200) {
    body.destroy();
    const message = `the server answered ${status}`;
    throw status === 404 || status === 403 || status === 410 ? new FinalAnswer(message) : new Error(message);
  }
  const part = `${path}.${process.pid}.${randomBytes(4).toString('hex')}.tmp`;
  const file = await openPath(part, 'wx');
  let size = 0;
  try {
    const hash = createHash('sha256');
    for await (const chunk of body) {
      size += chunk.length;
      if (size > entry.size) throw new FinalAnswer(`more than the locked ${entry.size} bytes came`);
      hash.update(chunk);
      await file.write(chunk);
      onBytes(chunk.length);
    }
    if (size < entry.size) throw new Error(`only ${size} of ${entry.size} bytes came`);
    const sha256 = hash.digest('hex');
    if (sha256 !== entry.sha256) throw new FinalAnswer(`sha256 is ${sha256}, the lock says ${entry.sha256}`);
    await file.close();
    // Not synced: after a crash the file may be damaged, and the check on the next use drops it.
    await rename(part, path);
  } catch (error) {
    onBytes(-size);
    await file.close().catch(() => undefined);
    await rm(part, { force: true });
    throw error;
  }
}

async function inParallel<T>(
  items: readonly T[],
  parallel: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const queue = items.values();
  const worker = async (): Promise<void> => {
    for (const item of queue) await work(item);
  };
  const results = await Promise.allSettled(Array.from({ length: parallel }, worker));
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}
