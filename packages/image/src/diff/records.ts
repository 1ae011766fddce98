/** The common shape of everything that is compared: named records of text fields. */

import type { DiffEntry, FieldDiff, PartDiff, PartId } from './report.ts';

export type Fields = Readonly<Record<string, string | undefined>>;
export type Records = ReadonlyMap<string, Fields>;

/** Entries of one part that are kept; the counts go on. */
const mostEntries = 20_000;

export class PartCollector {
  readonly #id: PartId;
  readonly #entries: DiffEntry[] = [];
  readonly #counts = { added: 0, removed: 0, changed: 0 };

  constructor(id: PartId) {
    this.#id = id;
  }

  /** Records the difference between two records of one name, if there is any. */
  compare(name: string, a: Fields | undefined, b: Fields | undefined): void {
    const fields = fieldsOf(a, b);
    if (a === undefined && b === undefined) return;
    if (a === undefined) this.add({ change: 'added', name, fields });
    else if (b === undefined) this.add({ change: 'removed', name, fields });
    else if (fields.length > 0) this.add({ change: 'changed', name, fields });
  }

  add(entry: DiffEntry): void {
    this.#counts[entry.change] += 1;
    if (this.#entries.length < mostEntries) this.#entries.push(entry);
  }

  /** Undefined when nothing differs. */
  finish(): PartDiff | undefined {
    const { added, removed, changed } = this.#counts;
    const total = added + removed + changed;
    if (total === 0) return undefined;
    const omitted = total - this.#entries.length;
    return { id: this.#id, ...this.#counts, entries: this.#entries, omitted };
  }
}

function fieldsOf(a: Fields | undefined, b: Fields | undefined): readonly FieldDiff[] {
  const names = [...new Set([...Object.keys(a ?? {}), ...Object.keys(b ?? {})])];
  return names.flatMap((field): FieldDiff[] => {
    const before = a?.[field];
    const after = b?.[field];
    if (before === after) return [];
    return [{ field, ...(before !== undefined && { before }), ...(after !== undefined && { after }) }];
  });
}

/** Names in the order of the first, then what only the second has. */
export function diffRecords(id: PartId, a: Records, b: Records): PartDiff | undefined {
  const part = new PartCollector(id);
  for (const [name, fields] of a) part.compare(name, fields, b.get(name));
  for (const [name, fields] of b) if (!a.has(name)) part.compare(name, undefined, fields);
  return part.finish();
}
