/** JSON from strangers: the number of brackets is bounded before it is parsed, and with it depth and members. */

import { Refused } from './refusal.ts';

const decoder = new TextDecoder('utf-8', { fatal: true });
const open = [0x7b, 0x5b];

export interface JsonBounds {
  /** `{` and `[`, each, also those in texts. */
  readonly brackets: number;
}

/** @throws Refused `malformed` */
export function parseBoundedJson(bytes: Uint8Array, { brackets }: JsonBounds): unknown {
  for (const bracket of open) {
    let count = 0;
    for (let at = bytes.indexOf(bracket); at !== -1; at = bytes.indexOf(bracket, at + 1)) {
      count += 1;
      if (count > brackets) throw new Refused('malformed', { message: 'too many brackets' });
    }
  }
  try {
    return JSON.parse(decoder.decode(bytes));
  } catch (cause) {
    throw new Refused('malformed', { message: 'no JSON', cause });
  }
}
