/** A folder of a test's own that is gone when the test is. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Scratch extends Disposable {
  readonly path: string;
  file(name: string): string;
}

/** `using dir = scratch('gpt')` removes the folder at the end of the block. */
export function scratch(name: string): Scratch {
  const path = mkdtempSync(join(tmpdir(), `osguard-${name}-`));
  return {
    path,
    file: (leaf) => join(path, leaf),
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  };
}
