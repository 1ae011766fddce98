/**
 * A private apt: own sources, state and cache, so that nothing of the machine's package state is read or changed.
 * Of the machine's configuration only how to reach the network is kept (proxies, credentials, certificates).
 */

import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { EventSink } from '@osguard/events';

import type { Distribution } from '../definition/index.ts';
import { run, runOrThrow, toolEnvironment, toolFailed } from '../process/run.ts';
import { ownStanza } from './base-set.ts';
import type { Mirrors } from './mirrors.ts';

export interface AptRootOptions {
  readonly folder: string;
  readonly distribution: Distribution;
  readonly mirrors: Mirrors;
  readonly signal?: AbortSignal | undefined;
  readonly sink?: EventSink | undefined;
}

export interface PlannedPackage {
  readonly uri: string;
  /** `name_version_arch.deb`, colons escaped. */
  readonly fileName: string;
  readonly size: number;
  readonly sha256: string;
}

export interface AptRoot {
  /** Fetches the indexes; apt checks their signatures. */
  update(): Promise<void>;
  /** What installing `wanted` on top of `installed` (names) would download, in no particular order. */
  plan(wanted: readonly string[], installed: readonly PlannedPackage[]): Promise<readonly PlannedPackage[]>;
  /** Which state of the archives is known after {@link update}. */
  state(): Promise<ArchiveState>;
}

export interface ArchiveState {
  /** The newest date of the archives' signed indexes. Seconds since 1970. */
  readonly time: number;
  /** Of the signed indexes, which name the hashes of all others. Lower-case hexadecimal. */
  readonly digest: string;
}

const hint = 'osguard doctor names the packages to install';

export async function openAptRoot(options: AptRootOptions): Promise<AptRoot> {
  const { folder, signal, sink } = options;
  for (const leaf of ['etc', 'lists/partial', 'archives/partial', 'empty'])
    await mkdir(join(folder, leaf), { recursive: true });
  const at = (leaf: string): string => join(folder, leaf);
  await writeFile(at('etc/sources.list'), sources(options));
  await writeFile(at('etc/apt.conf'), await configuration(folder, signal));
  const env = toolEnvironment({ APT_CONFIG: at('etc/apt.conf') });
  return {
    async update() {
      const result = await run('apt-get', ['update', '-q', '--error-on=any'], { env, signal, sink, hint });
      if (result.status !== 0) throw toolFailed('apt-get update', result.status, result.stderr);
    },
    async plan(wanted, installed) {
      await writeFile(at('status'), await statusOf(installed, { env, signal }));
      const { stdout } = await runOrThrow(
        'apt-get',
        ['install', '--print-uris', '-qq', '-y', '--no-remove', '--no-install-recommends', ...wanted],
        { env, signal, hint },
      );
      return stdout.split('\n').flatMap(parsePlanned);
    },
    state: async () => await archiveState(at('lists')),
  };
}

function sources({ distribution, mirrors }: AptRootOptions): string {
  const { suite } = distribution;
  const line = (base: string, name: string): string =>
    `deb [arch=amd64 signed-by=${mirrors.keyring}] ${base} ${name} ${distribution.components.join(' ')}\n`;
  const { debian, security } = mirrors.bases;
  return [
    line(debian, suite),
    line(debian, `${suite}-updates`),
    ...(distribution.backports ? [line(debian, `${suite}-backports`)] : []),
    ...(security === undefined ? [] : [line(security, `${suite}-security`)]),
  ].join('');
}

function dir(name: string, path: string): string {
  return `Dir::${name} "${path}";`;
}

