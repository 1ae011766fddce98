/**
 * Which Debian mirror this machine uses and which keys it trusts for it, read from apt's own configuration. Nothing is
 * built in: a machine whose apt knows no Debian mirror needs the `mirror` option.
 */

import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import { ImageError } from '../error.ts';
import { run } from '../process/run.ts';
import { debianRepositories, parseAptConfig, parseDeb822Sources, parseOneLineSources } from './apt-text.ts';
import type { AptSource } from './apt-text.ts';

export interface Mirror {
  /** Base address, with a slash at its end. */
  readonly uri: string;
  /** Value of `Signed-By`: key files, fingerprints or an armoured key. Absent: apt's trusted keys decide. */
  readonly signedBy: string | undefined;
}

export interface DebianMirrors {
  readonly main: Mirror;
  /** Mirror of the security archive, when the machine uses one. */
  readonly security: Mirror | undefined;
}

/** What apt on this machine says, already read. */
export interface AptFacts {
  readonly sources: readonly AptSource[];
  /** Addresses whose Release file says Debian; empty when no package lists were fetched yet. */
  readonly debian: ReadonlySet<string>;
  readonly config: ReadonlyMap<string, readonly string[]>;
  /** The distribution's keyring, when its package is installed. */
  readonly keyring: string | undefined;
}

/** Debian 13 renamed the file. */
export const archiveKeyrings: readonly string[] = [
  '/usr/share/keyrings/debian-archive-keyring.gpg',
  '/usr/share/keyrings/debian-archive-keyring.pgp',
];

export type MirrorSuites = 'main' | 'security';

const release =
  '(?:bullseye|bookworm|trixie|forky|duke|sid|oldoldstable|oldstable|stable|testing|unstable|experimental)';
const suitesOf: Readonly<Record<MirrorSuites, RegExp>> = {
  main: new RegExp(`^${release}(?:-(?:updates|proposed-updates|backports|backports-sloppy))?$`),
  security: new RegExp(`^${release}(?:-security|/updates)$`),
};

/** Something apt's methods can fetch from without a person, and that fits on one line of a configuration. */
const isAddress = (text: string): boolean =>
  /^[a-z][a-z0-9+.-]*:\/?[^\s"'\\]+$/i.test(text) && !/^cdrom:/i.test(text);

const withSlash = (uri: string): string => uri.replace(/\/*$/, '/');

/** Reads apt's configuration of this machine. Throws `tool-missing` where there is no apt. */
export async function readAptFacts(signal?: AbortSignal): Promise<AptFacts> {
  const hint = 'osguard fetches Debian packages with apt: run it on Debian 12 or newer';
  const dump = await run('apt-config', ['dump'], { hint, signal });
  const config = parseAptConfig(dump.stdout);
  const one = (key: string, otherwise: string): string => config.get(key)?.at(-1) ?? otherwise;
  const etc = join('/', one('Dir', '/'), one('Dir::Etc', 'etc/apt'));
  const parts = join(etc, one('Dir::Etc::sourceparts', 'sources.list.d'));
  const files = [join(etc, one('Dir::Etc::sourcelist', 'sources.list'))];
  if (existsSync(parts))
    files.push(
      ...readdirSync(parts)
        .sort()
        .map((name) => join(parts, name)),
    );
  const sources = files.flatMap((file) => {
    const parse = file.endsWith('.sources') ? parseDeb822Sources : parseOneLineSources;
    const readable = /\.(list|sources)$/.test(file) && existsSync(file);
    return readable ? parse(readFileSync(file, 'utf8')) : [];
  });
  const targets = await run('apt-get', ['indextargets'], { hint, signal });
  return {
    sources,
    debian: debianRepositories(targets.stdout),
    config,
    keyring: archiveKeyrings.find((path) => existsSync(path)),
  };
}

/**
 * The Debian mirrors among the machine's sources. What the mirror's signed Release file says counts most, then the key
 * it is verified with, then the shape of the address: third parties also publish suites named `bookworm`. A wrong
 * guess is harmless, because the packages' signatures are checked against the same keys.
 */
export function findMirrors(facts: AptFacts, override?: string): DebianMirrors {
  if (override !== undefined && !isAddress(override))
    throw new ImageError('definition', `${JSON.stringify(override)} is not the address of a mirror`, {
      hint: 'an address as in sources.list(5), for example http://HOST/debian',
    });
  if (override !== undefined)
    return { main: { uri: withSlash(override), signedBy: facts.keyring }, security: undefined };
  const main = bestMirror(facts, 'main');
  if (main === undefined)
    throw new ImageError('mirror-not-found', "no Debian mirror in this machine's apt sources", {
      hint: 'name one with the option mirror (--mirror ADDRESS); it needs the package debian-archive-keyring',
    });
  return { main, security: bestMirror(facts, 'security') };
}

/** The mirror of these suites that is most likely Debian's own; undefined when no source has them. */
export function bestMirror(facts: AptFacts, suites: MirrorSuites): Mirror | undefined {
  const suite = suitesOf[suites];
  let found: { readonly mirror: Mirror; readonly score: number } | undefined;
  for (const source of facts.sources) {
    if (!source.types.includes('deb') || !source.components.includes('main')) continue;
    if (!source.suites.some((name) => suite.test(name))) continue;
    for (const address of source.uris) {
      if (!isAddress(address)) continue;
      const uri = withSlash(address);
      const score =
        (facts.debian.has(uri) ? 8 : 0) +
        (source.signedBy?.includes('debian-archive') === true ? 4 : 0) +
        (source.suites.some((name) => name.endsWith('-updates')) ? 2 : 0) +
        (/\/debian(-security)?\/$/.test(uri) ? 1 : 0);
      if (found === undefined || score > found.score)
        found = { mirror: { uri, signedBy: source.signedBy ?? facts.keyring }, score };
    }
  }
  return found?.mirror;
}

/**
 * The settings of this machine's apt that decide how it reaches its mirrors (proxies, certificates, retries, dates), as
 * `Key "value";` lines. Settings that would weaken the check of signatures are never taken over.
 */
export function networkSettings(config: ReadonlyMap<string, readonly string[]>): string[] {
  const wanted =
    /^Acquire::(?:(?:http|https|ftp|tor|tor\+http|tor\+https)(?:::.*)?|Retries|ForceIPv[46]|Check-Valid-Until|Check-Date|Max-ValidTime|By-Hash|Queue-Mode|AddressFamily)$/i;
  const lines: string[] = [];
  for (const [key, values] of config) {
    if (!wanted.test(key) || !/^[\w:.+*/@-]+$/.test(key)) continue;
    for (const value of values) if (!/["\n\\]/.test(value)) lines.push(`${key} "${value}";`);
  }
  return lines;
}

/** `Acquire::http::Proxy` of apt.conf(5) by scheme; https falls back to it, `DIRECT` is none. */
export function proxies(config: AptFacts['config']): { readonly http?: string; readonly https?: string } {
  const proxyOf = (scheme: string): string | undefined => {
    const value = config.get(`Acquire::${scheme}::Proxy`)?.at(-1);
    return value === undefined || value === '' || value === 'DIRECT' ? undefined : value;
  };
  const http = proxyOf('http');
  const https = proxyOf('https') ?? http;
  return { ...(http !== undefined && { http }), ...(https !== undefined && { https }) };
}
