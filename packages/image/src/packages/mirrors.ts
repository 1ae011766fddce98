/** Where packages come from: the definition's mirrors, or what this machine's own apt uses. Nothing is built in. */

import { access } from 'node:fs/promises';
import { resolve } from 'node:path';

import type { AptFacts, MirrorSuites } from '../apt/index.ts';
import { archiveKeyrings, bestMirror, proxies, readAptFacts } from '../apt/index.ts';
import type { Distribution } from '../definition/index.ts';
import { ImageError } from '../error.ts';
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

export async function findMirrors(distribution: Distribution, options: FindMirrorsOptions): Promise<Mirrors> {
  const named = { debian: distribution.mirror, security: distribution.securityMirror };
  const facts = await readAptFacts(options.signal);
  const machine = machineMirrors(facts);
  const debian = trim(named.debian ?? machine.debian);
  const security = trim(named.security ?? machine.security);
  if (debian === undefined) {
    throw new ImageError('mirror-not-found', "no package mirror: this machine's apt uses no Debian archive", {
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
    proxies: proxies(facts.config),
  };
}

function trim(url: string | undefined): string | undefined {
  return url?.replace(/\/+$/, '');
}

/** Those we can fetch from ourselves; apt's own methods know more ways. */
function machineMirrors(facts: AptFacts): Readonly<Record<'debian' | 'security', string | undefined>> {
  const sources = facts.sources.map((source) => ({
    ...source,
    uris: source.uris.filter((uri) => /^(?:https?|file):/.test(uri)),
  }));
  const uri = (suites: MirrorSuites): string | undefined => bestMirror({ ...facts, sources }, suites)?.uri;
  return { debian: uri('main'), security: uri('security') };
}

async function findKeyring(distribution: Distribution, folder: string): Promise<string> {
  const candidates =
    distribution.keyring === undefined ? archiveKeyrings : [resolve(folder, distribution.keyring)];
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
