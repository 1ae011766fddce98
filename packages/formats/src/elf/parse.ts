/** An ELF file, read for what decides how the kernel and the dynamic linker load it. */

import type { ByteSource } from '../bytes/index.ts';
import { FormatError } from '../bytes/index.ts';
import type { ElfDynamic } from './dynamic.ts';
import { parseDynamic } from './dynamic.ts';
import type { ElfKind } from './header.ts';
import { parseElfHeader, parseSegments, segmentFlag, segmentType } from './header.ts';

export interface ElfFile extends ElfDynamic {
  readonly bits: 32 | 64;
  readonly kind: ElfKind;
  readonly machine: number;
  /** Path of the dynamic linker; undefined for static programs and libraries. */
  readonly interpreter: string | undefined;
  /** Whether PT_GNU_STACK asks for a stack that can be executed; `unmarked` when there is none. */
  readonly stack: 'plain' | 'executable' | 'unmarked';
  /** A segment that is both writable and executable. */
  readonly writableText: boolean;
}

/** e_machine of what the architectures of image configurations are called. */
export const elfMachines: ReadonlyMap<string, number> = new Map([
  ['386', 3],
  ['amd64', 62],
  ['arm', 40],
  ['arm64', 183],
  ['loong64', 258],
  ['mips64le', 8],
  ['ppc64le', 21],
  ['riscv64', 243],
  ['s390x', 22],
]);

const longestInterpreter = 4096;

/** @throws FormatError */
export function parseElf(source: ByteSource): ElfFile {
  const header = parseElfHeader(source);
  const segments = parseSegments(source, header);
  const stack = segments.find(({ type }) => type === segmentType.gnuStack);
  const both = segmentFlag.write | segmentFlag.execute;
  return {
    bits: header.bits,
    kind: header.kind,
    machine: header.machine,
    interpreter: readInterpreter(
      source,
      segments.find(({ type }) => type === segmentType.interpreter),
    ),
    stack:
      stack === undefined ? 'unmarked' : (stack.flags & segmentFlag.execute) === 0 ? 'plain' : 'executable',
    writableText: segments.some(({ type, flags }) => type === segmentType.load && (flags & both) === both),
    ...parseDynamic(source, { header, segments }),
  };
}

function readInterpreter(
  source: ByteSource,
  segment: { readonly offset: number; readonly fileSize: number } | undefined,
): string | undefined {
  if (segment === undefined || segment.fileSize === 0) return undefined;
  const { offset, fileSize } = segment;
  if (fileSize > longestInterpreter)
    throw new FormatError('too-large', `interpreter of ${fileSize} bytes`, { offset });
  const bytes = Buffer.from(source.read(offset, fileSize));
  const end = bytes.indexOf(0);
  if (end < 0) throw new FormatError('malformed', 'the path of the interpreter does not end', { offset });
  return bytes.toString('latin1', 0, end);
}
