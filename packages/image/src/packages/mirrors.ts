/** Where packages come from: the definition's mirrors, or what this machine's own apt uses. Nothing is built in. */

import { access, readFile } from 'node:fs/promises';
import { resolve } from 'node:path';

import type { Distribution } from '../definition/index.ts';
import { ImageError } from '../error.ts';
import { run } from '../process/run.ts';
import type { ArchiveName } from './lock.ts';
import type { Proxies } from './open-url.ts';

export interface Mirrors {
  /** Base URLs without a final slash. `security` is absent when the machine's apt does not use that archive. */
  readonly bases: Readonly<Record<'debian', string>> & Readonly<Partial<Record<ArchiveName, string>>>;
  /** Asked when a mirror no longer has a locked package. */
  readonly snapshots: Readonly<Partial<Record<ArchiveName, string>>>;
  /** OpenPGP keyring that signs both archives. */
  readonly keyring: string;
  /** As this machine's apt is told to use. */
  readonly proxies?: Proxies;
}

export interface FindMirrorsOptions {
  /** Folder the definition's `keyring` is relative to. */
  readonly folder: string;
  readonly signal?: AbortSignal | undefined;
}

const keyrings = [
  '/usr/share/keyrings/debian-archive-keyring.pgp',
  '/usr/share/keyrings/debian-archive-keyring.gpg',
];

export async function findMirrors(distribution: Distribution, options: FindMirrorsOptions): Promise<Mirrors> {
  const named = { debian: distribution.mirror, security: distribution.securityMirror };
  const machine =
    named.debian === undefined || named.security === undefined ? await machineMirrors(options) : {};
  const debian = trim(named.debian ?? machine.debian);
  const security = trim(named.security ?? machine.security);
  if (debian === undefined) {
    throw new ImageError('definition', "no package mirror: this machine's apt uses no Debian archive", {
      hint: 'name one in the definition: distribution: {mirror: URL, securityMirror: URL}',
    });
  }
  const { snapshot } = distribution;
  const snapshotSecurity = trim(snapshot?.securityMirror);
  return {
    bases: { debian, ...(security !== undefined && { security }) },
    snapshots: {
      ...(snapshot !== undefined && { debian: trim(snapshot.mirror) ?? '' }),
      ...(snapshotSecurity !== undefined && { security: snapshotSecurity }),
    },
    keyring: await findKeyring(distribution, options.folder),
    proxies: await machineProxies(options),
  };
}

function trim(url: string | undefined): string | undefined {
  return url?.replace(/\/+$/, '');
}

async function machineMirrors({ signal }: FindMirrorsOptions): Promise<Partial<Record<ArchiveName, string>>> {
  const codename = /^VERSION_CODENAME=["']?([a-z]+)/m.exec(
    await readFile('/etc/os-release', 'utf8').catch(() => ''),
  )?.[1];
  const listed = await run(
    'apt-get',
    ['indextargets', '--format', '$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(ORIGIN)', 'Created-By: Packages'],
    {
      signal,
      hint: 'osguard doctor names the packages to install',
    },
  );
  const suites = new Set([codename, 'trixie', 'bookworm', 'stable', 'testing', 'sid', 'unstable', 'forky']);
  const found: Partial<Record<ArchiveName, string>> = {};
  for (const line of listed.stdout.split('\n')) {
    const [uri = '', release = '', component = '', origin = ''] = line.split('|');
    if (component !== 'main' || !/^(?:https?|file):/.test(uri)) continue;
    const [, suite, security] = /^([a-z]+)(-security(?:\/updates)?)?$/.exec(release) ?? [];
    // Others publish for the same suites. Before the first update apt does not know the origin.
    const isDebian = /^[A-Z]/i.test(origin) ? origin === 'Debian' : /\/debian(?:-security)?\/?$/.test(uri);
    if (suites.has(suite) && isDebian) found[security === undefined ? 'debian' : 'security'] ??= uri;
  }
  return found;
}

/** apt.conf(5): `Acquire::http::Proxy`; https falls back to it. */
async function machineProxies({ signal }: FindMirrorsOptions): Promise<Proxies> {
  const { stdout } = await run('apt-config', ['dump'], { signal });
  const proxyOf = (scheme: string): string | undefined => {
    const value = new RegExp(`^Acquire::${scheme}::Proxy "([^"]*)";$`, 'mi').exec(stdout)?.[1];
    return value === undefined || value === '' || value === 'DIRECT' ? undefined : value;
  };
  const http = proxyOf('http');
  return { http, https: proxyOf('https') ?? http };
}

async function findKeyring(distribution: Distribution, folder: string): Promise<string> {
  const candidates = distribution.keyring === undefined ? keyrings : [resolve(folder, distribution.keyring)];
  for (const path of candidates) {
    try {
      await access(path);
      return path;
    } catch {
      // The next name may exist: Debian 13 renamed the file.
    }
  }
  throw new ImageError(
    'tool-missing',
    `the archive keyring ${candidates.join(' or ')} is not on this machine`,
    {
      hint: 'sudo apt-get install debian-archive-keyring',
    },
  );
}
