/** Packages as Packages indexes and /var/lib/dpkg/status list them: deb-control(5), Debian policy chapter 5. */

import { FormatError } from '../bytes/index.ts';
import type { Stanza } from './stanza.ts';
import { parseDeb822 } from './stanza.ts';

export interface DebianPackage {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  readonly source: SourcePackage;
  readonly maintainer?: string;
  readonly homepage?: string;
  readonly section?: string;
  readonly priority?: string;
  readonly essential: boolean;
  /** First line of the description. */
  readonly summary?: string;
  /** Estimate of the maintainer. Bytes. */
  readonly installedSize?: number;
  /** In an index: of the .deb file. */
  readonly file?: { readonly path: string; readonly size: number; readonly sha256: string };
  /** In dpkg's status, for example `install ok installed`. */
  readonly status?: string;
}

export interface SourcePackage {
  readonly name: string;
  readonly version: string;
}

const packageName = /^[a-z0-9][a-z0-9+.-]+$/;
/** deb-version(7). */
const packageVersion = /^(?:\d+:)?[0-9A-Za-z.+:~-]+$/;

/** @throws FormatError when a stanza is no package. Packages that are removed but not purged are included. */
export function parsePackageList(bytes: Uint8Array, source = 'package list'): DebianPackage[] {
  const packages: DebianPackage[] = [];
  for (const stanza of parseDeb822(bytes, { source })) packages.push(packageOf(stanza, source));
  return packages;
}

/** `Source: name (version)`; absent, the source has name and version of the package. */
export function sourceOf(stanza: Stanza): SourcePackage | undefined {
  const [, name, version] = /^(\S+)(?:\s+\((\S+)\))?$/.exec(stanza.get('Source') ?? '') ?? [];
  const own = stanza.get('Version');
  const ownName = stanza.get('Package');
  if (name !== undefined) return { name, version: version ?? own ?? '' };
  return ownName === undefined || own === undefined ? undefined : { name: ownName, version: own };
}

function packageOf(stanza: Stanza, source: string): DebianPackage {
  const fail = (what: string): FormatError =>
    new FormatError('malformed', `${source}:${stanza.at.line}: ${what}`, { offset: stanza.at.offset });
  const required = (field: string, pattern: RegExp): string => {
    const value = stanza.get(field);
    if (value === undefined) throw fail(`a package without ${field}`);
    if (!pattern.test(value)) throw fail(`${field} ${JSON.stringify(value.slice(0, 60))} is not allowed`);
    return value;
  };
  const number = (field: string): number | undefined => {
    const value = stanza.get(field);
    if (value === undefined) return undefined;
    if (!/^\d{1,15}$/.test(value)) throw fail(`${field} is no number`);
    return Number(value);
  };
  const optional = <K extends string>(key: K, field: string): { [Key in K]?: string } => {
    const value = stanza.get(field);
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- one key, given by the caller
    return (value === undefined ? {} : { [key]: value }) as { [Key in K]?: string };
  };
  const name = required('Package', packageName);
  const version = required('Version', packageVersion);
  const installed = number('Installed-Size');
  const summary = stanza.get('Description')?.split('\n', 1)[0];
  const path = stanza.get('Filename');
  const size = number('Size');
  const sha256 = path === undefined ? undefined : required('SHA256', /^[0-9a-f]{64}$/);
  return {
    name,
    version,
    architecture: required('Architecture', /^[a-z0-9-]+$/),
    source: sourceOf(stanza) ?? { name, version },
    essential: stanza.get('Essential') === 'yes',
    ...optional('maintainer', 'Maintainer'),
    ...optional('homepage', 'Homepage'),
    ...optional('section', 'Section'),
    ...optional('priority', 'Priority'),
    ...optional('status', 'Status'),
    ...(summary !== undefined && { summary }),
    ...(installed !== undefined && { installedSize: installed * 1024 }),
    ...(path !== undefined && size !== undefined && sha256 !== undefined && { file: { path, size, sha256 } }),
  };
}
