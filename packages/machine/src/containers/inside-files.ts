/** Python with the part of its library that the intruder needs inside a container, and his attacks. */

import { existsSync, lstatSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { join, relative } from 'node:path';
import { answerProgram } from '../prove/intruder-volume.ts';
import type { LayerFile } from './make-image.ts';

const libraries = 'usr/lib/x86_64-linux-gnu';
const python = 'usr/bin/python3.13';
const pythonLibrary = 'usr/lib/python3.13';
const loader = 'ld-linux-x86-64.so.2';

/** What starts him: `inside.py ATTACK...`. */
export const insideCommand: readonly string[] = [`/${python}`, '-s', '-S', '-B', '/agent/inside.py'];

const neededLibraries =
  /^(?:ld-linux-x86-64\.so\.2|lib(?:c|m|z|ffi|expat|selinux|pcre2-8|acl|attr)\.so\.[\d.]*)$/;
/** Modules that `ctypes`, `json`, `struct` and Python itself need. */
const neededModules =
  /^(?:(?:abc|codecs|collections|contextlib|copyreg|enum|functools|genericpath|io|keyword|linecache|operator|os|posixpath|re|reprlib|signal|stat|struct|textwrap|token|tokenize|traceback|types|warnings|weakref|_collections_abc|_py_warnings|_weakrefset|_sitebuiltins|_colorize|_opcode_metadata|opcode|string|typing|__future__)\.py|(?:collections|ctypes|encodings|importlib|json|re)\/.*|lib-dynload\/_(?:ctypes|struct|json|opcode)\..*)$/;

export function insideFiles(tree: string): readonly LayerFile[] {
  const program = (from: string, path: string): LayerFile => ({
    path,
    body: readFileSync(realpathSync(join(tree, from))),
    mode: 0o755,
  });
  const code = new Uint8Array(4096);
  // mov eax, 42; ret
  code.set([0xb8, 42, 0, 0, 0, 0xc3]);
  return [
    program(python, python),
    program(`${libraries}/${loader}`, `lib64/${loader}`),
    ...libraryFiles(tree),
    ...filesBelow(join(tree, pythonLibrary))
      .filter((path) => neededModules.test(path) && !path.includes('__pycache__'))
      .map((path) => program(`${pythonLibrary}/${path}`, `${pythonLibrary}/${path}`)),
    ...['inside', 'escape', 'execution', 'system'].map((name) => ({
      path: `agent/${name}.py`,
      body: readFileSync(join(import.meta.dirname, '../prove/agent', `${name}.py`)),
    })),
    program('usr/bin/cat', 'bin/cat'),
    program('usr/bin/true', 'bin/true'),
    program(`${libraries}/libz.so.1`, 'lib/preload.so'),
    { path: 'bin/answer', body: answerProgram(), mode: 0o755 },
    { path: 'bin/code', body: code },
  ];
}

function libraryFiles(tree: string): readonly LayerFile[] {
  const folder = join(tree, libraries);
  return readdirSync(folder)
    .filter((name) => neededLibraries.test(name) && existsSync(join(folder, name)))
    .sort()
    .map((name) => ({
      path: `${libraries}/${name}`,
      body: readFileSync(realpathSync(join(folder, name))),
      mode: 0o755,
    }));
}

function filesBelow(folder: string): readonly string[] {
  const found: string[] = [];
  const walk = (path: string): void => {
    for (const name of readdirSync(path).sort()) {
      const child = join(path, name);
      if (lstatSync(child).isDirectory()) walk(child);
      else found.push(relative(folder, child));
    }
  };
  walk(folder);
  return found;
}
