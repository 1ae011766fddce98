/** A check that failed, in one line. */

import type { CheckMessage } from '@osguard/attest/protocol';

/** Texts longer than this are told apart by the words that differ. Characters. */
const longText = 120;

export function describeCheck(check: CheckMessage): string {
  const { id, message, where } = check;
  const { expected, found } = tellApart(check);
  const parts = [
    `${id}: ${message}`,
    ...(expected === undefined ? [] : [`expected ${expected}`]),
    ...(found === undefined ? [] : [`found ${found}`]),
    ...(where === undefined ? [] : [`at ${where}`]),
  ];
  return parts.join('; ');
}

export type Contrast = Pick<CheckMessage, 'expected' | 'found'>;

/** Both texts without the words they share, where they are long: of two command lines the one argument remains. */
export function tellApart({ expected, found }: Contrast): Contrast {
  if (expected === undefined || found === undefined) return { expected, found };
  if (expected.length <= longText && found.length <= longText) return { expected, found };
  const [a, b] = [expected.split(' '), found.split(' ')];
  const [onlyA, onlyB] = [without(a, new Set(b)), without(b, new Set(a))];
  return onlyA === '' && onlyB === '' ? { expected, found } : { expected: onlyA, found: onlyB };
}

function without(words: readonly string[], shared: ReadonlySet<string>): string {
  return words
    .map((word) => (shared.has(word) ? '…' : word))
    .filter((word, index, all) => word !== '…' || all[index - 1] !== '…')
    .join(' ');
}
