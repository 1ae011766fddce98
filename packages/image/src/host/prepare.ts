/**
 * The installed tree becomes the host's, before the definition adds its own: packages' presets go, our static files,
 * masks and unit links come. Nothing here knows the root hash or the policy yet.
 */

import { join } from 'node:path';
import type { Definition } from '../definition/index.ts';
import type { Lock } from '../packages/index.ts';
import type { RemovedByRule } from '../prune/index.ts';
import type { PackageRecords } from '../root/index.ts';
import type { RootTree } from '../tree/index.ts';
import {
  buildOnlyPackages,
  droppedPaths,
  keptPrograms,
  maskedUnits,
  udevRules,
  unitLinks,
} from './contents.ts';
import { readOwnFiles } from './own-files.ts';
import { dropUnneeded, dropUnneededModules } from './unneeded.ts';

export interface PrepareHostOptions {
  readonly definition: Pick<Definition, 'profile' | 'packages' | 'units' | 'modules'>;
  readonly records: PackageRecords;
  /** Which packages came for the definition's sake (stage `extra`): what they placed is not dropped. */
  readonly lock?: Pick<Lock, 'packages'>;
  /** Dates everything that is added. Seconds since 1970. */
  readonly time: number;
}

const vendorUnits = 'usr/lib/systemd/system';
const ownUnits = 'etc/systemd/system';
const rules = 'usr/lib/udev/rules.d';

/**
 * Changes the tree in place; call it after {@link pruneTree} and before the definition is applied.
 *
 * @returns what went because a hardened host cannot use it
 */
export function prepareHost(tree: RootTree, options: PrepareHostOptions): readonly RemovedByRule[] {
  const { definition, records, time } = options;
  const extra = extraFiles(options);
  const hardened = definition.profile === 'hardened';
  if (hardened) dropBuildOnly(tree, records, new Set(definition.packages));
  const modules = hardened ? dropUnneededModules(tree, { definition, extra }) : [];
  for (const { path } of tree.walk()) {
    if (droppedPaths.some((pattern) => pattern.test(path))) drop(tree, path, extra);
  }
  const unneeded = hardened ? dropUnneeded(tree, { definition, extra }) : [];
  for (const rule of tree.names(rules)) {
    const path = `${rules}/${rule}`;
    if (!udevRules.has(rule) && !extra.has(path)) tree.remove(path);
  }
  // What packages enabled while they were installed depends on their scripts; here it is a list.
  for (const name of tree.names('etc/systemd')) tree.remove(`etc/systemd/${name}`);
  tree.putDirectory(ownUnits, { mtime: time });
  for (const [path, body] of readOwnFiles(join(import.meta.dirname, 'files')))
    tree.putFile(path, body, { mtime: time });
  const wanted = new Set(definition.units.enable);
  for (const unit of maskedUnits) {
    if (!wanted.has(unit)) tree.putLink(`${ownUnits}/${unit}`, '/dev/null', { mtime: time });
  }
  for (const line of unitLinks) {
    const [path = '', target] = line.split(' -> ');
    tree.putLink(`${vendorUnits}/${path}`, target ?? `../${path.split('/').at(-1) ?? ''}`, { mtime: time });
  }
  // IPE kills runc; whoever asks for it gets crun.
  if (tree.has('usr/bin/crun')) tree.putLink('usr/bin/runc', 'crun', { mtime: time });
  return [...modules, ...unneeded].filter(({ paths }) => paths.length > 0);
}

function dropBuildOnly(tree: RootTree, records: PackageRecords, named: ReadonlySet<string>): void {
  for (const { name, files } of records.packages) {
    if (!buildOnlyPackages.has(name) || named.has(name)) continue;
    for (const path of files) {
      const type = tree.get(path)?.type;
      if (type !== undefined && type !== 'directory' && !keptPrograms.has(path)) tree.remove(path);
    }
  }
}

function extraFiles({ definition, records, lock }: PrepareHostOptions): ReadonlySet<string> {
  const extra = new Set(definition.packages);
  for (const { name, stage } of lock?.packages ?? []) if (stage === 'extra') extra.add(name);
  return new Set(records.packages.filter(({ name }) => extra.has(name)).flatMap(({ files }) => files));
}

/** Takes `path` and all below it away, except for what is in `kept`, and the folders that lead there. */
function drop(tree: RootTree, path: string, kept: ReadonlySet<string>): void {
  if (kept.has(path) && tree.get(path)?.type !== 'directory') return;
  for (const name of tree.names(path)) drop(tree, `${path}/${name}`, kept);
  if (tree.names(path).length === 0) tree.remove(path);
}
