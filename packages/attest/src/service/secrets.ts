/** Secrets: sealed when they come, opened only for a node that is trusted now on the TLS key it attested. */

import type { SecretScope } from '../store/index.ts';
import type { VerifierContext } from './context.ts';
import type { PeerKey } from './peer.ts';
import { Refused } from './refusal.ts';

export interface SecretCall {
  readonly name: string;
  readonly peer: PeerKey | undefined;
  readonly address: string;
}

/** @throws Refused */
export async function releaseSecret(
  { name, peer, address }: SecretCall,
  { store, sealing, metrics, log, nodeAuthority, now }: VerifierContext,
): Promise<Uint8Array> {
  if (peer === undefined) throw new Refused('channel-refused');
  const answer = await store.secrets.release({ name, tlsKey: peer.digest, now: now(), address });
  metrics.secrets.inc({ outcome: answer.outcome });
  if (answer.outcome === 'out-of-scope') {
    log('info', 'secret not for this node', { secret: name, node: answer.node });
    // Which secrets others get is not its business.
    throw new Refused('not-found');
  }
  if (answer.outcome !== 'released') throw new Refused(answer.outcome);
  log('info', 'secret released', { secret: name, node: answer.node });
  const value = sealing.open(answer.sealed, secretLabel(name));
  if (value.length > 0) return value;
  const { node, expires } = answer;
  return Buffer.from(nodeAuthority.issue({ node, publicKey: peer.spki, now: now(), expires }));
}

export interface NewSecret {
  readonly name: string;
  /** Empty: a certificate for the TLS key of whoever fetches it, made each time. */
  readonly value: Uint8Array;
  readonly scope: SecretScope | 'everyone';
  /** Who sets it. */
  readonly by: string;
}

/** @throws Refused `conflict` when there are too many */
export async function setSecret(
  { name, value, scope, by }: NewSecret,
  context: VerifierContext,
): Promise<void> {
  const { store, sealing, limits, now } = context;
  const known = await store.secrets.list();
  if (known.length >= limits.secrets && !known.some((secret) => secret.name === name)) {
    throw new Refused('conflict', { message: `there are ${known.length} secrets; no more are kept` });
  }
  const sealed = sealing.seal(value, secretLabel(name));
  await store.secrets.set({ name, size: value.length, set: now(), by, scope, sealed });
  context.secretNames.forget();
}

function secretLabel(name: string): string {
  return `secret/${name}`;
}
