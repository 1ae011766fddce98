/**
 * The peer of the build figures: mkosi of Debian 13 in a tree of its own, because it belongs to the suite it builds and
 * wants that suite's apt, dpkg, systemd and erofs-utils. Made once and kept beside osguard's own cache.
 */

import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Mirror } from '@osguard/image/apt';
import { findMirrors, networkSettings, readAptFacts } from '@osguard/image/apt';
import { NotHere } from '../not-here.ts';

const suite = 'trixie';

/** mkosi, and what it calls for a verity-protected /usr in EROFS, a UKI and Secure Boot. */
const packages: readonly string[] = [
  'apt',
  'ca-certificates',
  'cpio',
  'cryptsetup-bin',
  'debian-archive-keyring',
  'dosfstools',
  'e2fsprogs',
  'erofs-utils',
  'kmod',
  'mkosi',
  'mtools',
  'openssl',
  'python3-cryptography',
  'python3-pefile',
  'sbsigntool',
  'systemd',
  'systemd-boot',
  'systemd-boot-efi',
  'systemd-repart',
  'systemd-ukify',
  'uidmap',
  'util-linux',
  'xz-utils',
  'zstd',
];

export interface MkosiTree {
  readonly path: string;
  /** For example `25.3`. */
  readonly version: string;
}

function stanza(mirror: Mirror, suites: string): string {
  const key = mirror.signedBy?.startsWith('/') === true ? `Signed-By: ${mirror.signedBy}\n` : '';
  return `Types: deb\nURIs: ${mirror.uri}\nSuites: ${suites}\nComponents: main\n${key}`;
}

/** The archives that osguard's own builds use, as deb822 sources. */
export async function peerSources(): Promise<{ readonly sources: string; readonly settings: string }> {
  const facts = await readAptFacts();
  const { main, security } = findMirrors(facts);
  const stanzas = [stanza(main, `${suite} ${suite}-backports`)];
  if (security !== undefined) stanzas.push(stanza(security, `${suite}-security`));
  return { sources: stanzas.join('\n'), settings: `${networkSettings(facts.config).join('\n')}\n` };
}

function versionIn(path: string): string | undefined {
  const said = spawnSync('chroot', [path, 'mkosi', '--version'], { encoding: 'utf8' });
  return said.status === 0 ? /mkosi ([\d.]+)/.exec(said.stdout)?.[1] : undefined;
}

/** @throws NotHere with the reason when this machine cannot have it. */
export async function ensureMkosi(cache: string): Promise<MkosiTree> {
  if (process.getuid?.() !== 0) throw new NotHere('mkosi in a tree of Debian 13 needs root here');
  const path = join(cache, `mkosi-${suite}`);
  if (!existsSync(path)) await makeTree(cache, path);
  const version = versionIn(path);
  if (version === undefined)
    throw new NotHere(`mkosi in ${path} does not start; remove that folder to make it anew`);
  return { path, version };
}

async function makeTree(cache: string, path: string): Promise<void> {
  mkdirSync(cache, { recursive: true });
  const { sources, settings } = await peerSources();
  const unfinished = `${path}.new`;
  rmSync(unfinished, { recursive: true, force: true });
  const list = `${path}.sources`;
  const conf = `${path}.conf`;
  writeFileSync(list, sources);
  writeFileSync(conf, settings);
  process.stderr.write(`making a tree with mkosi of ${suite} in ${path}\n`);
  try {
    const args = ['--quiet', '--mode=root', '--variant=apt', `--include=${packages.join(',')}`];
    execFileSync('mmdebstrap', [...args, `--aptopt=${conf}`, suite, unfinished, list], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.split('\n')[0] : String(cause);
    throw new NotHere(`a tree with mkosi of ${suite} cannot be made: ${reason}`);
  }
  renameSync(unfinished, path);
}
