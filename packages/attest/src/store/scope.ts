/** Which of the trusted nodes a secret is for. */

import type { SecretScope } from './types.ts';

export interface Recipient {
  readonly node: string;
  readonly labels: readonly string[];
  readonly release: { readonly id: string; readonly name: string; readonly version: string };
}

export function isInScope(scope: SecretScope | 'everyone', { node, labels, release }: Recipient): boolean {
  if (scope === 'everyone') return true;
  const { id, name, version } = release;
  const isNode = scope.nodes.includes(node) || scope.labels.some((label) => labels.includes(label));
  const isRelease = scope.releases.some((one) => [id, name, `${name}@${version}`].includes(one));
  const anyNode = scope.nodes.length === 0 && scope.labels.length === 0;
  return (anyNode || isNode) && (scope.releases.length === 0 || isRelease);
}
