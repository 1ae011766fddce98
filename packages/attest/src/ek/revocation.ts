/** Revocation of endorsement certificates, by lists that an operator put beside the policy: nothing is fetched. */

import { toHex } from '@osguard/formats/bytes';
import { isListOf } from '@osguard/formats/x509';
import type { Certificate, RevocationList } from '@osguard/formats/x509';
import type { RevocationRules } from '../policy/types.ts';

export type RevocationProblem = 'revoked' | 'stale' | 'not-yet-valid' | 'no-list';

export interface RevocationFinding {
  readonly problem: RevocationProblem;
  readonly message: string;
  readonly expected?: string;
  readonly found: string;
}

/**
 * Undefined when no certificate of the path (leaf first, anchor last) was revoked as far as the rules want to know. That
 * one was revoked goes before everything else: an old list says so, too.
 */
export function revocationProblem(
  path: readonly Certificate[],
  rules: RevocationRules,
  now: number,
): RevocationFinding | undefined {
  const findings = path.slice(0, -1).flatMap((certificate, index) => {
    const issuer = path[index + 1];
    return issuer === undefined ? [] : (findingFor(certificate, { issuer, rules, now }) ?? []);
  });
  return findings.find(({ problem }) => problem === 'revoked') ?? findings[0];
}

interface Circumstances {
  readonly issuer: Certificate;
  readonly rules: RevocationRules;
  readonly now: number;
}

function findingFor(
  certificate: Certificate,
  { issuer, rules, now }: Circumstances,
): RevocationFinding | undefined {
  const own = rules.lists.filter((list) => isOwn(list, issuer));
  const list = own.filter(({ thisUpdate }) => thisUpdate <= now).toSorted(byTime)[0];
  const who = certificate.subjectText || `serial number ${toHex(certificate.serial)}`;
  const authority = issuer.subjectText;
  if (list === undefined) {
    const [future] = own.toSorted(byTime);
    if (future !== undefined) {
      return {
        problem: 'not-yet-valid',
        message: `the revocation list of ${authority} is from the future`,
        expected: `made before ${iso(now)}`,
        found: iso(future.thisUpdate),
      };
    }
    if (!rules.required) return undefined;
    return {
      problem: 'no-list',
      message: `there is no revocation list of ${authority}`,
      expected: 'a list of each authority on the way to the root',
      found: `${rules.lists.length} lists, none by it`,
    };
  }
  const revoked = list.revoked.get(toHex(certificate.serial));
  if (revoked !== undefined) {
    return {
      problem: 'revoked',
      message: `${authority} revoked a certificate on the way to the root`,
      found: `${who}, revoked ${iso(revoked)}`,
    };
  }
  if (now <= list.nextUpdate + rules.grace) return undefined;
  return {
    problem: 'stale',
    message: `the revocation list of ${authority} is too old`,
    expected: `a list that is newer, or until ${iso(list.nextUpdate + rules.grace)}`,
    found: `made ${iso(list.thisUpdate)}, the next one due ${iso(list.nextUpdate)}`,
  };
}

function byTime(one: RevocationList, other: RevocationList): number {
  return other.thisUpdate - one.thisUpdate;
}

/** By fingerprint of the authority: a list is some hundred kilobytes to hash. */
const checked = new WeakMap<RevocationList, Map<string, boolean>>();

function isOwn(list: RevocationList, issuer: Certificate): boolean {
  const known = checked.get(list) ?? new Map<string, boolean>();
  checked.set(list, known);
  const before = known.get(issuer.fingerprint);
  if (before !== undefined) return before;
  const own = isListOf(list, issuer);
  // Of authorities that strangers show only those are remembered that made the list.
  if (own) known.set(issuer.fingerprint, own);
  return own;
}

function iso(time: number): string {
  return new Date(time).toISOString();
}
