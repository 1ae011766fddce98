/** What is inside osguard-node, for the bill of materials: read from the package.json of whatever the bundle took in. */

import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { SbomComponent } from '@osguard/formats/spdx';

/** osguard-node itself, and the Node it is embedded in. @param node Path of the binary inside its npm package. */
export async function ownComponents(node: string): Promise<readonly SbomComponent[]> {
  const ours = await readPackage(join(import.meta.dirname, '..', '..'));
  const { version } = await readPackage(join(dirname(node), '..'));
  return [
    { ...ours, type: 'generic', name: 'osguard-node' },
    // Node and what it is made of have many licences: no single expression is claimed.
    { type: 'generic', name: 'node', version },
  ];
}

/** @param inputs Files of the bundle, relative to `root`; those of this workspace are osguard's own. */
export async function npmComponents(
  root: string,
  inputs: readonly string[],
): Promise<readonly SbomComponent[]> {
  const folders = new Set(inputs.flatMap((path) => packageFolder.exec(path)?.[0] ?? []));
  return Promise.all([...folders].sort().map((folder) => readPackage(join(root, folder))));
}

/** Up to the innermost package: packages may lie inside others. */
const packageFolder = /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/;

async function readPackage(folder: string): Promise<SbomComponent> {
  const value: unknown = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
  const field = (name: string): string | undefined => {
    const found: unknown = typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
    return typeof found === 'string' ? found : undefined;
  };
  const license = field('license');
  return {
    type: 'npm',
    name: field('name') ?? '',
    version: field('version') ?? '',
    ...(license !== undefined && { license }),
  };
}
