/** Public test vectors, when they are there: a folder beside the checkout or named by OSGUARD_VECTORS. */

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface VectorRow {
  readonly id: string;
  readonly [field: string]: unknown;
}

export interface Vectors {
  /** Bytes of one vector file, by its path inside the folder. */
  file(path: string): Uint8Array;
  /** The rows of one family of expected.json, for example `1-dm-verity`. */
  rows(family: string): readonly VectorRow[];
}

const besideCheckout = join(import.meta.dirname, '../../../../shared/vectors');

/** The vectors, or undefined: the caller then skips its test with {@link noVectors} as the reason. */
export function vectors(): Vectors | undefined {
  const folder = process.env['OSGUARD_VECTORS'] ?? besideCheckout;
  const index = join(folder, 'expected.json');
  if (!existsSync(index)) return undefined;
  const { families } = JSON.parse(readFileSync(index, 'utf8')) as {
    families: Record<string, readonly VectorRow[]>;
  };
  return {
    file: (path) => readFileSync(join(folder, path)),
    rows(family) {
      const rows = families[family];
      if (rows === undefined) throw new Error(`no family ${family} in ${index}`);
      return rows;
    },
  };
}

export const noVectors = 'the public test vectors are not on this machine (set OSGUARD_VECTORS)';
