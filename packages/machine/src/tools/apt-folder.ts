/**
 * A private apt beside the machine's own: its lists, cache and (empty) package status lie in a folder of ours, while
 * mirror, keys and network settings are the machine's. See apt.conf(5) and the environment variable APT_CONFIG in apt(8).
 */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { findMirrors, networkSettings, readAptFacts } from '@osguard/image/apt';
import type { Mirror } from '@osguard/image/apt';

export interface AptFolderRequest {
  readonly suite: string;
  readonly mirror?: string;
}

/** Writes the folder and returns the environment that makes apt-get use it. */
export async function writeAptFolder(
  folder: string,
  request: AptFolderRequest,
): Promise<Record<string, string>> {
  const facts = await readAptFacts();
  const mirrors = findMirrors(facts, request.mirror);
  for (const name of ['lists/partial', 'archives/partial', 'etc/empty'])
    mkdirSync(join(folder, name), { recursive: true });
  writeFileSync(join(folder, 'status'), '');
  const stanzas = [stanza(mirrors.main, request.suite)];
  if (mirrors.security !== undefined) stanzas.push(stanza(mirrors.security, `${request.suite}-security`));
  writeFileSync(join(folder, 'etc/tools.sources'), stanzas.join('\n'));
  const settings = [
    `Dir::Etc::main "/dev/null";`,
    `Dir::Etc::parts "/dev/null";`,
    `Dir::Etc::preferences "/dev/null";`,
    `Dir::Etc::preferencesparts ${quoted(join(folder, 'etc/empty'))};`,
    `Dir::Etc::sourcelist ${quoted(join(folder, 'etc/tools.sources'))};`,
    `Dir::Etc::sourceparts ${quoted(join(folder, 'etc/empty'))};`,
    `Dir::State ${quoted(folder)};`,
    `Dir::State::lists ${quoted(join(folder, 'lists'))};`,
    `Dir::State::status ${quoted(join(folder, 'status'))};`,
    `Dir::State::extended_states ${quoted(join(folder, 'extended_states'))};`,
    `Dir::Cache ${quoted(folder)};`,
    `Dir::Cache::archives ${quoted(join(folder, 'archives'))};`,
    `Dir::Cache::pkgcache "";`,
    `Dir::Cache::srcpkgcache "";`,
    `Dir::Log ${quoted(folder)};`,
    `APT::Install-Recommends "false";`,
    `APT::Get::AllowUnauthenticated "false";`,
    // apt's own unprivileged user could not enter a cache folder below a private home.
    `APT::Sandbox::User "";`,
    `Acquire::Languages "none";`,
    `Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";`,
    `Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";`,
    ...networkSettings(facts.config),
  ];
  writeFileSync(join(folder, 'apt.conf'), `${settings.join('\n')}\n`);
  return { APT_CONFIG: join(folder, 'apt.conf'), DEBIAN_FRONTEND: 'noninteractive' };
}

const quoted = (path: string): string => `"${path}"`;

function stanza(mirror: Mirror, suite: string): string {
  const signedBy = mirror.signedBy === undefined ? '' : `Signed-By: ${foldField(mirror.signedBy)}\n`;
  return `Types: deb\nURIs: ${mirror.uri}\nSuites: ${suite}\nComponents: main\n${signedBy}`;
}

/** A deb822 field value over several lines (an armoured key): each further line indented, empty ones written ` .`. */
function foldField(value: string): string {
  const [first = '', ...more] = value.split('\n');
  return [first, ...more.map((line) => ` ${line === '' ? '.' : line}`)].join('\n');
}
