/**
 * The initrd as a sorted list of cpio entries, from files of the installed packages, our own few units and what
 * belongs to this one image (command line, certificates, signatures, policy). Same inputs, same list.
 */

import { join } from 'node:path';
import { readOwnFiles } from '../host/own-files.ts';
import { databaseRoles } from '../release/folder.ts';
import {
  DIRECTORIES,
  DRIVER_MODULES,
  OPENED_LIBRARIES,
  PROGRAM_LINKS,
  PROGRAMS,
  REQUIRED_MODULES,
  STOCK_UNITS,
  UDEV_RULES,
  UNIT_LINKS,
} from './contents.ts';
import { guardProgram } from './guard.ts';
import { libraryClosure } from './libraries.ts';
import { MODULE_INDEX, moduleClosure } from './modules.ts';
import { requireFile, resolveNode } from './source.ts';
import type { SourceTree } from './source.ts';

export interface InitrdEntry {
  /** Without leading slash. */
  readonly path: string;
  readonly type: 'file' | 'directory' | 'symlink' | 'character';
  /** Permission bits. Owner is always root, time always the source date. */
  readonly mode: number;
  readonly body?: Uint8Array;
  readonly target?: string;
  readonly device?: readonly [major: number, minor: number];
}

/** What is different in every image. */
export interface InitrdBinding {
  /** The signed kernel command line exactly as the UKI carries it; the guard compares it with /proc/cmdline. */
  readonly commandLine: string;
  readonly kernelRelease: string;
  /**
   * DER certificates by name, loaded into the keyring .dm-verity before it is sealed. Kernels without that keyring load
   * and seal nothing: there the firmware's db decides.
   */
  readonly trust: ReadonlyMap<string, Uint8Array>;
  /** What the first boot makes of the free space. Bytes. */
  readonly varPartition: { readonly minimum: number; readonly grow: boolean };
  /** Detached PKCS#7 over the root hash of /usr. */
  readonly usrSignature: Uint8Array;
  /** Signed IPE policies by name; PID 1 loads and activates them before anything else runs. */
  readonly ipePolicies: ReadonlyMap<string, Uint8Array>;
  readonly osRelease: string;
}

const trustFiles = /\/osguard-trust|@usr\.service\.d\/trust\.conf$/;
const UNITS = 'usr/lib/systemd/system';

class EntryList {
  readonly #entries = new Map<string, InitrdEntry>();

