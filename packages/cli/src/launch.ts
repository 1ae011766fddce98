/** What `./osguard` starts: the command, from its bundle while that is made of the sources that are there. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { bundleFolder, isFresh, readBundle } from './bundle.ts';

const root = join(import.meta.dirname, '../../..');
const bundle = readBundle(root);
const bundled = bundle && join(root, bundleFolder, bundle.folder, 'main.js');
const main =
  bundle !== undefined && bundled !== undefined && isFresh(root, bundle) && existsSync(bundled)
    ? bundled
    : join(import.meta.dirname, 'main.ts');
await import(pathToFileURL(main).href);
