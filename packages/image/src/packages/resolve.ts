/** Definition to the exact list of packages. apt decides and checks the archive's signatures; osguard writes it down. */

import { createHash } from 'node:crypto';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { EventSink } from '@osguard/events';
import { z } from 'zod';

import type { Definition } from '../definition/index.ts';
import { ImageError } from '../error.ts';
import { withFolderLock } from '../process/folder-lock.ts';
import type { AptRoot, ArchiveState, PlannedPackage } from './apt-root.ts';
import { openAptRoot, parseFileName } from './apt-root.ts';
import { ownStanza, packageRequest } from './base-set.ts';
import type { Request } from './base-set.ts';
import type { ArchiveName, Lock, LockedPackage, Stage } from './lock.ts';
import type { Mirrors } from './mirrors.ts';
import { findMirrors } from './mirrors.ts';

export interface ResolvePackagesOptions {
  /** Of this user, shared by builds. */
  readonly cacheFolder: string;
  /** Folder of the definition. */
  readonly folder: string;
  readonly sink?: EventSink | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Asks apt twice, always: for the base set alone, then for the definition's packages on top of it. So the base set
 * of a host does not depend on what the definition adds.
 */
export async function resolvePackages(
  definition: Definition,
  options: ResolvePackagesOptions,
): Promise<Lock> {
  const { signal, sink } = options;
  const { distribution } = definition;
  const mirrors = await findMirrors(distribution, options);
  if (mirrors.bases.security === undefined) {
    sink?.({
      type: 'warning',
      code: 'no-security-archive',
      message: 'packages come without security updates: no mirror of the security archive is known',
      hint: 'name one in the definition: distribution: {securityMirror: URL}',
    });
  }
  const key = createHash('sha256')
    .update(JSON.stringify([mirrors, distribution.suite, distribution.components, distribution.backports]))
    .digest('hex')
    .slice(0, 16);
  const folder = join(options.cacheFolder, 'apt', key);
  return await withFolderLock(folder, { signal }, async () => {
    const apt = await openAptRoot({ folder, distribution, mirrors, signal, sink });
    await apt.update();
    const state = await apt.state();
    return await planLock(remembering(apt, folder, state), {
      definition,
      mirrors,
      state,
      request: packageRequest(definition),
    });
  });
}

/** Keeps apt's answers beside its indexes: the same question to the same archive has the same answer. */
function remembering(apt: AptRoot, folder: string, state: ArchiveState): Planner {
  return {
    async plan(wanted, installed) {
      const question = JSON.stringify([
        state.digest,
        wanted,
        installed.map(({ fileName }) => fileName),
        ownStanza(),
      ]);
      const path = join(
        folder,
        `plan-${createHash('sha256').update(question).digest('hex').slice(0, 32)}.json`,
      );
      const known = await readFile(path, 'utf8').then(parsePlan, () => undefined);
      if (known !== undefined) return known;
      const answer = await apt.plan(wanted, installed);
      await writeFile(`${path}.tmp`, JSON.stringify(answer));
      await rename(`${path}.tmp`, path);
      return answer;
    },
  };
}

const rememberedPlan: z.ZodType<readonly PlannedPackage[]> = z.array(
  z.strictObject({ uri: z.string(), fileName: z.string(), size: z.int(), sha256: z.string() }),
);

function parsePlan(text: string): readonly PlannedPackage[] | undefined {
  try {
    return rememberedPlan.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

type Planner = Pick<AptRoot, 'plan'>;

interface PlanContext {
  readonly state: ArchiveState;
  readonly definition: Definition;
  readonly mirrors: Mirrors;
  readonly request: Request;
}

async function planLock(apt: Planner, { definition, mirrors, request, state }: PlanContext): Promise<Lock> {
  const base = await plan(apt, { wanted: [...request.base, '?essential'], installed: [] });
  const extra = request.extra.length === 0 ? [] : await plan(apt, { wanted: request.extra, installed: base });
  const locked = (stage: Stage) => (planned: PlannedPackage) => lockedPackage(planned, { stage, mirrors });
  const packages = [...base.map(locked('base')), ...extra.map(locked('extra'))];
  return {
    schema: 'osguard-lock/v1',
    architecture: 'amd64',
    suite: definition.distribution.suite,
    time: state.time,
    request,
    packages: packages.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
  };
}

async function plan(
  apt: Planner,
  {
    wanted,
    installed,
  }: { readonly wanted: readonly string[]; readonly installed: readonly PlannedPackage[] },
): Promise<readonly PlannedPackage[]> {
  try {
    return await apt.plan(wanted, installed);
  } catch (error) {
    if (!(error instanceof ImageError) || error.code !== 'tool-failed') throw error;
    const unknown = [...error.message.matchAll(/Unable to locate package (\S+)/g)].map(([, name]) => name);
    if (unknown.length === 0) throw error;
    throw new ImageError('package', `the archive has no package ${unknown.join(', ')}`, {
      cause: error,
      hint: 'look for its name with apt-cache search, or drop it from `packages`',
      data: { unknown },
    });
  }
}

function lockedPackage(
  planned: PlannedPackage,
  context: { readonly stage: Stage; readonly mirrors: Mirrors },
): LockedPackage {
  const { name, version, architecture } = parseFileName(planned.fileName);
  if (architecture !== 'amd64' && architecture !== 'all') {
    throw new ImageError('package', `${name} is for ${architecture}, not amd64`);
  }
  const { archive, path } = placeInArchive(planned.uri, context.mirrors);
  const { size, sha256 } = planned;
  return { name, version, architecture, archive, path, size, sha256, stage: context.stage };
}

function placeInArchive(
  uri: string,
  { bases }: Mirrors,
): { readonly archive: ArchiveName; readonly path: string } {
  for (const archive of ['security', 'debian'] as const) {
    const base = bases[archive];
    if (base !== undefined && uri.startsWith(`${base}/`))
      return { archive, path: uri.slice(base.length + 1) };
  }
  throw new ImageError('package', `${uri} is on none of the mirrors asked`);
}

function same(a: readonly string[], b: readonly string[]): boolean {
  return a.join(' ') === b.join(' ');
}

/** True when `lock` answers what the definition asks for. */
export function lockFits(lock: Lock, definition: Definition): boolean {
  const { base, extra } = packageRequest(definition);
  return (
    lock.suite === definition.distribution.suite &&
    same(lock.request.base, base) &&
    same(lock.request.extra, extra)
  );
}
