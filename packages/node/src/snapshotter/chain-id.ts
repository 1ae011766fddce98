/** Chain IDs of OCI images: image-spec, config.md, "Layer ChainID". */

import { hash } from 'node:crypto';

/** @param diffIds from the base upwards, each `sha256:…`. @returns `sha256:…` */
export function chainId(diffIds: readonly string[]): string {
  let chain = '';
  for (const diffId of diffIds)
    chain = chain === '' ? diffId : `sha256:${hash('sha256', `${chain} ${diffId}`)}`;
  return chain;
}

const named = /(?:^|\/)(sha256:[0-9a-f]{64})$/;

/** The chain ID at the end of a snapshot's name; containerd puts namespace and number before it. */
export function chainIdOf(name: string): string | undefined {
  return named.exec(name)?.[1];
}
