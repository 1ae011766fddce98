/** What the definition itself puts into the root: accounts, files, units, kernel settings, host name. */

import { readFile, realpath, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';

import type { Definition, DefinitionFile } from '../definition/index.ts';
import { ImageError } from '../error.ts';
import { bytesBody, makeNode, TreeError } from '../tree/index.ts';
import type { Body, RootNode, RootTree } from '../tree/index.ts';
import { addAccounts, readAccounts } from './accounts.ts';
import type { Accounts } from './accounts.ts';
import { applyUnits } from './units.ts';

export interface ApplyDefinitionOptions {
  /** Folder that `source` is relative to. */
  readonly folder: string;
  /** Dates everything that is added. Seconds since 1970. */
  readonly time: number;
}

/** Bytes of one `source` file. */
const largestSource = 1024 ** 3;
/** Bodies up to this size are held in memory. Bytes. */
const inMemory = 1024 * 1024;

/** Changes the tree in place. @throws ImageError `definition` for what cannot be done in this tree */
export async function applyDefinition(
  tree: RootTree,
  definition: Definition,
  { folder, time }: ApplyDefinitionOptions,
): Promise<void> {
  addAccounts(tree, definition, time);
  const accounts = readAccounts(tree);
  for (const file of definition.files) {
    try {
      tree.put(realPath(tree, file.path), await nodeOf(file, { accounts, folder, time, definition }));
    } catch (error) {
      if (error instanceof TreeError)
        throw new ImageError('definition', `files: ${file.path}: ${error.message}`, { cause: error });
      throw error;
    }
  }
  putSettings(tree, definition, time);
  applyUnits(tree, definition.units, time);
}

/** Folders on the way may be links. */
function realPath(tree: RootTree, path: string): string {
  const slash = path.lastIndexOf('/');
  const folder = tree.resolve(path.slice(0, slash));
  return folder === undefined ? path.slice(1) : `${folder}${path.slice(slash)}`;
}

interface FileContext extends ApplyDefinitionOptions {
  readonly accounts: Accounts;
  readonly definition: Definition;
}

async function nodeOf(file: DefinitionFile, context: FileContext): Promise<RootNode> {
  const { accounts, time, definition } = context;
  const uid = accounts.users.get(file.owner);
  const gid = accounts.groups.get(file.group);
  if (uid === undefined) throw noAccount(file.path, 'user', file.owner);
  if (gid === undefined) throw noAccount(file.path, 'group', file.group);
  const common = { uid, gid, mtime: time };
  const mode = file.mode === undefined ? undefined : Number.parseInt(file.mode, 8);
  if (file.link !== undefined) return makeNode({ type: 'symlink', target: file.link, ...common });
  if (file.directory === true) return makeNode({ type: 'directory', mode: mode ?? 0o755, ...common });
  const isSetuid = definition.setuid.some(({ path }) => path === file.path);
  const body = file.content === undefined ? await sourceBody(file, context) : bytesBody(file.content);
  return makeNode({ type: 'file', mode: (mode ?? 0o644) | (isSetuid ? 0o4000 : 0), ...common, body });
}

function noAccount(path: string, kind: 'user' | 'group', name: string): ImageError {
  return new ImageError(
    'definition',
    `files: ${path} is to belong to ${kind} ${name}, which does not exist`,
    {
      hint: `add it under ${kind}s, with its number`,
    },
  );
}

async function sourceBody({ path, source = '' }: DefinitionFile, { folder }: FileContext): Promise<Body> {
  const refuse = (why: string, cause?: unknown): ImageError =>
    new ImageError(
      'definition',
      `files: the source ${source} of ${path} ${why}`,
      cause === undefined ? {} : { cause },
    );
  let real: string;
  try {
    real = await realpath(join(folder, source));
  } catch (cause) {
    throw refuse('cannot be found', cause);
  }
  // A link may lead out of the folder although the path does not.
  const inside = await realpath(folder);
  if (!real.startsWith(inside === sep ? sep : inside + sep))
    throw refuse('lies outside the folder of the definition');
  const found = await stat(real);
  if (!found.isFile()) throw refuse('is not a regular file');
  if (found.size > largestSource) throw refuse(`has ${found.size} bytes; ${largestSource} is the most`);
  if (found.size > inMemory) return { kind: 'range', path: real, offset: 0, size: found.size };
  return bytesBody(await readFile(real));
}

function putSettings(tree: RootTree, { hostname, sysctls, modules }: Definition, time: number): void {
  const put = (path: string, lines: readonly string[]): void => {
    if (lines.length > 0) tree.putFile(path, `${lines.join('\n')}\n`, { mtime: time });
  };
  put('etc/hostname', hostname === undefined ? [] : [hostname]);
  // Before the host's own 9x files: those have the last word.
  put(
    'etc/sysctl.d/50-definition.conf',
    Object.entries(sysctls).map(([key, value]) => `${key} = ${value}`),
  );
  put('etc/modules-load.d/definition.conf', modules.load);
  // `blacklist` alone still lets a module load by its name.
  put(
    'etc/modprobe.d/definition.conf',
    modules.deny.flatMap((name) => [`blacklist ${name}`, `install ${name} /usr/bin/false`]),
  );
}
