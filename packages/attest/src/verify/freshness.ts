/** Was this made now, for us, by the machine at the other end of the line? */

import { hash } from 'node:crypto';
import { equalBytes, toHex } from '@osguard/formats/bytes';
import type { CheckDefinition } from './check.ts';
import { Refused } from './check.ts';

/** The one purpose for which evidence is taken; a nonce given for something else is not good for it. */
export const evidencePurpose = 'evidence';

export const freshnessChecks: readonly CheckDefinition[] = [
  {
    id: 'node-known',
    claim: 'the node is enrolled here',
    run({ evidence, context }) {
      const { node } = context;
      if (node === undefined) throw new Refused('no such node is enrolled', { found: evidence.node });
      if (node.node !== evidence.node) {
        throw new Refused('the evidence names another node', { expected: node.node, found: evidence.node });
      }
      if (hash('sha256', node.ek, 'hex') !== node.node) {
        throw new Refused('the record of the node holds another endorsement key', { expected: node.node });
      }
    },
  },
  {
    id: 'nonce-known',
    claim: 'the nonce was given by this verifier',
    run({ evidence, context }) {
      const { nonce } = context;
      if (nonce === undefined || !equalBytes(nonce.nonce, evidence.nonce)) {
        throw new Refused('this verifier did not give that nonce', {
          found: toHex(evidence.nonce),
          ...(nonce !== undefined && { expected: toHex(nonce.nonce) }),
        });
      }
    },
  },
  {
    id: 'nonce-purpose',
    claim: 'the nonce was given for evidence',
    run({ nonce }) {
      if (nonce.purpose === evidencePurpose) return;
      throw new Refused('the nonce was given for something else', {
        expected: evidencePurpose,
        found: nonce.purpose,
      });
    },
  },
  {
    id: 'nonce-node',
    claim: 'the nonce was given to this node',
    run({ nonce, evidence }) {
      if (nonce.node === evidence.node) return;
      throw new Refused('the nonce was given to another node', {
        expected: nonce.node,
        found: evidence.node,
      });
    },
  },
  {
    id: 'nonce-unused',
    claim: 'the nonce was not used before',
    run({ nonce }) {
      if (nonce.used === undefined) return;
      throw new Refused('evidence with this nonce was handed in before', { found: time(nonce.used) });
    },
  },
  {
    id: 'nonce-fresh',
    claim: 'the nonce is fresh',
    run({ nonce, context: { now, policy } }) {
      const { maximumAge, clockSkew } = policy.quote;
      if (!Number.isFinite(now)) throw new Refused('the time is not known');
      if (nonce.issued - now > clockSkew) {
        throw new Refused(
          'the nonce was issued in the future: clocks differ by more than the policy allows',
          {
            expected: `at most ${clockSkew} ms ahead of ${time(now)}`,
            found: time(nonce.issued),
          },
        );
      }
      const end = Math.min(nonce.expires, nonce.issued + maximumAge);
      if (!(now < end)) {
        throw new Refused('the nonce is stale', { expected: `before ${time(end)}`, found: time(now) });
      }
    },
  },
  {
    id: 'tls-key',
    claim: 'the evidence belongs to this TLS connection',
    run({ evidence, context: { channelKey } }) {
      if (channelKey === 'offline') {
        return { message: 'judged offline: there is no TLS connection to compare the key with' };
      }
      if (equalBytes(channelKey, evidence.tlsKey)) return undefined;
      throw new Refused('the connection speaks with another key than the evidence names', {
        expected: `SHA-256 ${hash('sha256', channelKey, 'hex')}`,
        found: `SHA-256 ${hash('sha256', evidence.tlsKey, 'hex')}`,
      });
    },
  },
];

export function time(milliseconds: number): string {
  const date = new Date(milliseconds);
  return Number.isNaN(date.getTime()) ? String(milliseconds) : date.toISOString();
}
