/** What `./osguard` starts: the command, from its bundle while that is made of the sources that are there. */

import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { bundleFolder, isFresh, readBundle } from './bundle.ts';

const root = join(import.meta.dirname, '../../..');
const bundle = readBundle(root);
const main =
  bundle !== undefined && isFresh(root, bundle)
    ? join(root, bundleFolder, bundle.folder, 'main.js')
    : join(import.meta.dirname, 'main.ts');
await import(pathToFileURL(main).href);
