/** One digest for the set of packages in an image, whatever order they were listed in. */

import { createHash } from 'node:crypto';

export interface ListedPackage {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
}

/** SHA-256, lower-case hex, over one line `name architecture version` LF per package, sorted by bytes. */
export function packageListDigest(packages: readonly ListedPackage[]): string {
  const lines = packages.map(({ name, architecture, version }) => `${name} ${architecture} ${version}\n`);
  return createHash('sha256').update(lines.sort(byBytes).join(''), 'utf8').digest('hex');
}

function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a, 'utf8'), Buffer.from(b, 'utf8'));
}
