/** Operators' tokens: 256 random bits, known to the store by their SHA-256 only (no guessing to slow down). */

import { createHash, randomBytes } from 'node:crypto';
import type { Store, TokenRole, TokenSummary } from '../store/index.ts';
import { tokenRoles } from '../store/index.ts';
import { Refused } from './refusal.ts';

/** Tells secret scanners, and people, what it is. */
const prefix = 'osgv_';
const pattern = /^osgv_[A-Za-z0-9_-]{43}$/;

export interface NewToken {
  readonly name: string;
  readonly role: TokenRole;
  /** Milliseconds since 1970. */
  readonly now: number;
  readonly expires: number | null;
  /** Who makes it, for the log. */
  readonly actor: string;
}

/** The token is shown here and never again. @throws StoreError */
export async function createToken(
  store: Store,
  request: NewToken,
): Promise<{ readonly token: string; readonly summary: TokenSummary }> {
  const token = `${prefix}${randomBytes(32).toString('base64url')}`;
  const { name, role, now, expires, actor } = request;
  const summary = { id: randomBytes(6).toString('hex'), name, role, created: now, expires };
  await store.tokens.add({ ...summary, hash: hashOf(token) }, actor);
  return { token, summary };
}

/**
 * Who the token is. Looking it up by its hash compares nothing that a stranger could learn from the time it takes.
 * @throws Refused `unauthorised`
 */
export async function findOperator(
  store: Store,
  header: string | undefined,
  { now }: { readonly now: number },
): Promise<TokenSummary> {
  const [, token = ''] = /^Bearer ([^\s]+)$/i.exec(header ?? '') ?? [];
  if (!pattern.test(token)) throw new Refused('unauthorised');
  const found = await store.tokens.find(hashOf(token));
  if (found === undefined || (found.expires !== null && found.expires <= now))
    throw new Refused('unauthorised');
  return found;
}

/** Each role may do what those before it may. @throws Refused `forbidden` */
export function assertRole(operator: TokenSummary, needed: TokenRole): void {
  if (tokenRoles.indexOf(operator.role) >= tokenRoles.indexOf(needed)) return;
  throw new Refused('forbidden', {
    message: `this needs the role ${needed}; the token has ${operator.role}`,
  });
}

function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}
