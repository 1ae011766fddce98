/** What anybody may ask, and what watches the service. */

import { z } from 'zod';
import { paths } from '../../protocol/index.ts';
import type { Store } from '../../store/index.ts';
import { Refused } from '../refusal.ts';
import { route } from './route.ts';
import type { Route } from './route.ts';

const state = z.object({ status: z.string() });

/** Milliseconds an answer of the database is good for: probes are not limited, and anybody may probe. */
const pingGoodFor = 250;

export function publicRoutes(openapi: () => unknown): readonly Route[] {
  let asked = Number.NEGATIVE_INFINITY;
  let answer: Promise<void> = Promise.resolve();
  const pinged = async (store: Store): Promise<void> => {
    const now = performance.now();
    if (now - asked > pingGoodFor) {
      asked = now;
      answer = store.ping();
      // A failure is told to those who wait for it; whoever asks afterwards hears of the database that is back.
      answer.catch(() => (asked = Number.NEGATIVE_INFINITY));
    }
    return answer;
  };
  return [
    route({
      method: 'GET',
      path: paths.health,
      summary: 'The process answers',
      access: 'public',
      unlimited: true,
      answer: state,
      handle: async () => ({ json: { status: 'ok' } }),
    }),
    route({
      method: 'GET',
      path: paths.ready,
      summary:
        'Requests can be answered: the database works, evidence can be judged, and the service is not stopping',
      access: 'public',
      unlimited: true,
      answer: z.object({ status: z.string(), policy: z.enum(['current', 'refused']) }),
      reasons: ['unavailable'],
      async handle(_call, { store, judge, serving, policyStatus }) {
        if (!serving()) throw new Refused('unavailable', { message: 'stopping' });
        if (!judge.ready) throw new Refused('unavailable', { message: 'no thread can judge evidence' });
        await pinged(store);
        // The policy from before still counts, so requests can be answered; why it does is in the log.
        const policy = policyStatus.problem === undefined ? 'current' : 'refused';
        return { json: { status: 'ready', policy } };
      },
    }),
    route({
      method: 'GET',
      path: paths.jwks,
      summary: 'Keys that sign verdict tokens (RFC 7517)',
      access: 'public',
      answer: z.object({ keys: z.array(z.record(z.string(), z.string())) }),
      handle: async (_call, { jwks }) => ({ json: jwks }),
    }),
    route({
      method: 'GET',
      path: paths.nodeAuthority,
      summary: 'The certificate that certificates of nodes lead to (PEM)',
      access: 'public',
      answerType: 'application/x-pem-file',
      async handle(_call, { nodeAuthority }) {
        return { bytes: Buffer.from(nodeAuthority.certificate), type: 'application/x-pem-file' };
      },
    }),
    route({
      method: 'GET',
      path: paths.openapi,
      summary: 'This description',
      access: 'public',
      answer: z.object({ openapi: z.string() }),
      handle: async () => ({ json: openapi() }),
    }),
    route({
      method: 'GET',
      path: paths.metrics,
      summary: 'Prometheus metrics',
      access: 'viewer',
      answerType: 'text/plain; version=0.0.4; charset=utf-8',
      async handle(_call, { metrics }) {
        return { bytes: Buffer.from(await metrics.text()), type: metrics.contentType };
      },
    }),
  ];
}
