/** Where a layer came from, as far as containerd noted it on the blob. */

export interface Source {
  readonly registry: string;
  readonly repository: string;
}

/** Host name without port after it; the value lists repositories. Older and newer containerd differ in the prefix. */
const label = /^containerd(?:\.io)?[./]distribution\.source\.(.+)$/;
const repositoryName = /^[a-z0-9]+(?:[._/-]+[a-z0-9]+)*$/;
/** It becomes part of addresses and of paths. */
const hostName = /^(?:[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*|\[[0-9A-Fa-f:]+\])(?::\d{1,5})?$/;

/**
 * @param registries known with their ports, for the label has only the host's name.
 * @returns each registry and repository once; the port of https only where no other is known.
 */
export function sourcesOf(
  labels: Readonly<Record<string, string>>,
  registries: readonly string[],
): readonly Source[] {
  const sources: Source[] = [];
  for (const [name, value] of Object.entries(labels)) {
    const host = label.exec(name)?.[1];
    if (host === undefined || !hostName.test(host)) continue;
    const known = registries.filter(
      (registry) => registry.replace(/:\d+$/, '') === host && registry !== host,
    );
    for (const registry of known.length === 0 ? [host] : new Set(known)) {
      for (const repository of value.split(',')) {
        if (repositoryName.test(repository)) sources.push({ registry, repository });
      }
    }
  }
  return sources;
}
