/**
 * Makes the programs of an unpacked package tree callable from anywhere, without root, chroot or namespaces: for each
 * program a three-line script that starts it through the tree's own dynamic loader (ld.so(8): --library-path,
 * --inhibit-cache), so that it finds its own C library and never the host's.
 */

import {
  chmodSync,
  closeSync,
  mkdirSync,
  openSync,
  readSync,
  readdirSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

import { MachineError } from '../error.ts';

interface Architecture {
  readonly triplet: string;
  /** Path of the dynamic loader inside the tree. */
  readonly loader: string;
}

const architectures: Readonly<Record<string, Architecture>> = {
  x64: { triplet: 'x86_64-linux-gnu', loader: 'usr/lib64/ld-linux-x86-64.so.2' },
  arm64: { triplet: 'aarch64-linux-gnu', loader: 'usr/lib/ld-linux-aarch64.so.1' },
};

/** Environment that makes a program look into the tree for what it loads later; `$r` is the tree's root. */
const everywhere = ['GCONV_PATH="$r/usr/lib/TRIPLET/gconv"'];
const special: Readonly<Record<string, { readonly env?: readonly string[]; readonly args?: string }>> = {
  'qemu-system-x86_64': {
    env: ['QEMU_MODULE_DIR="$r/usr/lib/TRIPLET/qemu"'],
    args: '-L "$r/usr/share/qemu" -L "$r/usr/share/seabios" -L "$r/usr/lib/ipxe/qemu"',
  },
  'qemu-img': { env: ['QEMU_MODULE_DIR="$r/usr/lib/TRIPLET/qemu"'] },
  openssl: {
    env: ['OPENSSL_CONF="$r/etc/ssl/openssl.cnf"', 'OPENSSL_MODULES="$r/usr/lib/TRIPLET/ossl-modules"'],
  },
};

/** Writes `<tree>/bin/NAME` for every program under `<tree>/root/usr/{bin,sbin}`; returns their names. */
export function writeWrappers(tree: string): string[] {
  const architecture = architectures[process.arch];
  if (architecture === undefined)
    throw new MachineError('tool-missing', `no tools tree for the architecture ${process.arch}`, {
      hint: 'use an x86-64 or arm64 machine',
    });
  const root = join(tree, 'root');
  mkdirSync(join(tree, 'bin'), { recursive: true });
  const libraries = libraryFolders(root, architecture.triplet)
    .map((folder) => `$r/${folder}`)
    .join(':');
  const loader = `"$r/${architecture.loader}" --inhibit-cache --library-path "${libraries}"`;
  const names = new Set<string>();
  for (const folder of ['usr/bin', 'usr/sbin']) {
    for (const name of list(join(root, folder))) {
      const kind = programKind(join(root, folder, name));
      if (kind === undefined || names.has(name) || !/^[\w.+@-]+$/.test(name)) continue;
      const start =
        kind === 'elf'
          ? `${loader} --argv0 ${name} "$r/${folder}/${name}" ${special[name]?.args ?? ''}`
          : `${loader} --argv0 python3 "$r/usr/bin/python3" "$r/${folder}/${name}"`;
      const env = [...everywhere, ...(special[name]?.env ?? [])];
      if (kind === 'python' || name.startsWith('python3'))
        env.push('PYTHONHOME="$r/usr"', 'PYTHONDONTWRITEBYTECODE=1');
      const assignments = env.map((entry) => `export ${entry.replaceAll('TRIPLET', architecture.triplet)}`);
      const script = `#!/bin/sh\nr="\${0%/*}/../root"\n${assignments.join('\n')}\nexec ${start.trim()} "$@"\n`;
      writeFileSync(join(tree, 'bin', name), script);
      chmodSync(join(tree, 'bin', name), 0o755);
      names.add(name);
    }
  }
  return [...names].sort();
}

/** The library folder and those of its subfolders that hold shared libraries (private ones, named by RUNPATH). */
function libraryFolders(root: string, triplet: string): string[] {
  const folders = [`usr/lib/${triplet}`];
  for (const name of list(join(root, `usr/lib/${triplet}`))) {
    const folder = `usr/lib/${triplet}/${name}`;
    const path = join(root, folder);
    if (!statSync(path).isDirectory() || !/^[\w.+-]+$/.test(name)) continue;
    if (list(path).some((file) => /^lib.*\.so(?:\.\d|$)/.test(file))) folders.push(folder);
  }
  return [...folders, 'usr/lib'];
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}

/** ELF programs and Python scripts can run from a tree; shell and Perl scripts name absolute paths of their own. */
function programKind(path: string): 'elf' | 'python' | undefined {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch {
    return undefined;
  }
  try {
    const head = Buffer.alloc(64);
    const length = readSync(file, head, 0, head.length, 0);
    const text = head.subarray(0, length).toString('latin1');
    if (text.startsWith('\x7fELF')) return 'elf';
    return /^#! ?\/usr\/bin\/(env )?python3/.test(text) ? 'python' : undefined;
  } catch {
    return undefined;
  } finally {
    closeSync(file);
  }
}
