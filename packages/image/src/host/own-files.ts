/** The static files that lie beside this source, by the path they get in the image or initrd. */

import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';

/** Every file below `folder`, sorted by path, without leading slash. */
export function readOwnFiles(folder: string): ReadonlyMap<string, Uint8Array> {
  const found = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path): [string, Uint8Array] => [relative(folder, path), readFileSync(path)]);
  return new Map(found.sort(([a], [b]) => (a < b ? -1 : 1)));
}
