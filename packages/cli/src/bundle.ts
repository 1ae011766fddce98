/** The bundle of the command that `scripts/bundle.ts` makes: where it lies, and whether it is what the sources are now. */

import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** From the top of the checkout. An installation of npm packages deletes it with everything else there. */
export const bundleFolder = 'node_modules/.osguard';
export const bundleRecord: string = join(bundleFolder, 'bundle.json');

export interface Bundle {
  /** Of the program that runs it. */
  readonly node: string;
  /** Folder of the bundle, in {@link bundleFolder}. */
  readonly folder: string;
  /** What it was made of: every source file that went in, from the top of the checkout. */
  readonly inputs: readonly BundleInput[];
}

export interface BundleInput {
  readonly path: string;
  readonly mtimeMs: number;
  /** Bytes. */
  readonly size: number;
}

/** Undefined when there is none that can be read. */
export function readBundle(root: string): Bundle | undefined {
  try {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- written by scripts/bundle.ts, whole or not at all
    return JSON.parse(readFileSync(join(root, bundleRecord), 'utf8')) as Bundle;
  } catch {
    return undefined;
  }
}

/** Whether every source is as old and as long as when the bundle was made. Two microseconds for each. */
export function isFresh(root: string, { node, inputs }: Bundle): boolean {
  if (node !== process.version) return false;
  return inputs.every(({ path, mtimeMs, size }) => {
    const stats = statSync(`${root}/${path}`, { throwIfNoEntry: false });
    return stats !== undefined && stats.mtimeMs === mtimeMs && stats.size === size;
  });
}
