/**
 * A policy comes into force: verdicts that were given by looser rules, or for releases it does not allow, end with it. The
 * rules each verdict was given by are stored with it, so that this holds over restarts and for what other replicas judged.
 */

import { compareDebianVersions } from '@osguard/formats/deb822';
import { isStricter, readRules, verdictRules, writeRules } from '../policy/rules.ts';
import type { Policy } from '../policy/types.ts';
import type { Store } from '../store/index.ts';
import type { ReleaseBook } from './release-book.ts';

/** Where a policy came from. */
export interface PolicySource {
  /** SHA-256 of the policy file, lower-case hex; null when there is none. */
  readonly digest: string | null;
  /** SHA-256 of `SHA256  PATH` of all files that were read, one a line: certificates, revocation lists, releases. */
  readonly inputs: string | null;
}

export const noSource: PolicySource = { digest: null, inputs: null };

export interface PolicyLoading {
  readonly policy: Policy;
  readonly source: PolicySource;
  /** Refreshed under this policy. */
  readonly book: ReleaseBook;
  readonly now: number;
}

export function rulesDigest(policy: Policy): string {
  return writeRules(verdictRules(policy)).digest;
}

/** @returns how many verdicts ended. @throws StoreError */
export async function loadIntoStore(
  store: Store,
  { policy, source, book, now }: PolicyLoading,
): Promise<number> {
  const after = verdictRules(policy);
  const { digest, text } = writeRules(after);
  const endedRules = (await store.policy.rules())
    .filter((given) => {
      if (given.digest === digest) return false;
      const before = given.rules === null ? undefined : readRules(given.rules);
      return before === undefined || isStricter(before, after);
    })
    .map((given) => given.digest);
  return store.policy.load({
    digest,
    rules: text,
    endedRules,
    endedReleases: await refusedReleases(store, policy, book),
    lifetime: policy.verdict.lifetime,
    at: now,
    data: { policy: policy.name, ...source },
  });
}

/** Releases in the store that are not signed by anybody this policy trusts, or older than it allows. */
async function refusedReleases(store: Store, policy: Policy, book: ReleaseBook): Promise<readonly string[]> {
  const accepted = new Set(book.releases.map(({ id }) => id));
  const { minimumVersion } = policy;
  return (await store.releases.list())
    .filter(({ id, state, version }) => {
      if (state === 'added') return false;
      const tooOld = minimumVersion !== undefined && compareDebianVersions(version, minimumVersion) < 0;
      return tooOld || !accepted.has(id);
    })
    .map(({ id }) => id);
}
