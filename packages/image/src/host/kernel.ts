/** Where the installed kernel lies: Debian's split packages keep it with its modules, older ones in /boot. */

import { ImageError } from '../error.ts';
import type { RootNode, RootTree } from '../tree/index.ts';

export interface InstalledKernel {
  /** As `uname -r` will say. */
  readonly release: string;
  /** In the tree, without leading slash. */
  readonly path: string;
  readonly node: RootNode;
}

/** @throws ImageError `incomplete-root` unless there is exactly one kernel with modules */
export function findKernel(tree: RootTree): InstalledKernel {
  const found = tree.names('usr/lib/modules').flatMap((release): InstalledKernel[] => {
    const path = [`usr/lib/modules/${release}/vmlinuz`, `boot/vmlinuz-${release}`].find((at) => tree.has(at));
    const node = path === undefined ? undefined : tree.get(path);
    return path === undefined || node?.type !== 'file' ? [] : [{ release, path, node }];
  });
  const [kernel, ...others] = found;
  if (kernel === undefined || others.length > 0) {
    const what =
      kernel === undefined
        ? 'no kernel'
        : `${found.length} kernels: ${found.map(({ release }) => release).join(', ')}`;
    throw new ImageError('incomplete-root', `the installed packages bring ${what}`, {
      hint: 'name one kernel under kernel.package',
    });
  }
  return kernel;
}
