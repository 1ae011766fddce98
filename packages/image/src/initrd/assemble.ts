/** The initrd of one image, from the installed packages to bytes. */

import { join } from 'node:path';
import type { Definition } from '../definition/index.ts';
import type { RootTree } from '../tree/index.ts';
import { BodyReader } from '../tree/index.ts';
import { sourceTreeOf } from '../tree/source-tree.ts';
import { osRelease } from '../uki/assemble.ts';
import type { InitrdBinding } from './compose.ts';
import { composeInitrd } from './compose.ts';
import { packInitrd } from './pack.ts';

export interface AssembleInitrdOptions extends Omit<InitrdBinding, 'osRelease'> {
  readonly definition: Definition;
  /** Seconds since 1970. */
  readonly sourceDateEpoch: number;
  readonly cacheFolder: string;
}

/** What one image binds; everything else is the same until a package changes. */
const binding = /^(?:cmdline|etc\/(?:initrd-release|verity\/.*|ipe\/.*))$/;

export function assembleInitrd(tree: RootTree, options: AssembleInitrdOptions): Uint8Array {
  using bodies = new BodyReader();
  const entries = composeInitrd(sourceTreeOf(tree, bodies), {
    ...options,
    osRelease: osRelease(options.definition),
  });
  return packInitrd(entries, {
    sourceDateEpoch: options.sourceDateEpoch,
    cache: join(options.cacheFolder, 'initrd'),
    isBinding: (path) => binding.test(path),
  });
}
