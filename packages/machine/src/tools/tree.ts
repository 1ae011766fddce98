/**
 * A tools tree: Debian packages of one suite, fetched by the machine's own apt (which checks the archive's signatures)
 * into a folder of ours and unpacked there. No package is installed or configured and no maintainer script runs, so it
 * needs neither root nor namespaces. The tree appears under its final name only when it is complete.
 */

import { createHash, randomUUID } from 'node:crypto';
import {
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';

import { step } from '@osguard/events';
import type { EventSink, StepReport } from '@osguard/events';

import { MachineError } from '../error.ts';
import { isRecord, isStringMap } from '../json.ts';
import { withLock } from '../process/lock.ts';
import { run, runOrThrow } from '../process/run.ts';
import type { RunOptions } from '../process/run.ts';
import { writeAptFolder } from './apt-folder.ts';
import { writeWrappers } from './wrappers.ts';

export interface TreeRequest {
  /** Folder under which trees lie, one per list of packages. */
  readonly folder: string;
  readonly suite: string;
  readonly packages: readonly string[];
  readonly mirror?: string;
  readonly signal?: AbortSignal;
  readonly sink?: EventSink | undefined;
}

export interface Tree {
  readonly path: string;
  /** Names under `<path>/bin`. */
  readonly programs: readonly string[];
  /** Package name → version. */
  readonly packages: Readonly<Record<string, string>>;
}

/** Counts up when the layout of a tree changes, so that older ones are not taken for new. */
const layout = 1;

/** Where the tree for this list of packages lies, or would lie. */
export function treePath(request: Pick<TreeRequest, 'folder' | 'suite' | 'packages'>): string {
  const wanted = JSON.stringify([layout, process.arch, request.suite, [...request.packages].sort()]);
  return join(request.folder, createHash('sha256').update(wanted).digest('hex').slice(0, 16));
}

/** The tree when it was already made, else undefined. */
export function readTree(path: string): Tree | undefined {
  try {
    const tree: unknown = JSON.parse(readFileSync(join(path, 'tree.json'), 'utf8'));
    if (!isRecord(tree) || !Array.isArray(tree['programs']) || !isStringMap(tree['packages']))
      return undefined;
    const programs = tree['programs'].filter((name) => typeof name === 'string');
    return { path, programs, packages: tree['packages'] };
  } catch {
    return undefined;
  }
}

/** The tree, made first when it is not there. Two processes may ask at once: the second waits for the first. */
export async function ensureTree(request: TreeRequest): Promise<Tree> {
  const path = treePath(request);
  const there = readTree(path);
  if (there !== undefined) return there;
  try {
    mkdirSync(request.folder, { recursive: true });
  } catch (cause) {
    throw new MachineError('not-writable', `cannot make the folder ${request.folder}`, {
      hint: 'make it writable, or name another cache folder in XDG_CACHE_HOME',
      cause,
    });
  }
  const onWait = (): void =>
    request.sink?.({
      type: 'warning',
      code: 'tools-lock',
      message: 'another osguard is fetching the tools: waiting for it',
    });
  return await withLock(`${path}.lock`, {
    ...signalOf(request),
    onWait,
    run: async () => readTree(path) ?? (await makeAndRename(path, request)),
  });
}

/** Called with the lock held. */
async function makeAndRename(path: string, request: TreeRequest): Promise<Tree> {
  // Whatever lies under a temporary name was left by somebody who was killed, since the lock is ours.
  const prefix = `${path.slice(request.folder.length + 1)}.new-`;
  for (const name of readdirSync(request.folder))
    if (name.startsWith(prefix)) rmSync(join(request.folder, name), { recursive: true, force: true });
  const temporary = join(request.folder, `${prefix}${randomUUID().slice(0, 8)}`);
  try {
    await makeTree(temporary, request);
    // What lies under the final name could not be read as a tree; a crash before this line leaves only temporaries.
    rmSync(path, { recursive: true, force: true });
    renameSync(temporary, path);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
  const made = readTree(path);
  if (made === undefined) throw new MachineError('tool-failed', `the tools tree ${path} cannot be read back`);
  return made;
}

const signalOf = (request: TreeRequest): RunOptions =>
  request.signal === undefined ? {} : { signal: request.signal };

async function makeTree(folder: string, request: TreeRequest): Promise<void> {
  const { sink } = request;
  const env = await writeAptFolder(join(folder, 'apt'), request);
  const apt = (args: readonly string[], options: RunOptions = {}): ReturnType<typeof run> =>
    runOrThrow({ file: 'apt-get', args: ['-q', ...args], env }, { ...signalOf(request), ...options });
  const lists = { id: 'tools-lists', title: `read the package lists of ${request.suite}` };
  await step(sink, lists, () => apt(['-o', 'APT::Update::Error-Mode=any', 'update']));
  const wanted = ['install', ...request.packages];
  const total = (await apt(['--print-uris', '-y', ...wanted])).stdout
    .split('\n')
    .filter((line) => line.startsWith("'")).length;
  const title = `fetch ${total} packages for ${request.packages.join(', ')}`;
  await step(sink, { id: 'tools-fetch', title }, (report) => {
    let done = 0;
    const onLine = (line: string): void => {
      if (/^Get:\d+ /.test(line)) report.progress({ done: ++done, total, unit: 'packages' });
    };
    return apt(['--download-only', '-y', ...wanted], { onLine });
  });
  await step(sink, { id: 'tools-unpack', title: 'unpack them' }, (report) =>
    unpack(folder, { ...request, report }),
  );
}

async function unpack(folder: string, request: TreeRequest & { readonly report: StepReport }): Promise<void> {
  const root = join(folder, 'root');
  mkdirSync(join(root, 'usr'), { recursive: true });
  // Packages since Debian 13 ship below /usr only; the links are for the loader path built into programs.
  for (const name of ['bin', 'sbin', 'lib', 'lib64']) {
    mkdirSync(join(root, 'usr', name));
    symlinkSync(`usr/${name}`, join(root, name));
  }
  const archives = join(folder, 'apt/archives');
  const files = readdirSync(archives).filter((name) => name.endsWith('.deb'));
  const packages: Record<string, string> = {};
  for (const file of files.sort()) {
    // apt writes NAME_VERSION_ARCH.deb and escapes the epoch's colon.
    const [name = file, version = ''] = file.split('_');
    packages[name] = decodeURIComponent(version);
  }
  const queue = [...files];
  let done = 0;
  const worker = async (): Promise<void> => {
    for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
      const args = ['--extract', join(archives, file), root];
      await runOrThrow({ file: 'dpkg-deb', args, env: {} }, signalOf(request));
      request.report.progress({ done: ++done, total: files.length, unit: 'packages' });
    }
  };
  await Promise.all(Array.from({ length: Math.min(4, availableParallelism()) }, worker));
  for (const name of ['doc', 'man', 'locale', 'info', 'lintian', 'bug'])
    rmSync(join(root, 'usr/share', name), { recursive: true, force: true });
  rmSync(dirname(archives), { recursive: true, force: true });
  const programs = writeWrappers(folder);
  writeFileSync(
    join(folder, 'tree.json'),
    `${JSON.stringify({ suite: request.suite, programs, packages }, null, 2)}\n`,
  );
}
