/** Releases added and moved from state to state; nodes count accordingly from the same moment on. */

import { AttestError } from '../error.ts';
import { openReferenceRelease } from '../release/open.ts';
import type { ReferenceRelease } from '../release/types.ts';
import type { NewRelease, ReleaseAnswer, ReleaseStateRequest } from '../protocol/index.ts';
import type { ReleaseSummary } from '../store/index.ts';
import type { VerifierContext } from './context.ts';
import { Refused } from './refusal.ts';

/** @throws Refused `malformed` when its signature does not hold, `conflict` when it is there */
export async function addRelease(
  request: NewRelease,
  actor: string,
  context: VerifierContext,
): Promise<ReleaseAnswer> {
  const manifest = new Uint8Array(Buffer.from(request.manifest, 'base64'));
  const referenceValues = new Uint8Array(Buffer.from(request.referenceValues, 'base64'));
  const release = check({ manifest, referenceValues }, context);
  const { id } = release;
  const { name, version } = release.manifest;
  const now = context.now();
  const summary = {
    id,
    name,
    version,
    state: request.state,
    from: null,
    until: null,
    added: now,
    changed: now,
  };
  const outcome = await context.store.releases.add({ ...summary, manifest, referenceValues }, actor);
  if (outcome === 'already') throw new Refused('conflict', { message: `release ${id} is there already` });
  await context.refreshReleases();
  context.changes.poke();
  return releaseAnswer(summary);
}

/** @throws Refused `not-found`, `malformed` */
export async function changeRelease(
  id: string,
  { request, actor }: { readonly request: ReleaseStateRequest; readonly actor: string },
  context: VerifierContext,
): Promise<ReleaseAnswer> {
  const from = request.from === undefined ? null : Date.parse(request.from);
  const until = request.until === undefined ? null : Date.parse(request.until);
  if (request.state === 'deprecated' && until === null) {
    throw new Refused('malformed', { message: 'a deprecated release needs `until`: the end of its grace' });
  }
  if (from !== null && until !== null && from >= until) {
    throw new Refused('malformed', { message: '`until` must be after `from`' });
  }
  const at = context.now();
  const change = { id, state: request.state, from, until, at, actor };
  const outcome = await context.store.releases.change(change);
  const found = (await context.store.releases.list()).find((release) => release.id === id);
  if (outcome === 'not-found' || found === undefined)
    throw new Refused('not-found', { message: `no release ${id}` });
  await context.refreshReleases();
  context.changes.poke();
  return releaseAnswer(found);
}

function check(
  files: { readonly manifest: Uint8Array; readonly referenceValues: Uint8Array },
  context: VerifierContext,
): ReferenceRelease {
  try {
    return openReferenceRelease(files, { trust: context.policy().trust.release, state: 'promoted' });
  } catch (error) {
    if (error instanceof AttestError)
      throw new Refused('malformed', { message: error.message, cause: error });
    throw error;
  }
}

export function releaseAnswer(release: ReleaseSummary): ReleaseAnswer {
  const { id, name, version, state, from, until, added, changed } = release;
  return {
    id,
    name,
    version,
    state,
    from: iso(from),
    until: iso(until),
    added: new Date(added).toISOString(),
    changed: new Date(changed).toISOString(),
  };
}

export function iso(time: number): string;
export function iso(time: number | null): string | null;
export function iso(time: number | null): string | null {
  return time === null ? null : new Date(time).toISOString();
}
