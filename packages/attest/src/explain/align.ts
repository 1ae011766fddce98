/** Two lists side by side: the fewest insertions and deletions that make one of the other (longest common subsequence). */

export type Step<E, F> =
  | { readonly kind: 'same'; readonly expected: E; readonly found: F }
  | { readonly kind: 'changed'; readonly expected: E; readonly found: F }
  | { readonly kind: 'missing'; readonly expected: E }
  | { readonly kind: 'unexpected'; readonly found: F };

export interface AlignOptions<E, F> {
  readonly same: (expected: E, found: F) => boolean;
  /** Whether two different entries at the same place are one entry that changed. */
  readonly alike: (expected: E, found: F) => boolean;
}

/** More entries than this are compared place by place: the table below has a cell for every pair. */
const largest = 800;

export function align<E, F>(
  expected: readonly E[],
  found: readonly F[],
  options: AlignOptions<E, F>,
): readonly Step<E, F>[] {
  const tooLarge = expected.length > largest || found.length > largest;
  const steps = tooLarge ? placeByPlace(expected, found, options) : bySubsequence(expected, found, options);
  return pairChanges(steps, options);
}

function placeByPlace<E, F>(
  expected: readonly E[],
  found: readonly F[],
  { same }: AlignOptions<E, F>,
): readonly Step<E, F>[] {
  const steps: Step<E, F>[] = [];
  for (let i = 0; i < Math.max(expected.length, found.length); i += 1) {
    const e = expected[i];
    const f = found[i];
    if (e !== undefined && f !== undefined && same(e, f)) steps.push({ kind: 'same', expected: e, found: f });
    else {
      if (e !== undefined) steps.push({ kind: 'missing', expected: e });
      if (f !== undefined) steps.push({ kind: 'unexpected', found: f });
    }
  }
  return steps;
}

function bySubsequence<E, F>(
  expected: readonly E[],
  found: readonly F[],
  { same }: AlignOptions<E, F>,
): readonly Step<E, F>[] {
  const width = found.length + 1;
  // lengths[i * width + j]: how long a common subsequence of expected[i…] and found[j…] can be.
  const lengths = new Uint16Array((expected.length + 1) * width);
  const at = (i: number, j: number): number => lengths[i * width + j] ?? 0;
  const equal = (i: number, j: number): boolean => {
    const e = expected[i];
    const f = found[j];
    return e !== undefined && f !== undefined && same(e, f);
  };
  for (let i = expected.length - 1; i >= 0; i -= 1) {
    for (let j = found.length - 1; j >= 0; j -= 1) {
      lengths[i * width + j] = equal(i, j) ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  const steps: Step<E, F>[] = [];
  let i = 0;
  let j = 0;
  while (i < expected.length || j < found.length) {
    const e = expected[i];
    const f = found[j];
    if (e !== undefined && f !== undefined && same(e, f)) {
      steps.push({ kind: 'same', expected: e, found: f });
      i += 1;
      j += 1;
    } else if (e !== undefined && (f === undefined || at(i + 1, j) >= at(i, j + 1))) {
      steps.push({ kind: 'missing', expected: e });
      i += 1;
    } else if (f !== undefined) {
      steps.push({ kind: 'unexpected', found: f });
      j += 1;
    }
  }
  return steps;
}

/** In each run of differences, what is alike becomes one change. */
function pairChanges<E, F>(
  steps: readonly Step<E, F>[],
  { alike }: AlignOptions<E, F>,
): readonly Step<E, F>[] {
  const paired: Step<E, F>[] = [];
  for (let start = 0; start < steps.length;) {
    const first = steps[start];
    if (first === undefined) break;
    if (first.kind === 'same') {
      paired.push(first);
      start += 1;
      continue;
    }
    let end = start;
    while (end < steps.length && steps[end]?.kind !== 'same') end += 1;
    const run = steps.slice(start, end);
    const founds = run.flatMap((step) => (step.kind === 'unexpected' ? [step.found] : []));
    for (const step of run) {
      if (step.kind !== 'missing') continue;
      const match = founds.findIndex((found) => alike(step.expected, found));
      const [found] = match === -1 ? [] : founds.splice(match, 1);
      paired.push(found === undefined ? step : { kind: 'changed', expected: step.expected, found });
    }
    for (const found of founds) paired.push({ kind: 'unexpected', found });
    start = end;
  }
  return paired;
}
