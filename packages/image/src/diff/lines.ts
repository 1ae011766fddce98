/** Which lines of a short text went and came: longest common subsequence. Order counts, as it does for IPE rules. */

import type { ImageReport } from '../inspect/index.ts';
import { PartCollector } from './records.ts';
import type { PartDiff } from './report.ts';

/** Lines; the table of the algorithm has the square of it. */
const mostLines = 1500;

export function diffIpeLines(a: ImageReport, b: ImageReport): PartDiff | undefined {
  const part = new PartCollector('ipe-lines');
  const places = new Set([...a.ipe, ...b.ipe].map(({ where }) => where));
  for (const place of places) {
    const before = linesOf(a, place);
    const after = linesOf(b, place);
    if (before.length > mostLines || after.length > mostLines) {
      part.compare(place, { text: before.join('\n') }, { text: after.join('\n') });
      continue;
    }
    for (const { change, line } of diffLines(before, after)) part.add({ change, name: line, fields: [] });
  }
  return part.finish();
}

function linesOf({ ipe }: ImageReport, place: string): readonly string[] {
  const text = ipe.find(({ where }) => where === place)?.text ?? '';
  return text.split('\n').filter((line) => line.trim() !== '');
}

export function diffLines(
  a: readonly string[],
  b: readonly string[],
): readonly { readonly change: 'added' | 'removed'; readonly line: string }[] {
  const width = b.length + 1;
  // common[i * width + j]: lines that a from i on and b from j on have in common.
  const common = new Uint16Array((a.length + 1) * width);
  const at = (i: number, j: number): number => common[i * width + j] ?? 0;
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      common[i * width + j] = a[i] === b[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  const changes: { readonly change: 'added' | 'removed'; readonly line: string }[] = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      i += 1;
      j += 1;
    } else if (i < a.length && (j === b.length || at(i + 1, j) >= at(i, j + 1))) {
      changes.push({ change: 'removed', line: a[i] ?? '' });
      i += 1;
    } else {
      changes.push({ change: 'added', line: b[j] ?? '' });
      j += 1;
    }
  }
  return changes;
}
