/**
 * Package URLs (purl-spec, "How to build purl string from its components") of what osguard names: Debian packages, npm
 * packages and programs of their own.
 */

import { FormatError } from '../bytes/index.ts';

export interface PackageUrl {
  readonly type: 'deb' | 'npm' | 'generic';
  /** The distribution of a Debian package, the scope of an npm package. */
  readonly namespace?: string;
  readonly name: string;
  readonly version: string;
  readonly qualifiers?: Readonly<Record<string, string>>;
}

/** @throws FormatError (`not-encodable`) without name or version. */
export function encodePurl({ type, namespace, name, version, qualifiers = {} }: PackageUrl): string {
  if (name === '' || version === '')
    throw new FormatError('not-encodable', 'a package URL needs name and version');
  // Names of these types do not tell capitals from small letters.
  const folded = (text: string): string => (type === 'generic' ? text : text.toLowerCase());
  const path = [namespace, name]
    .filter((part) => part !== undefined && part !== '')
    .map((part) => encodeURIComponent(folded(part ?? '')));
  const sorted = Object.entries(qualifiers).sort(([a], [b]) => (a < b ? -1 : 1));
  const query = sorted.map(([key, value]) => `${key}=${encodeURIComponent(value)}`).join('&');
  const tail = query === '' ? '' : `?${query}`;
  return `pkg:${type}/${path.join('/')}@${encodeURIComponent(version).replaceAll('%3A', ':').replaceAll('%2B', '+')}${tail}`;
}
