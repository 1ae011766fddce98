/** The programs osguard calls: the host's own where they are known to work, else those of a tools tree. */

import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

import type { EventSink } from '@osguard/events';

import { MachineError } from '../error.ts';
import type { Command } from '../process/run.ts';
import { examineHost, findProgram } from './host.ts';
import { suite, toolSets } from './table.ts';
import type { ToolSetName } from './table.ts';
import { ensureTree, readTree, treePath } from './tree.ts';
import type { Tree } from './tree.ts';

export interface ToolsOptions {
  /** Which sets are needed; `run` when absent. */
  readonly sets?: readonly ToolSetName[];
  /** Cache folder of osguard; `$XDG_CACHE_HOME/osguard` when absent. */
  readonly cache?: string;
  /** Address of a Debian mirror, instead of the one in apt's configuration. */
  readonly mirror?: string;
  /** `tree` never uses the host's programs, `host` never makes a tree. */
  readonly from?: 'either' | 'host' | 'tree';
  readonly signal?: AbortSignal;
  readonly sink?: EventSink;
}

export interface Tools {
  /** Where each opened set comes from. */
  readonly origins: ReadonlyMap<ToolSetName, ToolOrigin>;
  /** How to start a program of an opened set; throws `tool-missing` when no set has it. */
  command(program: string, args: readonly string[]): Command;
  /** Path of a file that a package of the set ships, given as installed, for example `/usr/share/OVMF/…`. */
  file(path: string): string;
  /** Folders to put before PATH so that the programs of all trees are found by name. */
  readonly path: readonly string[];
}

export type ToolOrigin = { readonly from: 'host' } | { readonly from: 'tree'; readonly tree: Tree };

/** osguard's cache folder: `$XDG_CACHE_HOME/osguard`, by default `~/.cache/osguard`. */
export function cacheFolder(): string {
  const xdg = process.env['XDG_CACHE_HOME'];
  return join(xdg?.startsWith('/') === true ? xdg : join(homedir(), '.cache'), 'osguard');
}

const packageNames = (name: ToolSetName): string[] => toolSets[name].packages.map((entry) => entry.name);

/** The tree of this set if it was made before; nothing is fetched. */
export function existingTree(name: ToolSetName, cache: string = cacheFolder()): Tree | undefined {
  return readTree(treePath({ folder: join(cache, 'tools'), suite, packages: packageNames(name) }));
}

/** Opens the sets, making what is missing. The first time this fetches about 50 MB and takes some 10 seconds. */
export async function openTools(options: ToolsOptions = {}): Promise<Tools> {
  const cache = options.cache ?? cacheFolder();
  const from = options.from ?? 'either';
  const origins = new Map<ToolSetName, ToolOrigin>();
  for (const name of options.sets ?? ['run']) {
    const set = toolSets[name];
    const host =
      set.treeOnly === true || (from === 'tree' && set.hostOnly !== true)
        ? undefined
        : await examineHost(set);
    if (host?.ok === true) {
      origins.set(name, { from: 'host' });
    } else if (from === 'host' || set.hostOnly === true) {
      const lacking = [
        ...(host?.programs ?? []).filter((program) => !program.ok).map((program) => program.program),
        ...(host?.missingFiles ?? []),
      ];
      throw new MachineError('tool-missing', `missing or too old on this machine: ${lacking.join(', ')}`, {
        hint: `sudo apt-get install ${packageNames(name).join(' ')}`,
      });
    } else {
      const request = {
        folder: join(cache, 'tools'),
        suite,
        packages: packageNames(name),
        sink: options.sink,
      };
      const tree = await ensureTree({
        ...request,
        ...(options.mirror === undefined ? {} : { mirror: options.mirror }),
        ...(options.signal === undefined ? {} : { signal: options.signal }),
      });
      origins.set(name, { from: 'tree', tree });
    }
  }
  return toolsOf(origins);
}

function toolsOf(origins: ReadonlyMap<ToolSetName, ToolOrigin>): Tools {
  const trees = [...origins.values()].flatMap((origin) => (origin.from === 'tree' ? [origin.tree] : []));
  const usesHost = [...origins.values()].some((origin) => origin.from === 'host');
  const names = [...origins.keys()].join(', ');
  return {
    origins,
    path: trees.map((tree) => join(tree.path, 'bin')),
    command(program, args) {
      const tree = trees.find((candidate) => candidate.programs.includes(program));
      const file =
        tree === undefined ? (usesHost ? findProgram(program) : undefined) : join(tree.path, 'bin', program);
      if (file === undefined)
        throw new MachineError('tool-missing', `${program} is in none of the opened tool sets (${names})`);
      return { file, args, env: {} };
    },
    file(path) {
      const places = [...trees.map((tree) => join(tree.path, 'root', path)), ...(usesHost ? [path] : [])];
      const found = places.find((place) => existsSync(place));
      if (found === undefined)
        throw new MachineError('firmware-missing', `${path} is in none of the opened tool sets (${names})`, {
          hint: 'sudo apt-get install ovmf',
          data: { places },
        });
      return found;
    },
  };
}