  add(entry: InitrdEntry): void {
    const parent = entry.path.split('/').slice(0, -1).join('/');
    if (parent !== '' && !this.#entries.has(parent)) this.directory(parent);
    this.#entries.set(entry.path, entry);
  }

  directory(path: string, mode = 0o755): void {
    this.add({ path, type: 'directory', mode });
  }

  file(path: string, body: Uint8Array, mode = 0o644): void {
    this.add({ path, type: 'file', mode, body });
  }

  link(path: string, target: string): void {
    this.add({ path, type: 'symlink', mode: 0o777, target });
  }

  /** By code unit; a folder is a prefix of what it holds and so comes first. */
  sorted(): InitrdEntry[] {
    return [...this.#entries.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
  }
}

/** A file under the name it is asked for, with every link on the way to it. Merged folders (/lib64) are followed silently. */
function addFromTree(list: EntryList, tree: SourceTree, path: string): void {
  const file = requireFile(tree, path, { wantedBy: 'the initrd' });
  let parts = path.split('/');
  for (;;) {
    const name = parts.at(-1) ?? '';
    const folder = resolveNode(tree, parts.slice(0, -1).join('/'))?.path ?? '';
    const here = `${folder}/${name}`;
    const node = tree.get(here);
    if (node?.type !== 'symlink' || node.target === undefined) break;
    list.link(here, node.target);
    parts = node.target.startsWith('/')
      ? node.target.slice(1).split('/')
      : [...folder.split('/'), ...node.target.split('/')];
  }
  list.file(file.path, file.body(), file.mode & 0o755);
}

function addSystem(list: EntryList, tree: SourceTree): void {
  for (const path of DIRECTORIES) list.directory(path);
  for (const name of ['bin', 'sbin', 'lib', 'lib64']) list.link(name, `usr/${name}`);
  list.add({ path: 'dev/console', type: 'character', mode: 0o600, device: [5, 1] });
  list.add({ path: 'dev/kmsg', type: 'character', mode: 0o644, device: [1, 11] });
  list.add({ path: 'dev/null', type: 'character', mode: 0o666, device: [1, 3] });
  for (const unit of STOCK_UNITS) addFromTree(list, tree, `${UNITS}/${unit}`);
  for (const rule of UDEV_RULES) addFromTree(list, tree, `usr/lib/udev/rules.d/${rule}`);
  for (const program of PROGRAMS) addFromTree(list, tree, program);
  const libraries = libraryClosure(tree, { programs: PROGRAMS, opened: OPENED_LIBRARIES });
  for (const library of libraries) addFromTree(list, tree, library);
  for (const line of PROGRAM_LINKS) {
    const [path = '', target = ''] = line.split(' -> ');
    list.link(path, target);
  }
}

function addUnitLinks(list: EntryList, roles: readonly string[]): void {
  const trust = roles.map((role) => `sysinit.target.requires/osguard-trust@${role}.service`);
  for (const line of [...UNIT_LINKS, ...trust]) {
    const [path = '', target] = line.split(' -> ');
    const unit = path.split('/').at(-1) ?? path;
    list.link(`${UNITS}/${path}`, target ?? `../${unit.replace(/@[^.]+\./, '@.')}`);
  }
}

function addModules(list: EntryList, tree: SourceTree, release: string): void {
  const folder = `usr/lib/modules/${release}`;
  const modules = moduleClosure(tree, { release, required: REQUIRED_MODULES, optional: DRIVER_MODULES });
  for (const path of modules) addFromTree(list, tree, `${folder}/${path}`);
  for (const name of MODULE_INDEX) {
    if (tree.get(`${folder}/${name}`) !== undefined) addFromTree(list, tree, `${folder}/${name}`);
  }
}

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

/** repart.d(5). The other partitions of the disk are foreign to it and stay as they are. */
function varDefinition({ minimum, grow }: InitrdBinding['varPartition']): string {
  const limit = grow ? '' : `SizeMaxBytes=${minimum}\n`;
  return `[Partition]\nType=var\nLabel=var\nFormat=ext4\nSizeMinBytes=${minimum}\n${limit}`;
}

/** Every entry of the initrd, parents before children, sorted by path. */
export function composeInitrd(tree: SourceTree, options: InitrdBinding): InitrdEntry[] {
  const hasKeyring = databaseRoles(options.kernelRelease).length === 1;
  const trust: InitrdBinding['trust'] = hasKeyring ? options.trust : new Map<string, Uint8Array>();
  const list = new EntryList();
  addSystem(list, tree);
  addModules(list, tree, options.kernelRelease);
  for (const [path, body] of readOwnFiles(join(import.meta.dirname, 'files'))) {
    if (hasKeyring || !trustFiles.test(path)) list.file(path, body);
  }
  addUnitLinks(list, [...trust.keys()]);
  list.file('usr/lib/repart.d/50-var.conf', text(varDefinition(options.varPartition)));
  list.file('init', guardProgram, 0o755);
  list.file('cmdline', text(`${options.commandLine}\n`), 0o444);
  list.file('etc/initrd-release', text(options.osRelease));
  list.link('etc/os-release', 'initrd-release');
  list.file('etc/machine-id', text(''), 0o444);
  list.file('etc/verity/usr.p7s', options.usrSignature);
  for (const [role, certificate] of trust) list.file(`etc/verity/trust/${role}.der`, certificate);
  for (const [name, policy] of options.ipePolicies) list.file(`etc/ipe/${name}.p7b`, policy);
  return list.sorted();
}
