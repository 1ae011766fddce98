/** What the image starts, as far as its configuration says, and whether that may run. */

import { posix } from 'node:path';
import type { ImageConfig } from '@osguard/formats/oci';
import type { Finding } from './finding.ts';
import type { MergedTree } from './merged-tree.ts';
import { interpreters } from './runtimes.ts';

/** Where containers get fresh file systems that nobody signed. */
const unsignedFolders = ['/tmp', '/run', '/var/run', '/dev/shm', '/var/tmp', '/proc', '/sys'];
/** What containers get for a PATH when the image has none. */
const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export interface EntryPoint {
  readonly findings: readonly Finding[];
  /** The program that starts, absolute and without symlinks; undefined when there is none. */
  readonly program: string | undefined;
  readonly args: readonly string[];
}

/** Absolute paths below which nothing of the image is signed once a container runs. */
export function volumesOf(config: ImageConfig): readonly string[] {
  return config.volumes.map((path) => posix.resolve('/', path)).filter((path) => path !== '/');
}

export function isBelow(path: string, folders: readonly string[]): string | undefined {
  return folders.find((folder) => path === folder || path.startsWith(`${folder}/`));
}

export function examineEntryPoint(config: ImageConfig, tree: MergedTree): EntryPoint {
  const args = [...config.entrypoint, ...config.cmd];
  const [name] = args;
  if (name === undefined || name === '') return { findings: [], program: undefined, args };
  const says = `starts ${args.slice(0, 4).join(' ')}`;
  const candidates = candidatePaths(name, config);
  const volume =
    candidates.length === 1
      ? isBelow(candidates[0] ?? '', [...volumesOf(config), ...unsignedFolders])
      : undefined;
  if (volume !== undefined) {
    const finding: Finding = {
      id: 'entry-point-unsigned',
      level: 'refused',
      path: candidates[0] ?? name,
      evidence: `${says}; ${volume} is a volume or a temporary file system`,
      why: 'what lies there when the container runs is no signed file',
      mend: 'put the program into a folder of the image that is no volume',
    };
    return { findings: [finding], program: undefined, args };
  }
  const found = candidates.map((path) => tree.resolve(path)).find((each) => each?.file.kind === 'file');
  if (found === undefined) {
    const finding: Finding = {
      id: 'entry-point-missing',
      level: 'refused',
      path: candidates[0] ?? name,
      evidence: says,
      why: 'no layer has this program',
      mend: 'name a program of the image; one that is mounted in from outside is not signed',
    };
    return { findings: [finding], program: undefined, args };
  }
  const path = `/${found.path}`;
  const { script } = found.file;
  const isShell = interpreters.test(posix.basename(path));
  const findings: Finding[] = [];
  if (script !== undefined) {
    const context = { layer: found.file.layer, script, says };
    findings.push(scriptFinding(path, context), ...missingInterpreter(path, { ...context, tree }));
  } else if (isShell && args.length > 1) {
    findings.push({
      id: 'entry-point-script',
      level: 'note',
      path,
      layer: found.file.layer,
      evidence: says,
      why: 'the interpreter is signed and runs; what it is told to run is not looked at by the kernel, whether it lies in a signed layer or not',
      mend: 'start a compiled program, and leave the interpreter out of the image, where that can be done',
    });
  }
  return { findings, program: path, args };
}

function scriptFinding(path: string, { layer, script, says }: ScriptContext): Finding {
  return {
    id: 'entry-point-script',
    level: 'note',
    path,
    layer,
    evidence: `${says}; begins with #!${script}`,
    why: 'it runs, because the file lies in a signed layer; but what it runs with the same interpreter is not looked at by the kernel',
    mend: 'start a compiled program, and leave the interpreter out of the image, where that can be done',
  };
}

function missingInterpreter(
  path: string,
  { layer, script, says, tree }: ScriptContext & { readonly tree: MergedTree },
): readonly Finding[] {
  const [interpreter = ''] = script.split(/\s+/);
  if (tree.resolve(interpreter)?.file.kind === 'file') return [];
  const finding: Finding = {
    id: 'interpreter-missing',
    level: 'refused',
    path,
    layer,
    evidence: `${says}; begins with #!${script}`,
    why: `no layer has ${interpreter === '' ? 'an interpreter of no name' : interpreter}, so it runs nowhere`,
    mend: 'name an interpreter of the image, or start a compiled program',
  };
  return [finding];
}

interface ScriptContext {
  readonly layer: number;
  readonly script: string;
  /** What the configuration starts. */
  readonly says: string;
}

/** Where the program may be: one place for a path, one for each folder of PATH for a name. */
function candidatePaths(name: string, { env, workingDirectory }: ImageConfig): readonly string[] {
  if (name.includes('/')) return [posix.resolve('/', workingDirectory, name)];
  const path = env.findLast((each) => each.startsWith('PATH='))?.slice('PATH='.length) ?? defaultPath;
  return path.split(':').map((folder) => posix.resolve('/', folder, name));
}
