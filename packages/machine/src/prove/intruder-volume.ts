/**
 * What the intruder brings along: a Python with its standard library from Debian packages, the attacks, and small
 * programs whose signed and unsigned copies he compares.
 */

import { lstatSync, readdirSync, readFileSync, readlinkSync, realpathSync } from 'node:fs';
import { join, relative } from 'node:path';
import { MachineError } from '../error.ts';
import type { Tools } from '../tools/open.ts';
import type { Volume, VolumeFile } from './volume.ts';
import { buildVolume } from './volume.ts';

/** The tree of the opened tool set. @throws MachineError `tool-missing` */
export function intruderTree(tools: Tools): string {
  const origin = tools.origins.get('intruder');
  if (origin?.from === 'tree') return join(origin.tree.path, 'root');
  throw new MachineError('tool-missing', 'the tool set `intruder` is not a tree');
}

/** Where the volume is mounted in the host. */
export const intruderMount = '/run/attack';
const libraries = 'usr/lib/x86_64-linux-gnu';
const python = 'usr/bin/python3.13';
const pythonLibrary = 'usr/lib/python3.13';
/** Parts of the standard library that are large and that no attack imports. */
const unneeded =
  /^(?:test|idlelib|tkinter|ensurepip|lib2to3|pydoc_data|turtledemo|distutils|unittest|__pycache__)$/;
const neededLibraries =
  /^(?:ld-linux-x86-64\.so\.2|lib(?:c|m|dl|pthread|util|rt|z|ffi|lzma|expat|selinux|pcre2-8|acl|attr|gmp|crypto)\.so\.[\d.]*)$/;

export interface IntruderVolumeOptions {
  /** A tree with python3.13, its standard library and coreutils unpacked (tool set `intruder`). */
  readonly tree: string;
  /** An unsigned kernel for kexec. */
  readonly kernel: Uint8Array;
  /** Images of volumes he tries to open, by name. */
  readonly volumes: ReadonlyMap<string, Uint8Array>;
  readonly salt: string;
}

const text = (value: string): Uint8Array => new Uint8Array(Buffer.from(value));

/** Machine code `mov eax, VALUE; ret`, as a page of a file. */
function returning(value: number): Uint8Array {
  const page = new Uint8Array(4096);
  page.set([0xb8, value, 0, 0, 0, 0xc3]);
  return page;
}

/** A static x86-64 ELF of one segment that exits with status 42: the program whose unsigned copies must not run. */
export function answerProgram(): Uint8Array {
  const code = Uint8Array.of(0xbf, 42, 0, 0, 0, 0xb8, 60, 0, 0, 0, 0x0f, 0x05);
  const size = 120 + code.length;
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  const base = 0x400000n;
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, 2, true); // ET_EXEC
  view.setUint16(18, 62, true); // EM_X86_64
  view.setUint32(20, 1, true);
  view.setBigUint64(24, base + 120n, true);
  view.setBigUint64(32, 64n, true);
  view.setUint16(52, 64, true);
  view.setUint16(54, 56, true);
  view.setUint16(56, 1, true);
  view.setUint32(64, 1, true); // PT_LOAD
  view.setUint32(68, 5, true); // readable and executable
  view.setBigUint64(80, base, true);
  view.setBigUint64(88, base, true);
  view.setBigUint64(96, BigInt(size), true);
  view.setBigUint64(104, BigInt(size), true);
  view.setBigUint64(112, 0x1000n, true);
  bytes.set(code, 120);
  return bytes;
}

const unit = `[Unit]
Description=Intruder of the proof
After=multi-user.target

[Service]
Type=exec
Environment=PYTHONHOME=${intruderMount}/usr LD_LIBRARY_PATH=${intruderMount}/${libraries} PYTHONDONTWRITEBYTECODE=1
ExecStart=${intruderMount}/${libraries}/ld-linux-x86-64.so.2 --library-path ${intruderMount}/${libraries} ${intruderMount}/${python} -s -S -B ${intruderMount}/agent/agent.py
StandardOutput=journal+console
StandardError=journal+console
OOMScoreAdjust=-900
`;

export function buildIntruderVolume(options: IntruderVolumeOptions): Volume {
  const fromTree = (path: string, at = path, mode = 0o755): VolumeFile => ({
    path: at,
    body: readFileSync(realpathSync(join(options.tree, path))),
    mode,
  });
  const files: VolumeFile[] = [
    fromTree(python),
    ...libraryFiles(options.tree),
    ...folderFiles(join(options.tree, pythonLibrary), pythonLibrary),
    ...folderFiles(join(import.meta.dirname, 'agent'), 'agent'),
    fromTree('usr/bin/cat', 'bin/cat'),
    fromTree('usr/bin/true', 'bin/true'),
    fromTree(`${libraries}/libz.so.1`, 'lib/preload.so'),
    { path: 'bin/answer', body: answerProgram(), mode: 0o755 },
    { path: 'bin/code', body: returning(42), mode: 0o755 },
    { path: 'bin/patch-me', body: returning(7), mode: 0o755 },
    { path: 'bin/kernel', body: options.kernel },
    ...Array.from(options.volumes, ([name, body]): VolumeFile => ({ path: `volumes/${name}`, body })),
    {
      path: 'bin/script',
      body: text(`#!${intruderMount}/${python} -sSB\nimport os\nos._exit(42)\n`),
      mode: 0o755,
    },
    { path: 'units/attack.service', body: text(unit) },
    { path: 'units-without-sysctl/attack.service', body: text(unit) },
    // Takes the place of the file of this name in /usr in the boots with protections off.
    { path: 'all-capabilities/50-osguard.conf', body: text('[Manager]\n') },
  ];
  return buildVolume({
    files,
    links: [
      ...['units', 'units-without-sysctl'].map((folder) => ({
        path: `${folder}/multi-user.target.wants/attack.service`,
        target: '../attack.service',
      })),
      { path: 'units-without-sysctl/systemd-sysctl.service', target: '/dev/null' },
    ],
    label: (path) => `system_u:object_r:${path.startsWith('units') ? 'systemd_unit_t' : 'bin_t'}:s0`,
    salt: options.salt,
  });
}

/** Arguments of attacks that name things on the volume. */
export const intruderPaths: Readonly<Record<'interpreter' | 'script' | 'dynamic' | 'kernel', string>> = {
  interpreter: `${intruderMount}/${python}`,
  script: `${intruderMount}/bin/script`,
  dynamic: `${intruderMount}/bin/true`,
  kernel: `${intruderMount}/bin/kernel`,
};

function libraryFiles(tree: string): readonly VolumeFile[] {
  const folder = join(tree, libraries);
  return readdirSync(folder)
    .filter((name) => neededLibraries.test(name))
    .sort()
    .map((name) => ({
      path: `${libraries}/${name}`,
      body: readFileSync(realpathSync(join(folder, name))),
      mode: 0o755,
    }));
}

function folderFiles(folder: string, at: string): readonly VolumeFile[] {
  const files: VolumeFile[] = [];
  const walk = (path: string): void => {
    for (const name of readdirSync(path).sort()) {
      if (unneeded.test(name)) continue;
      const child = join(path, name);
      const stats = lstatSync(child);
      if (stats.isDirectory()) walk(child);
      else if (stats.isFile() || (stats.isSymbolicLink() && !readlinkSync(child).startsWith('/'))) {
        files.push({
          path: `${at}/${relative(folder, child)}`,
          body: readFileSync(child),
          mode: name.includes('.so') ? 0o755 : 0o644,
        });
      }
    }
  };
  walk(folder);
  return files;
}
