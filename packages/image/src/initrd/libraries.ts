/** The shared libraries a set of programs needs, found the way the dynamic loader finds them: RUNPATH, then the default folders. */

import { OsguardError } from '@osguard/events';
import { isElf, readElfDynamic } from './elf.ts';
import { resolveNode } from './source.ts';
import type { SourceNode, SourceTree } from './source.ts';

const DEFAULT_FOLDERS = ['usr/lib/x86_64-linux-gnu', 'usr/lib64', 'usr/lib'];

export interface LibraryRequest {
  /** Programs and libraries to start from, as paths in the tree. */
  readonly programs: readonly string[];
  /** Names loaded with dlopen(3), for which no DT_NEEDED speaks. */
  readonly opened: readonly string[];
}

const strip = (folder: string): string => folder.replace(/^\/+/, '');

function findLibrary(tree: SourceTree, name: string, folders: readonly string[]): string | undefined {
  return [...folders.map(strip), ...DEFAULT_FOLDERS]
    .map((folder) => `${folder}/${name}`)
    .find((path) => resolveNode(tree, path)?.type === 'file');
}

/** Paths (as asked for, links not followed) of every library needed, sorted. */
export function libraryClosure(tree: SourceTree, request: LibraryRequest): string[] {
  const found = new Set<string>();
  const seen = new Set<string>();
  const visit = (node: SourceNode, inherited: readonly string[]): void => {
    if (seen.has(node.path)) return;
    seen.add(node.path);
    const bytes = node.body();
    if (!isElf(bytes)) return;
    const dynamic = readElfDynamic(bytes);
    // A library without RUNPATH may lean on what its user has loaded already (libsystemd-core on libsystemd-shared).
    const folders = [...dynamic.runpath, ...inherited];
    if (dynamic.interpreter !== undefined) add(dynamic.interpreter.replace(/^\/+/, ''), node.path, folders);
    for (const name of dynamic.needed) need(name, folders, node.path);
  };
  const need = (name: string, folders: readonly string[], wantedBy: string): void => {
    const path = findLibrary(tree, name, folders);
    if (path === undefined) {
      throw new OsguardError(
        'initrd-library-missing',
        `${wantedBy} needs ${name}, which no package of this image installs`,
        {
          hint: 'add the package that ships it to `packages:` of the definition',
          data: { library: name, wantedBy },
        },
      );
    }
    add(path, wantedBy, folders);
  };
  const add = (path: string, wantedBy: string, folders: readonly string[]): void => {
    const node = resolveNode(tree, path);
    if (node === undefined) need(path.split('/').at(-1) ?? path, folders, wantedBy);
    else {
      found.add(path);
      visit(node, folders);
    }
  };
  for (const program of request.programs) {
    const node = resolveNode(tree, program);
    if (node?.type === 'file') visit(node, []);
  }
  for (const name of request.opened) need(name, [], 'the initrd');
  return [...found].sort();
}
