/** What the layers commands share: how an image is named and reached. */

import type { OpenedImage, RegistryOptions } from '@osguard/layers';
import type { Parameter } from './command.ts';
import { list, needed, text } from './command.ts';
import { UsageError } from './report.ts';

export interface RegistryParameters extends Readonly<Record<string, Parameter<unknown>>> {
  readonly ca: Parameter<readonly string[]>;
  readonly insecure: Parameter<readonly string[]>;
  readonly mirror: Parameter<readonly string[]>;
}

export const registryParameters: RegistryParameters = {
  ca: list('--ca <file>', 'certificate of an authority the registry is signed by; may be given again'),
  insecure: list('--insecure <host>', 'a registry without TLS that is not on this machine'),
  mirror: list('--mirror <registry=host>', 'where to read from first'),
};

export const platformParameter: Parameter<string | undefined> = text(
  '--platform <os/architecture>',
  'one platform of an index (all of them)',
);

export const imageParameter: Parameter<string> = needed(
  '<image>',
  'REGISTRY/REPOSITORY:TAG, oci:FOLDER:NAME, oci-archive:FILE or docker-archive:FILE',
);

export interface RegistryValues {
  readonly ca: readonly string[];
  readonly insecure: readonly string[];
  readonly mirror: readonly string[];
}

export function registryOptions({ ca, insecure, mirror }: RegistryValues): RegistryOptions {
  return { ca, insecure, mirrors: mirrorsOf(mirror) };
}

/** Opens the image, runs `work`, and ends the connections however it went. */
export async function withImage<T>(
  name: string,
  values: RegistryValues,
  work: (opened: OpenedImage) => Promise<T>,
): Promise<T> {
  const { openImage } = await import('@osguard/layers');
  const opened = await openImage(name, registryOptions(values));
  try {
    return await work(opened);
  } finally {
    await opened.store.close();
  }
}

function mirrorsOf(given: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const mirrors = new Map<string, string[]>();
  for (const each of given) {
    const [registry = '', host = '', more] = each.split('=');
    if (registry === '' || host === '' || more !== undefined || host.includes('/')) {
      throw new UsageError(`--mirror ${each}: expected REGISTRY=HOST, as in docker.io=mirror.example:5000`);
    }
    mirrors.set(registry, [...(mirrors.get(registry) ?? []), host]);
  }
  return mirrors;
}
