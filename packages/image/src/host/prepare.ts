/**
 * The installed tree becomes the host's, before the definition adds its own: packages' presets go, our static files,
 * masks and unit links come. Nothing here knows the root hash or the policy yet.
 */

import { join } from 'node:path';
import type { Definition } from '../definition/index.ts';
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

export interface PrepareHostOptions {
  readonly definition: Pick<Definition, 'profile' | 'packages' | 'units'>;
  readonly records: PackageRecords;
  /** Dates everything that is added. Seconds since 1970. */
  readonly time: number;
}

const vendorUnits = 'usr/lib/systemd/system';
const ownUnits = 'etc/systemd/system';

/** Changes the tree in place; call it after {@link pruneTree} and before the definition is applied. */
export function prepareHost(tree: RootTree, { definition, records, time }: PrepareHostOptions): void {
  if (definition.profile === 'hardened') dropBuildOnly(tree, records, new Set(definition.packages));
  dropPaths(tree);
  for (const rule of tree.names('usr/lib/udev/rules.d')) {
    const owner = records.owners.get(`usr/lib/udev/rules.d/${rule}`);
    if (!udevRules.has(rule) && !(owner !== undefined && definition.packages.includes(owner))) {
      tree.remove(`usr/lib/udev/rules.d/${rule}`);
    }
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

function dropPaths(tree: RootTree): void {
  for (const { path } of tree.walk())
    if (droppedPaths.some((pattern) => pattern.test(path))) tree.remove(path);
}
