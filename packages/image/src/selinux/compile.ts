/**
 * The SELinux policy of the image: Debian's reference policy and osguard's own modules, linked together by semodule(8)
 * of the image's own packages. Which modules are in does not depend on the build host, as it would with the package's
 * own script, which asks what kind of machine it runs on.
 */

import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { EventSink } from '@osguard/events';
import { step } from '@osguard/events';
import type { FileContexts } from '@osguard/formats/selinux';
import { compileFileContexts, parseFileContexts, parseFileContextSubs } from '@osguard/formats/selinux';
import { ImageError } from '../error.ts';
import { libraryClosure } from '../initrd/libraries.ts';
import { loadTree, runInNamespace } from '../root/index.ts';
import { BodyReader, RootTree, treeArchive } from '../tree/index.ts';
import { sourceTreeOf } from '../tree/source-tree.ts';
import { booleans, disabledModules, semanageConfiguration, substitutions } from './choices.ts';

export interface CompileSelinuxOptions {
  readonly cacheFolder: string;
  /** Seconds since 1970. */
  readonly time: number;
  readonly sink?: EventSink | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface SelinuxPolicy {
  /** Holds `etc/selinux`: configuration, contexts and the compiled policy, nothing of the module store. */
  readonly tree: RootTree;
  /** What decides the label of every file of /usr. */
  readonly fileContexts: FileContexts;
}

const recipe = 'osguard selinux 1';
const store = 'default';
const packaged = `usr/share/selinux/${store}`;
const contexts = `etc/selinux/${store}/contexts/files`;
const work = 'var/tmp/osguard';
const programs = [
  'usr/sbin/semodule',
  'usr/bin/dash',

  // Turns the packaged modules into CIL.
  'usr/libexec/selinux/hll/pp',
  'usr/sbin/sefcontext_compile',
  'usr/sbin/setfiles',
  'usr/bin/rm',
];

/** @throws ImageError (`incomplete-root`, `tool-failed`) */
export async function compileSelinux(tree: RootTree, options: CompileSelinuxOptions): Promise<SelinuxPolicy> {
  const folder = join(options.cacheFolder, 'selinux');
  mkdirSync(folder, { recursive: true });
  return step(options.sink, { id: 'selinux', title: 'compile the SELinux policy' }, async (report) => {
    const archive = compilerArchive(tree, options.time);
    const key = createHash('sha256').update(recipe).update(archive).digest('hex').slice(0, 32);
    const result = join(folder, `${key}.tar`);
    let compiled = tryLoad(result);
    if (compiled === undefined) {
      await compile(archive, { ...options, result });
      compiled = loadTree(result);
    } else {
      report.cached();
    }
    return { tree: compiled, fileContexts: readFileContexts(compiled) };
  });
}

function tryLoad(path: string): RootTree | undefined {
  try {
    return loadTree(path);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

async function compile(
  archive: Uint8Array,
  options: CompileSelinuxOptions & { readonly result: string },
): Promise<void> {
  const { result, time, sink, signal } = options;
  const part = `${result}.${process.pid}.tmp`;
  try {
    await runInNamespace({
      stages: [
        {
          archive: (async function* () {
            yield archive;
          })(),
          script: `${work}/compile.sh`,
          output: part,
          outputs: ['etc/selinux'],
        },
      ],
      time,
      memory: 1024 * 1024 * 1024,
      sink,
      signal,
    });
    renameSync(part, result);
  } finally {
    rmSync(part, { force: true });
  }
}

/** Everything semodule needs and nothing else: so that the digest of this archive is the key of the result. */
function compilerArchive(tree: RootTree, time: number): Uint8Array {
  using bodies = new BodyReader();
  const root = new RootTree({ type: 'directory', mtime: time });
  const addFile = (path: string, bytes: Uint8Array | string, mode = 0o644): void => {
    root.putFile(path, bytes, { mode, mtime: time });
  };
  const copy = (path: string, to = path): void => {
    const node = tree.lookup(path);
    if (node?.type !== 'file') {
      throw new ImageError('incomplete-root', `/${path} is missing: the SELinux policy cannot be compiled`, {
        hint: 'selinux-policy-default and policycoreutils must be among the packages',
      });
    }
    addFile(to, Uint8Array.from(bodies.read(node)), node.mode & 0o777);
  };
  for (const name of ['bin', 'sbin', 'lib', 'lib64']) root.putLink(name, `usr/${name}`, { mtime: time });
  for (const program of programs) copy(program);
  copy('usr/bin/dash', 'usr/bin/sh');
  for (const library of libraryClosure(sourceTreeOf(tree, bodies), { programs, opened: [] })) {
    // Under its own name, in the folder that /lib64 and the like lead to.
    const at = library.lastIndexOf('/');
    copy(library, `${tree.resolve(library.slice(0, at)) ?? ''}/${library.slice(at + 1)}`);
  }
  for (const { path, node } of tree.walk('etc/selinux')) {
    // A policy the package's own script left would be loaded instead of ours if its version were higher.
    if (node.type === 'file' && !/^etc\/selinux\/[^/]+\/policy\//.test(path)) copy(path);
  }
  addFile('etc/selinux/semanage.conf', semanageConfiguration);
  // Home folders of accounts are part of the labels.
  for (const path of ['etc/passwd', 'etc/group', 'etc/login.defs']) if (tree.has(path)) copy(path);
  const modules = packagedModules(tree, bodies);
  for (const name of modules) copy(`${packaged}/${name}.pp.bz2`);
  const own = ownModules();
  for (const [name, text] of own) addFile(`${work}/${name}`, text);
  const subsPath = `${contexts}/file_contexts.subs_dist`;
  const subs = tree.lookup(subsPath);
  addFile(subsPath, `${subs === undefined ? '' : bodies.text(subs)}${substitutions.join('\n')}\n`);
  const switches = Array.from(booleans, ([name, value]) => `${name}=${value ? 1 : 0}\n`);
  addFile(`var/lib/selinux/${store}/active/booleans.local`, switches.join(''));
  addFile(`${work}/compile.sh`, compileScript(modules, [...own.keys()]), 0o755);
  return Buffer.concat(Array.from(treeArchive(root), (chunk) => Uint8Array.from(chunk)));
}

function packagedModules(tree: RootTree, bodies: BodyReader): readonly string[] {
  const list = tree.lookup(`${packaged}/.modules`);
  if (list === undefined) throw new ImageError('incomplete-root', `/${packaged}/.modules is missing`);
  return bodies
    .text(list)
    .split(/\s+/)
    .filter((name) => /^[a-z0-9_]+$/i.test(name));
}

function ownModules(): ReadonlyMap<string, Uint8Array> {
  const folder = join(import.meta.dirname, 'modules');
  const names = readdirSync(folder).filter((name) => name.endsWith('.cil'));
  return new Map(names.sort().map((name) => [name, readFileSync(join(folder, name))]));
}

/** One transaction: semodule links and compiles once. 100 is the priority of the package's modules. */
function compileScript(modules: readonly string[], own: readonly string[]): string {
  const install = modules.map((name) => `-i /${packaged}/${name}.pp.bz2`).join(' ');
  const disable = disabledModules.filter((name) => modules.includes(name)).map((name) => `-d ${name}`);
  return `#!/bin/sh
set -eu
semodule -n -s ${store} -X 100 ${install} ${disable.join(' ')} -X 400 ${own.map((name) => `-i /${work}/${name}`).join(' ')}
`;
}

function readFileContexts(tree: RootTree): FileContexts {
  using bodies = new BodyReader();
  const read = (name: string): Uint8Array => {
    const node = tree.lookup(`${contexts}/${name}`);
    return node === undefined ? new Uint8Array() : bodies.read(node);
  };
  const specs = ['file_contexts', 'file_contexts.homedirs', 'file_contexts.local'].flatMap((name) =>
    parseFileContexts(read(name), name),
  );
  if (specs.length === 0)
    throw new ImageError('incomplete-root', 'the compiled SELinux policy has no file_contexts');
  const subs = (name: string): ReturnType<typeof parseFileContextSubs> =>
    parseFileContextSubs(read(name), name);
  return compileFileContexts({
    specs,
    subs: subs('file_contexts.subs'),
    subsDist: subs('file_contexts.subs_dist'),
  });
}
