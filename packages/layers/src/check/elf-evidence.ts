/** What one ELF file says about itself. */

import { FormatError, sourceOf } from '@osguard/formats/bytes';
import { elfMachines, parseElf } from '@osguard/formats/elf';
import type { ElfFile } from '@osguard/formats/elf';
import type { Finding } from './finding.ts';
import { runtimes } from './runtimes.ts';
import type { Runtime } from './runtimes.ts';

export type Evidence = Omit<Finding, 'path' | 'layer'>;

export interface ElfFacts {
  readonly machine: number;
  /** Of the dynamic linker. */
  readonly interpreter: string | undefined;
  /** False for object files and separated debug information. */
  readonly runs: boolean;
  readonly evidence: readonly Evidence[];
}

/** Undefined when it only looks like ELF. */
export function examineElf(bytes: Uint8Array, name: string): ElfFacts | undefined {
  let elf: ElfFile;
  try {
    elf = parseElf(sourceOf(bytes));
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
  const { machine, interpreter, kind } = elf;
  const runs = kind === 'executable' || kind === 'shared';
  const evidence = runs ? [...layoutEvidence(elf), ...runtimeEvidence(elf, { bytes, name })] : [];
  return { machine, interpreter, runs, evidence };
}

function layoutEvidence(elf: ElfFile): readonly Evidence[] {
  const found: Evidence[] = [];
  const stack = executableStack(elf);
  // The kernel gives a program its stack without asking anybody; a library's has to be asked for with mprotect.
  if (stack !== undefined && isProgram(elf)) {
    found.push({
      id: 'executable-stack',
      level: 'note',
      evidence: stack,
      why: 'it runs, on a stack that may be executed: whoever gets to write there runs code that nobody signed',
      mend: 'do not sign it; build it with -Wl,-z,noexecstack, or clear the mark (patchelf --clear-execstack)',
    });
  } else if (stack !== undefined) {
    found.push({
      id: 'executable-stack',
      level: 'refused',
      evidence: stack,
      why: 'a stack that can be executed is anonymous executable memory; a library that wants one does not load',
      mend: 'build it with -Wl,-z,noexecstack, or clear the mark (patchelf --clear-execstack) when it needs none',
    });
  }
  if (elf.textRelocations) {
    found.push({
      id: 'text-relocations',
      level: 'refused',
      evidence: 'DT_TEXTREL',
      why: 'its code is changed in memory while it is loaded, and SELinux (execmod) refuses to execute it then',
      mend: 'build it as position-independent code (-fPIC)',
    });
  }
  if (elf.writableText) {
    found.push({
      id: 'writable-text',
      level: 'note',
      evidence: 'PT_LOAD is RWE',
      why: 'it runs, for the segment comes from a signed file; but whoever gets to write there runs code that nobody signed',
      mend: 'do not sign it; link it with separate segments (-Wl,-z,separate-code), and do not pack it',
    });
  }
  return found;
}

/** A position-independent program is a shared object as well, but for its dynamic linker. */
function isProgram({ kind, interpreter }: ElfFile): boolean {
  return kind === 'executable' || interpreter !== undefined;
}

/** Without a mark, x86 has to assume the worst: the kernel for 32-bit programs, glibc for libraries. */
function executableStack({ stack, machine, interpreter, kind, needed, soname }: ElfFile): string | undefined {
  if (stack === 'executable') return 'PT_GNU_STACK is RWE';
  if (stack === 'plain') return undefined;
  const isLibrary =
    kind === 'shared' && interpreter === undefined && (soname !== undefined || needed.length > 0);
  const assumed = machine === elfMachines.get('386') || (machine === elfMachines.get('amd64') && isLibrary);
  return assumed ? 'no PT_GNU_STACK' : undefined;
}

function runtimeEvidence(
  elf: ElfFile,
  { bytes, name }: { readonly bytes: Uint8Array; readonly name: string },
): readonly Evidence[] {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const names = [...(elf.soname === undefined ? [] : [elf.soname]), name];
  const found: Evidence[] = [];
  for (const runtime of runtimes) {
    const evidence = seenOf(runtime, { elf, names, buffer });
    const { id, level, why, mend, unless } = runtime;
    if (evidence === undefined || (unless !== undefined && buffer.includes(unless, 0, 'latin1'))) continue;
    found.push({ id, level, evidence, why, mend });
  }
  return found;
}

function seenOf(
  { sonames, exports = [], imports = [], together = [], texts = [] }: Runtime,
  {
    elf,
    names,
    buffer,
  }: { readonly elf: ElfFile; readonly names: readonly string[]; readonly buffer: Buffer },
): string | undefined {
  const soname = sonames === undefined ? undefined : names.find((each) => sonames.test(each));
  if (soname !== undefined) return `is ${soname}`;
  const exported = exports.find((each) => elf.exports.has(each));
  if (exported !== undefined) return `exports ${exported}`;
  const imported = imports.find((each) => elf.imports.has(each));
  if (imported !== undefined) return `imports ${imported}`;
  const pair = together.find((wanted) => wanted.every((each) => elf.imports.has(each)));
  if (pair !== undefined) return `imports ${pair.join(' and ')}`;
  const text = texts.find((each) => buffer.includes(each, 0, 'latin1'));
  return text === undefined ? undefined : `contains ${JSON.stringify(text)}`;
}
