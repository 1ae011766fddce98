/**
 * Locked packages to an installed root, in two stages, always: the base set, then on top of it what the definition
 * adds. Each stage's result is kept by the digest of what went into it, so that the next build begins where
 * something changed; the bits are the same whether a stage ran or was found.
 */

import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import type { EventSink } from '@osguard/events';
import { step } from '@osguard/events';

import { ImageError } from '../error.ts';
import type { Lock, PackageFiles, Stage } from '../packages/index.ts';
import type { RootTree } from '../tree/index.ts';
import { rootContents } from './contents.ts';
import { readControl } from './deb.ts';
import { loadTree } from './load-tree.ts';
import type { NamespaceStage } from './namespace-job.ts';
import { runInNamespace } from './namespace.ts';
import { normalizeTree } from './normalize.ts';
import type { InstallPlan, PlannedInstall } from './plan.ts';
import { planInstall } from './plan.ts';
import { workFolder } from './script.ts';

export interface FetchRootTreeOptions {
  readonly cacheFolder: string;
  /** From fetchPackages; as a function it is called only when something has to be installed. */
  readonly packages: PackageFiles | (() => Promise<PackageFiles>);
  /** Folder for the root while it is installed; without it the root is in memory when there is plenty, else in $TMPDIR. */
  readonly temporary?: string | undefined;
  readonly sink?: EventSink | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Changes whenever the same packages would give another tree. */
const recipe = 'osguard root tree 2';

/** osguard builds the SELinux policy itself, with its own modules in the same compilation. */
const scriptless: ReadonlySet<string> = new Set(['selinux-policy-default']);

/** Trees kept of each stage; a tree is some hundred megabytes. */
const keptTrees = 3;

export async function fetchRootTree(lock: Lock, options: FetchRootTreeOptions): Promise<RootTree> {
  const { sink } = options;
  const folder = join(options.cacheFolder, 'trees');
  await mkdir(folder, { recursive: true });
  const keys = treeKeys(lock);
  const tars = {
    base: join(folder, `base-${keys.base}.tar`),
    extra: join(folder, `extra-${keys.extra}.tar`),
  };
  const hasExtra = lock.packages.some(({ stage }) => stage === 'extra');
  const result = hasExtra ? tars.extra : tars.base;
  await step(sink, { id: 'root-tree', title: 'install packages' }, async (report) => {
    if (await exists(result)) {
      report.cached(`${lock.packages.length} packages`);
      return;
    }
    const total = lock.packages.length;
    let done = 0;
    const onPackage = (): void => {
      done += 1;
      report.progress({ done, total, unit: 'packages' });
    };
    await install({ lock, options, tars, hasExtra, onPackage });
    report.detail(`${total} packages`);
    await forgetOld(folder);
  });
  const now = new Date();
  await utimes(result, now, now);
  const tree = loadTree(result);
  const { keys: generated } = normalizeTree(tree, lock.time);
  if (generated.length > 0) {
    sink?.({
      type: 'warning',
      code: 'generated-key',
      message: `keys that packages made while they were installed are left out: ${generated.map((path) => `/${path}`).join(', ')}`,
      hint: 'have the service make its own on the first start',
    });
  }
  return tree;
}

interface InstallJob {
  readonly lock: Lock;
  readonly options: FetchRootTreeOptions;
  readonly tars: Readonly<Record<Stage, string>>;
  readonly hasExtra: boolean;
  readonly onPackage: () => void;
}

async function install({ lock, options, tars, hasExtra, onPackage }: InstallJob): Promise<void> {
  const { signal, sink, temporary } = options;
  const { time } = lock;
  const installs = await readPackages(lock, options);
  const isPart =
    (stage: Stage) =>
    ({ name }: PlannedInstall): boolean =>
      stageOf.get(name) === stage;
  const stageOf = new Map(lock.packages.map(({ name, stage }) => [name, stage]));
  const base = installs.filter(isPart('base'));
  const plans = {
    base: planInstall(base, { installed: [], scriptless }),
    extra: planInstall(installs.filter(isPart('extra')), { installed: base, scriptless }),
  };
  const parts = { base: partName(tars.base), extra: partName(tars.extra) };
  const baseReady = Promise.withResolvers<RootTree>();
  const stageFor = (stage: Stage, plan: InstallPlan): NamespaceStage => ({
    archive: rootContents(plan, {
      stage,
      time,
      signal,
      onPackage,
      present: stage === 'base' ? undefined : baseReady.promise,
    }),
    script: `${workFolder}/install.sh`,
    output: parts[stage],
    remove: [workFolder],
  });
  const haveBase = await exists(tars.base);
  const first: NamespaceStage = haveBase
    ? { archive: createReadStream(tars.base, { highWaterMark: 1 << 20 }) }
    : stageFor('base', plans.base);
  if (haveBase) baseReady.resolve(loadTree(tars.base));
  const stages = hasExtra ? [first, stageFor('extra', plans.extra)] : [first];
  const onOutput = (index: number): void => {
    if (index === 0 && !haveBase) baseReady.resolve(loadTree(parts.base));
  };
  try {
    const memory = temporary === undefined ? await memoryFor(lock) : 0;
    await runInNamespace({ stages, time, memory, temporary, sink, signal, onOutput });
    if (!haveBase) await rename(parts.base, tars.base);
    if (hasExtra) await rename(parts.extra, tars.extra);
  } finally {
    await rm(parts.base, { force: true });
    await rm(parts.extra, { force: true });
  }
}

/** Bytes of memory the root may take while it is installed; 0 when the disk is the better place. */
async function memoryFor(lock: Lock): Promise<number> {
  const info = await readFile('/proc/meminfo', 'utf8').catch(() => '');
  const available = Number(/^MemAvailable: +(\d+) kB$/m.exec(info)?.[1] ?? 0) * 1024;
  // Compressed packages unpack to three or four times their size.
  const needed = lock.packages.reduce((sum, { size }) => sum + size, 0) * 6;
  return available > 2 * needed ? Math.floor(available / 2) : 0;
}

async function readPackages(
  lock: Lock,
  { packages, signal }: FetchRootTreeOptions,
): Promise<PlannedInstall[]> {
  const files = typeof packages === 'function' ? await packages() : packages;
  const queue = lock.packages.values();
  const found: PlannedInstall[] = [];
  const worker = async (): Promise<void> => {
    for (const { name, sha256 } of queue) {
      const deb = files.get(name);
      if (deb === undefined) throw new ImageError('package', `${name} (${sha256}) was not fetched`);
      found.push({ name, deb, control: await readControl(deb, signal) });
    }
  };
  await Promise.all(Array.from({ length: 4 }, worker));
  return found.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** What decides the bits of each stage. */
function treeKeys(lock: Lock): Readonly<Record<Stage, string>> {
  const of = (stage: Stage): string[] =>
    lock.packages.flatMap((entry) => (entry.stage === stage ? [`${entry.name} ${entry.sha256}`] : []));
  const base = digest([recipe, lock.time, of('base')]);
  return { base, extra: digest([recipe, base, of('extra')]) };
}

function digest(parts: unknown): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 32);
}

function partName(path: string): string {
  return `${path}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`;
}

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  );
}

async function forgetOld(folder: string): Promise<void> {
  const found = await Promise.all(
    (await readdir(folder)).map(async (name) => ({ name, mtime: (await stat(join(folder, name))).mtimeMs })),
  );
  for (const prefix of ['base-', 'extra-']) {
    const trees = found
      .filter(({ name }) => name.startsWith(prefix) && name.endsWith('.tar'))
      .toSorted((a, b) => b.mtime - a.mtime);
    for (const { name } of trees.slice(keptTrees)) await rm(join(folder, name), { force: true });
  }
}