/** How to reach the network comes from the machine; everything that decides a choice is set here. */
async function configuration(folder: string, signal: AbortSignal | undefined): Promise<string> {
  const { stdout } = await runOrThrow('apt-config', ['dump'], { signal, hint });
  const network =
    /^Acquire::(?:https?|ftp|ForceIPv4|ForceIPv6|Retries|Check-Valid-Until|Check-Date|Max-ValidTime)[: ]/i;
  const kept = stdout.split('\n').filter((line) => network.test(line) && line.endsWith(';'));
  return [
    ...kept,
    dir('Etc::Main', '/dev/null'),
    dir('Etc::Parts', `${folder}/empty`),
    dir('Etc::SourceList', `${folder}/etc/sources.list`),
    dir('Etc::SourceParts', `${folder}/empty`),
    dir('Etc::Preferences', '/dev/null'),
    dir('Etc::PreferencesParts', `${folder}/empty`),
    dir('State', folder),
    dir('State::Lists', `${folder}/lists`),
    dir('State::status', `${folder}/status`),
    dir('State::extended_states', `${folder}/extended_states`),
    dir('Cache', folder),
    dir('Cache::Archives', `${folder}/archives`),
    dir('Cache::pkgcache', `${folder}/pkgcache.bin`),
    dir('Cache::srcpkgcache', `${folder}/srcpkgcache.bin`),
    dir('Log', folder),
    'APT::Architecture "amd64";',
    'APT::Architectures { "amd64"; };',
    'APT::Install-Recommends "false";',
    'APT::Install-Suggests "false";',
    'APT::Sandbox::User "";',
    // apt counts itself as essential; the host has no package manager.
    'pkgCacheGen::ForceEssential ",";',
    'Acquire::Languages "none";',
    'Acquire::ForceHash "SHA256";',
    'Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";',
    'Acquire::IndexTargets::deb::CNF::DefaultEnabled "false";',
    '',
  ].join('\n');
}

interface StatusContext {
  readonly env: Record<string, string>;
  readonly signal: AbortSignal | undefined;
}

/** A dpkg status file in which osguard's own provisions and `installed` are installed. */
async function statusOf(
  installed: readonly PlannedPackage[],
  { env, signal }: StatusContext,
): Promise<string> {
  const own = ownStanza();
  if (installed.length === 0) return `${own}\n\n`;
  const names = installed.map(({ fileName }) => {
    const { name, version, architecture } = parseFileName(fileName);
    return `${name}:${architecture === 'all' ? 'amd64' : architecture}=${version}`;
  });
  const { stdout } = await runOrThrow('apt-cache', ['show', ...names], { env, signal });
  const stanzas = stdout
    .split('\n\n')
    .filter((stanza) => stanza.startsWith('Package: '))
    .map((stanza) => `${stanza.trim()}\nStatus: install ok installed`);
  return `${[own, ...stanzas].join('\n\n')}\n\n`;
}

export interface PackageIdentity {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
}

export function parseFileName(fileName: string): PackageIdentity {
  const [name = '', version = '', architecture = ''] = fileName
    .replace(/\.deb$/, '')
    .split('_')
    .map(decodeURIComponent);
  return { name, version, architecture };
}

function parsePlanned(line: string): PlannedPackage[] {
  const match = /^'([^']+)' (\S+) (\d+) SHA256:([0-9a-f]{64})$/.exec(line.trim());
  if (match === null) return [];
  const [, uri = '', fileName = '', size = '', sha256 = ''] = match;
  return [{ uri, fileName, size: Number(size), sha256 }];
}

async function archiveState(lists: string): Promise<ArchiveState> {
  const hash = createHash('sha256');
  let time = 0;
  for (const leaf of (await readdir(lists)).toSorted()) {
    if (!/_(?:In)?Release$/.test(leaf)) continue;
    const text = await readFile(join(lists, leaf), 'utf8');
    hash.update(`${leaf} ${text.length}\n${text}`);
    const seconds = Date.parse(/^Date: (.+)$/m.exec(text)?.[1] ?? '') / 1000;
    if (Number.isSafeInteger(seconds)) time = Math.max(time, seconds);
  }
  return { time, digest: hash.digest('hex') };
}
