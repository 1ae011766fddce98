/** From what an operator wrote down (policy, roots, releases, secrets) to what the verifier starts with. */

import { hash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Certificate } from '@osguard/formats/x509';
import { FormatError } from '@osguard/formats/bytes';
import { certificatesIn, loadPolicy, settle } from '../policy/load.ts';
import { parsePolicy } from '../policy/parse.ts';
import { policySchemaName } from '../policy/types.ts';
import type { Policy, ReleaseState } from '../policy/types.ts';
import { manifestFile, openReferenceRelease, referenceValuesFile } from '../release/open.ts';
import type { ReleaseSummary, Store, StoredReleaseState } from '../store/index.ts';
import { ServiceError } from './error.ts';
import type { PolicySource } from './policy-load.ts';

export interface PolicySources {
  /** A policy file; without one, everything has its default. */
  readonly file: string | undefined;
  /** Files of certificates that count as roots of endorsement keys besides those of the policy. */
  readonly endorsementRoots: readonly string[];
  /** Whose signatures on releases count besides those of the policy. */
  readonly releaseSigners: readonly Certificate[];
}

export interface SettledPolicy {
  readonly policy: Policy;
  /** Releases the policy names. */
  readonly releases: readonly ReleaseSource[];
  readonly source: PolicySource;
  /** Everything that was read. */
  readonly files: readonly string[];
}

export interface ReleaseSource {
  readonly folder: string;
  readonly state: ReleaseState;
  readonly from?: number | undefined;
  readonly until?: number | undefined;
}

/** @throws DiagnosticsError with all mistakes of the file; ServiceError, FormatError for the rest */
export async function settlePolicy(sources: PolicySources): Promise<SettledPolicy> {
  const { file, releaseSigners } = sources;
  const roots: Certificate[] = [];
  const read = new Map<string, string>();
  for (const path of sources.endorsementRoots) {
    const bytes = await readBounded(path);
    roots.push(...certificatesOf(path, bytes));
    read.set(path, hash('sha256', bytes, 'hex'));
  }
  if (file === undefined) {
    const { written } = parsePolicy(defaultPolicy);
    const policy = settle(written, { endorsementRoots: roots, intermediates: [], signers: releaseSigners });
    const source = { digest: null, inputs: read.size === 0 ? null : inputsDigest(read) };
    return { policy, releases: [], source, files: [...read.keys()] };
  }
  const { policy, files } = await loadPolicy(file);
  const { trust } = policy;
  const all = new Map([...files, ...read]);
  return {
    policy: {
      ...policy,
      trust: {
        ...trust,
        endorsementRoots: [...trust.endorsementRoots, ...roots],
        release: [...trust.release, ...releaseSigners],
      },
    },
    releases: policy.releases.map((release) => ({ ...release, folder: join(dirname(file), release.folder) })),
    source: { digest: files.get(file) ?? null, inputs: inputsDigest(all) },
    files: [...all.keys()],
  };
}

/** As `sha256sum` prints them, ordered by path. */
function inputsDigest(files: ReadonlyMap<string, string>): string {
  const lines = [...files].map(([path, digest]) => `${digest}  ${path}\n`);
  return hash('sha256', lines.toSorted((a, b) => (a.slice(66) < b.slice(66) ? -1 : 1)).join(''), 'hex');
}

/** The signer named here is replaced by certificates that are given apart. */
const defaultPolicy = `schema: ${policySchemaName}\nname: default\ntrust:\n  release: [release.crt]\nreleases: []\n`;

/** Bytes. */
const largest = 8 * 1024 * 1024;

function certificatesOf(path: string, bytes: Buffer): readonly Certificate[] {
  try {
    return certificatesIn(bytes);
  } catch (cause) {
    if (cause instanceof FormatError)
      throw new ServiceError('option', `${path}: ${cause.message}`, { cause });
    throw cause;
  }
}

export interface ReleaseFilesRead {
  readonly manifest: Uint8Array;
  readonly referenceValues: Uint8Array;
}

/** The two signed files of a release folder. @throws ServiceError `release` */
export async function readReleaseFolder(folder: string): Promise<ReleaseFilesRead> {
  const read = async (name: string): Promise<Uint8Array> => {
    const file = join(folder, name);
    if (existsSync(file)) return readBounded(file);
    throw new ServiceError('release', `${folder}: no ${name}`, {
      hint: 'give a release folder that `osguard image build` made',
    });
  };
  return { manifest: await read(manifestFile), referenceValues: await read(referenceValuesFile) };
}

async function readBounded(path: string): Promise<Buffer> {
  let size: number;
  try {
    ({ size } = await stat(path));
  } catch (cause) {
    throw new ServiceError('option', `${path}: not there`, { cause });
  }
  if (size > largest) throw new ServiceError('option', `${path}: ${size} bytes are more than ${largest}`);
  return readFile(path);
}

export interface SeedOptions {
  readonly policy: Policy;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/**
 * Releases into the store. A release that is there keeps the state operators gave it since, except where the policy is
 * stricter: what it deprecates, revokes or limits in time is so. @returns the ids. @throws ServiceError, AttestError
 */
export async function seedReleases(
  store: Store,
  sources: readonly ReleaseSource[],
  { policy, now }: SeedOptions,
): Promise<readonly string[]> {
  const ids: string[] = [];
  for (const { folder, state, from = null, until = null } of sources) {
    const files = await readReleaseFolder(folder);
    const { id, manifest } = openReferenceRelease(files, { trust: policy.trust.release, state });
    const { name, version } = manifest;
    const release = {
      id,
      name,
      version,
      state,
      from: from ?? null,
      until: until ?? null,
      added: now,
      changed: now,
    };
    const outcome = await store.releases.add({ ...release, ...files }, 'policy');
    if (outcome === 'already') {
      const known = (await store.releases.list()).find((each) => each.id === id);
      const settled = stricter(known ?? release, release);
      await store.releases.change({ id, ...settled, at: now, actor: 'policy' });
    }
    ids.push(id);
  }
  return ids;
}

type Standing = Pick<ReleaseSummary, 'state' | 'from' | 'until'>;

/** From what counts most to what counts least; a release that was only added is not for the policy to promote. */
const standings: readonly StoredReleaseState[] = ['promoted', 'deprecated', 'added', 'revoked'];

/** What both allow. */
function stricter(one: Standing, other: Standing): Standing {
  const state = standings.indexOf(other.state) > standings.indexOf(one.state) ? other.state : one.state;
  if (state === 'revoked') return { state, from: null, until: null };
  const from = Math.max(one.from ?? -Infinity, other.from ?? -Infinity);
  const until = Math.min(one.until ?? Infinity, other.until ?? Infinity);
  return {
    state,
    from: Number.isFinite(from) ? from : null,
    until: Number.isFinite(until) ? until : null,
  };
}
