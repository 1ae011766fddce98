/** Takes out of an installed tree what the hardened profile does not want, and says what that breaks. */

import type { Definition } from '../definition/index.ts';
import type { PackageRecords } from '../root/package-records.ts';
import { bodySize } from '../tree/index.ts';
import type { RootTree } from '../tree/index.ts';
import type { BrokenReference } from './references.ts';
import { findBroken } from './references.ts';
import { pruneRules } from './rules.ts';
import type { PruneRule } from './rules.ts';

export interface RemovedByRule {
  readonly rule: string;
  readonly why: string;
  /** Sorted, without leading slash. */
  readonly paths: readonly string[];
  readonly bytes: number;
}

export interface SetIdProgram {
  readonly path: string;
  /** As it was installed. */
  readonly mode: number;
  readonly kept: boolean;
  /** The definition's reason, when it was kept. */
  readonly why?: string;
}

export interface PruneReport {
  readonly removed: readonly RemovedByRule[];
  /** Scripts and units that name a program that is not in the image. */
  readonly broken: readonly BrokenReference[];
  readonly setId: readonly SetIdProgram[];
  /** Programs with file capabilities; they keep them. */
  readonly capabilities: readonly string[];
  /** Interpreters the definition keeps. */
  readonly interpreters: readonly { readonly path: string; readonly why: string }[];
}

export interface PruneOptions {
  readonly definition: Pick<Definition, 'profile' | 'interpreters' | 'setuid'>;
  /** Read before, because the database they come from goes too. */
  readonly records: PackageRecords;
}

/** Changes the tree in place. In the general profile only set-ID bits are taken. */
export function pruneTree(tree: RootTree, { definition, records }: PruneOptions): PruneReport {
  const removed: RemovedByRule[] = [];
  const kept = keptPaths(tree, definition.interpreters);
  if (definition.profile === 'hardened') {
    for (const rule of pruneRules) removed.push(applyRule(tree, rule, { records, kept }));
    removed.push(removeDangling(tree), removeScripts(tree));
  }
  return {
    removed: removed.filter(({ paths }) => paths.length > 0),
    broken: findBroken(tree),
    setId: stripSetId(tree, definition),
    capabilities: [...tree.walk()].flatMap(({ path, node }) =>
      node.xattrs.has('security.capability') ? [path] : [],
    ),
    interpreters: definition.interpreters,
  };
}

/** The named paths and what they are links to: naming /usr/bin/sh keeps dash. */
function keptPaths(tree: RootTree, named: Definition['interpreters']): ReadonlySet<string> {
  const kept = new Set<string>();
  for (const { path } of named) {
    let at: string | undefined = path.slice(1);
    for (let links = 0; at !== undefined && links < 10; links += 1) {
      const folder = tree.resolve(at.slice(0, at.lastIndexOf('/')));
      const real: string = folder === undefined ? at : `${folder}/${at.slice(at.lastIndexOf('/') + 1)}`;
      kept.add(real);
      const node = tree.get(real);
      if (node?.type !== 'symlink' || node.target === undefined) break;
      at = node.target.startsWith('/')
        ? node.target.slice(1)
        : `${real.slice(0, real.lastIndexOf('/'))}/${node.target}`;
    }
  }
  return kept;
}

interface RuleContext {
  readonly records: PackageRecords;
  readonly kept: ReadonlySet<string>;
}

function applyRule(tree: RootTree, rule: PruneRule, { records, kept }: RuleContext): RemovedByRule {
  const paths: string[] = [];
  let bytes = 0;
  const take = (path: string): void => {
    if (kept.has(path) || !tree.has(path)) return;
    bytes += sizeBelow(tree, path);
    tree.remove(path);
    paths.push(path);
  };
  const others = records.packages.filter(({ name }) => rule.packages?.test(name) !== true);
  // Folders of packages that stay do so too, even when they end empty: programs expect them.
  const shared = new Set(rule.packages === undefined ? [] : others.flatMap(({ files }) => files));
  for (const entry of records.packages) {
    if (rule.packages?.test(entry.name) !== true) continue;
    // An interpreter that is kept needs the rest of its package.
    if (rule.interpreters === true && entry.files.some((path) => kept.has(path))) continue;
    for (const path of entry.files) if (tree.get(path)?.type !== 'directory') take(path);
    for (const path of entry.files.toReversed())
      if (!shared.has(path) && isEmptyFolder(tree, path)) tree.remove(path);
  }
  const { paths: pattern } = rule;
  if (pattern !== undefined) {
    for (const { path } of tree.walk()) if (pattern.test(path)) take(path);
  }
  return { rule: rule.id, why: rule.why, paths: paths.toSorted(), bytes };
}

function isEmptyFolder(tree: RootTree, path: string): boolean {
  return tree.get(path)?.type === 'directory' && tree.names(path).length === 0;
}

function sizeBelow(tree: RootTree, path: string): number {
  const node = tree.get(path);
  let bytes = node === undefined ? 0 : bodySize(node);
  for (const { node: below } of tree.walk(path)) bytes += bodySize(below);
  return bytes;
}

/** Links in program folders whose program went. Links elsewhere may point at what exists on the running host only. */
function removeDangling(tree: RootTree): RemovedByRule {
  const paths: string[] = [];
  for (let found = true; found;) {
    found = false;
    for (const { path, node } of tree.walk()) {
      if (
        node.type !== 'symlink' ||
        !/^(?:usr\/(?:local\/)?(?:s?bin|games|lib\/[^/]+)|etc\/alternatives|etc)\/[^/]+$/.test(path)
      )
        continue;
      if (
        tree.lookup(path) !== undefined ||
        /^\/?(?:\.\.\/)*(?:run|proc|var|sys|dev)\//.test(node.target ?? '')
      )
        continue;
      tree.remove(path);
      paths.push(path);
      found = true;
    }
  }
  return { rule: 'dangling-link', why: 'what it pointed at is gone', paths: paths.toSorted(), bytes: 0 };
}

/** Scripts nothing in the image can run. */
function removeScripts(tree: RootTree): RemovedByRule {
  const paths: string[] = [];
  let bytes = 0;
  for (const { where } of findBroken(tree, { units: false })) {
    const node = tree.get(where);
    if (node === undefined) continue;
    bytes += bodySize(node);
    tree.remove(where);
    paths.push(where);
  }
  return {
    rule: 'orphan-script',
    why: 'its interpreter is not in the image',
    paths: paths.toSorted(),
    bytes,
  };
}

function stripSetId(tree: RootTree, { setuid }: Pick<Definition, 'setuid'>): readonly SetIdProgram[] {
  const named = new Map(setuid.map(({ path, why }) => [path.slice(1), why]));
  const found: SetIdProgram[] = [];
  for (const { path, node } of tree.walk()) {
    if (node.type !== 'file' || (node.mode & 0o6000) === 0) continue;
    const why = named.get(path);
    found.push({ path, mode: node.mode, kept: why !== undefined, ...(why !== undefined && { why }) });
    if (why === undefined) node.mode &= ~0o6000;
  }
  return found;
}
