/**
 * Leaves out of ICU's data what the executable never asks for. Node carries the words, calendars and old encodings of all
 * languages: 33 MB, a quarter of it. ICU, source/common/ucmndata.h (the package and its table of contents).
 *
 * Items that stay are moved together at the front, so everything behind them is free. What is asked for and gone is
 * "not found" to ICU, which then takes the language-neutral item (`root`).
 */

import { NodeError } from '../error.ts';

export interface FreeRange {
  /** Bytes from the start of the program. */
  readonly offset: number;
  /** Bytes. */
  readonly size: number;
}

/** Of languages English and none; sorting, time zones, normalisation and what ICU needs to start. */
const kept: readonly RegExp[] = [
  /^(?:(?:brkitr|coll|curr|lang|rbnf|region|unit|zone)\/)?(?:en|en_US|pool|res_index|root)\.res$/,
  /^coll\/ucadata\.icu$/,
  // ICU counts on its rules for the ends of words, lines and sentences: V8 crashes without.
  /^brkitr\/(?:char|line|sent|title|word)\.brk$/,
  // Not about a language: likely subtags, plurals, currencies, zones.
  /^(?:[a-z]+[A-Z0-9]\w*|dayPeriods|icustd|icuver|metadata|plurals|units)\.res$/,
  // Names of characters are nobody's business here.
  /^(?!unames\.)\w+\.(?:icu|nrm)$/,
];

const magic = 0x27da;
const dataFormat = 'CmnD';
const formatAt = 12;
const mostItems = 20_000;
const alignment = 16;

interface Item {
  /** With the prefix of the package, as ICU sorts it. */
  readonly name: string;
  /** From the table of contents. */
  readonly start: number;
  readonly end: number;
}

/**
 * Changes the program in place.
 *
 * @returns what is free now
 * @throws NodeError `node-binary` unless the program holds exactly one package of ICU data
 */
export function trimIcuData(program: Buffer): FreeRange {
  const header = findPackage(program);
  const table = header + program.readUInt16LE(header);
  const items = readItems(program, table);
  const last = items.at(-1);
  const chosen = items.filter(({ name }) =>
    kept.some((rule) => rule.test(name.slice(name.indexOf('/') + 1))),
  );
  if (last === undefined || chosen.length === 0) throw unusable('no item of ICU data would stay');

  const names = Buffer.from(chosen.map(({ name }) => `${name}\0`).join(''), 'latin1');
  const namesAt = 4 + 8 * chosen.length;
  const bodies = chosen.map(({ start, end }) =>
    Uint8Array.from(program.subarray(table + start, table + end)),
  );
  // The last item's own end stands nowhere: its bytes stay where they are, used by nobody.
  const free = table + last.start;
  program.fill(0, table, free);

  program.writeUInt32LE(chosen.length, table);
  names.copy(program, table + namesAt);
  let nameAt = namesAt;
  let at = aligned(namesAt + names.length);
  for (const [index, body] of bodies.entries()) {
    program.writeUInt32LE(nameAt, table + 4 + 8 * index);
    program.writeUInt32LE(at, table + 8 + 8 * index);
    program.set(body, table + at);
    nameAt += (chosen[index]?.name.length ?? 0) + 1;
    at = aligned(at + body.length);
  }
  const offset = table + at;
  return { offset, size: free - offset };
}

function findPackage(program: Buffer): number {
  const found: number[] = [];
  for (let at = program.indexOf(dataFormat); at >= 0; at = program.indexOf(dataFormat, at + 1)) {
    const header = at - formatAt;
    if (header >= 0 && program.readUInt16LE(header + 2) === magic) found.push(header);
  }
  const [header, ...others] = found;
  if (header === undefined || others.length > 0) throw unusable(`${found.length} packages of ICU data`);
  return header;
}

function readItems(program: Buffer, table: number): readonly Item[] {
  const count = program.readUInt32LE(table);
  if (count === 0 || count > mostItems) throw unusable(`${count} items of ICU data`);
  const starts: { readonly name: string; readonly start: number }[] = [];
  for (let index = 0; index < count; index += 1) {
    const nameAt = table + program.readUInt32LE(table + 4 + 8 * index);
    const end = program.indexOf(0, nameAt);
    const start = program.readUInt32LE(table + 8 + 8 * index);
    const before = starts.at(-1);
    const name = program.toString('latin1', nameAt, end);
    if (
      table + start >= program.length ||
      (before !== undefined && (before.start >= start || before.name >= name))
    )
      throw unusable(`item ${index} of ICU data is not where it was expected`);
    starts.push({ name, start });
  }
  return starts.map(({ name, start }, index) => ({ name, start, end: starts[index + 1]?.start ?? start }));
}

function aligned(offset: number): number {
  return Math.ceil(offset / alignment) * alignment;
}

function unusable(message: string): NodeError {
  return new NodeError('node-binary', `the Node binary holds ${message}`, {
    hint: 'see how this version of Node brings its ICU data, and change executable/icu-data.ts',
  });
}
