/** What changed in a text: words of one line (a command line), lines of several (os-release, certificates). */

import { align } from './align.ts';

export interface TextChange {
  readonly kind: 'same' | 'removed' | 'added';
  /** Words joined by a space, or lines joined by a line feed. */
  readonly text: string;
}

/** Neighbours of one kind are one change. */
export function diffTexts(expected: string, found: string): readonly TextChange[] {
  const separator = expected.includes('\n') || found.includes('\n') ? '\n' : ' ';
  const steps = align(split(expected, separator), split(found, separator), {
    same: (a, b) => a === b,
    alike: () => false,
  });
  const changes: { kind: TextChange['kind']; text: string }[] = [];
  for (const step of steps) {
    if (step.kind === 'changed') continue;
    const kind = step.kind === 'same' ? 'same' : step.kind === 'missing' ? 'removed' : 'added';
    const text = step.kind === 'unexpected' ? step.found : step.expected;
    const last = changes.at(-1);
    if (last?.kind === kind) last.text += separator + text;
    else changes.push({ kind, text });
  }
  return changes;
}

/** Both texts with what is the same left out: for one line each, as in a verdict. */
export function changedParts(changes: readonly TextChange[]): {
  readonly expected: string;
  readonly found: string;
} {
  const without = (kind: TextChange['kind']): string => {
    const pieces = changes.flatMap((change) =>
      change.kind === 'same' ? ['…'] : change.kind === kind ? [] : [change.text.replaceAll('\n', '; ')],
    );
    const shown = pieces.filter((piece, index) => piece !== '…' || pieces[index - 1] !== '…').join(' ');
    return shown === '…' || shown === '' ? 'nothing there' : shown;
  };
  return { expected: without('added'), found: without('removed') };
}

function split(text: string, separator: string): readonly string[] {
  return text === '' ? [] : text.split(separator);
}
