/**
 * The text of file_contexts(5) and of its .subs files, read as libselinux's label_file.c and label_support.c do:
 * fields separated by white space, `#` only at the start of a line, `PATTERN [TYPE] CONTEXT`.
 */

import { FormatError } from '../bytes/index.ts';

export const fileTypes = ['file', 'directory', 'symlink', 'character', 'block', 'fifo', 'socket'] as const;
export type FileType = (typeof fileTypes)[number];

/** One line of file_contexts. */
export interface FileContextSpec {
  readonly pattern: string;
  /** Absent: applies to every type of file. */
  readonly type?: FileType;
  /** Absent for `<<none>>`: matching files are not labelled. */
  readonly context?: string;
  /** Name of the file the line stands in, as the caller gave it. */
  readonly source: string;
  /** From 1. */
  readonly line: number;
}

/** One line of a .subs file: what lies under `from` is labelled as if it lay under `to`. */
export interface Substitution {
  readonly from: string;
  readonly to: string;
}

/** Debian's file_contexts has 350 kB. Bytes. */
const maxSize = 16 * 1024 * 1024;
/** The bound of libselinux for one field. Characters. */
const maxField = 65_534;

const typeFlags: ReadonlyMap<string, FileType> = new Map([
  ['--', 'file'],
  ['-d', 'directory'],
  ['-l', 'symlink'],
  ['-c', 'character'],
  ['-b', 'block'],
  ['-p', 'fifo'],
  ['-s', 'socket'],
]);

/** @throws FormatError with the line. Patterns are looked at when they are compiled, not here. */
export function parseFileContexts(bytes: Uint8Array, source = 'file_contexts'): FileContextSpec[] {
  const specs: FileContextSpec[] = [];
  for (const { fields, line, offset } of fieldLines(bytes, source)) {
    const fail = (message: string): FormatError =>
      new FormatError('malformed', `${source}:${line}: ${message}`, { offset });
    const [pattern = '', second, third] = fields;
    if (second === undefined) throw fail(`expected PATTERN [TYPE] CONTEXT, found ${JSON.stringify(pattern)}`);
    const context = third ?? second;
    const type = third === undefined ? undefined : typeFlags.get(second);
    if (third !== undefined && type === undefined) throw fail(`${second} is no file type`);
    if (context !== '<<none>>' && context.split(':').length < 3) {
      throw fail(`${context} is no security context`);
    }
    specs.push({
      pattern,
      source,
      line,
      ...(type !== undefined && { type }),
      ...(context !== '<<none>>' && { context }),
    });
  }
  return specs;
}

/** @throws FormatError with the line. A line with one field only is ignored, as libselinux does. */
export function parseFileContextSubs(bytes: Uint8Array, source = 'file_contexts.subs'): Substitution[] {
  const substitutions: Substitution[] = [];
  for (const { fields } of fieldLines(bytes, source)) {
    const [from, to] = fields;
    if (from !== undefined && to !== undefined) substitutions.push({ from, to });
  }
  return substitutions;
}

interface FieldLine {
  readonly fields: readonly string[];
  readonly line: number;
  readonly offset: number;
}

function* fieldLines(bytes: Uint8Array, source: string): Generator<FieldLine> {
  if (bytes.length > maxSize) {
    throw new FormatError('too-large', `${source}: ${bytes.length} bytes; ${maxSize} are accepted`);
  }
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
  let offset = 0;
  for (const [index, raw] of text.split('\n').entries()) {
    const trimmed = raw.trim();
    if (trimmed !== '' && !trimmed.startsWith('#')) {
      const line = index + 1;
      const fields = trimmed.split(/[ \t\v\f\r]+/).slice(0, 3);
      for (const field of fields) {
        const plain = /^[\u0021-\u007e]*$/.test(field) && field.length <= maxField;
        if (plain) continue;
        throw new FormatError('malformed', `${source}:${line}: a field is too long or not plain ASCII`, {
          offset,
        });
      }
      yield { fields, line, offset };
    }
    offset += raw.length + 1;
  }
}
