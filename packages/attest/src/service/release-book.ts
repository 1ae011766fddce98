/**
 * The releases this verifier knows, opened once and kept in step with the store, which other replicas write too. The store
 * says which count; nothing is judged against a release whose signature this verifier did not check itself.
 */

import { openReferenceRelease } from '../release/open.ts';
import type { ReferenceRelease } from '../release/types.ts';
import type { Certificate } from '@osguard/formats/x509';
import type { ReleaseSummary, Store, StoredRelease } from '../store/index.ts';

export interface ReleaseBook {
  /** For judging: all but those that were only added. */
  readonly releases: readonly ReferenceRelease[];
  /** Reads the store again when it changed, or all of it anew. @returns whether there is something new */
  refresh(force?: boolean): Promise<boolean>;
}

export interface ReleaseBookOptions {
  readonly store: Store;
  /** Whose signatures count now. */
  readonly trust: () => readonly Certificate[];
  /** Told of a release in the store that this verifier does not accept. */
  readonly onRefused: (release: ReleaseSummary, error: unknown) => void;
}

export function createReleaseBook({ store, trust, onRefused }: ReleaseBookOptions): ReleaseBook {
  const opened = new Map<string, ReferenceRelease | undefined>();
  let revision = -1;
  let releases: readonly ReferenceRelease[] = [];
  let queue: Promise<unknown> = Promise.resolve();

  const open = async (summary: ReleaseSummary): Promise<ReferenceRelease | undefined> => {
    if (opened.has(summary.id)) return opened.get(summary.id);
    const stored = await store.releases.find(summary.id);
    let release: ReferenceRelease | undefined;
    try {
      if (stored !== undefined) release = openStored(stored, trust());
    } catch (error) {
      onRefused(summary, error);
    }
    opened.set(summary.id, release);
    return release;
  };

  const read = async (force: boolean): Promise<boolean> => {
    const found = await store.releases.revision();
    if (found === revision && !force) return false;
    if (force) opened.clear();
    const list: ReferenceRelease[] = [];
    for (const summary of await store.releases.list()) {
      const { state, from, until } = summary;
      if (state === 'added') continue;
      const release = await open(summary);
      if (release !== undefined) {
        list.push({ ...release, state, from: from ?? undefined, until: until ?? undefined });
      }
    }
    releases = list;
    revision = found;
    return true;
  };

  return {
    get releases() {
      return releases;
    },
    async refresh(force = false) {
      // One after the other: what was opened under other signers must not come last.
      const done = queue.then(async () => read(force));
      queue = done.catch(() => undefined);
      return done;
    },
  };
}

/** @throws AttestError unless it is signed by one of `trust` and is what its id says. */
function openStored(
  { id, manifest, referenceValues }: StoredRelease,
  trust: readonly Certificate[],
): ReferenceRelease {
  const release = openReferenceRelease({ manifest, referenceValues }, { trust, state: 'promoted' });
  if (release.id !== id) throw new Error(`release ${id} in the store is ${release.id}`);
  return release;
}
