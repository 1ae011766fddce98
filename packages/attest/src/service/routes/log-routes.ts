/** The chain of decisions, for operators: page by page, and as it grows. */

import { z } from 'zod';
import { decisionsAnswerSchema, paths } from '../../protocol/index.ts';
import { streamEvents } from '../event-stream.ts';
import { route } from './route.ts';
import type { Route } from './route.ts';

const position = z.coerce.number().int().nonnegative();

export const logRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: paths.decisions,
    summary: 'The chain of decisions, from the one after `after` on',
    access: 'viewer',
    query: z.strictObject({
      after: position.default(0),
      limit: z.coerce.number().int().min(1).max(5000).default(1000),
    }),
    answer: decisionsAnswerSchema,
    async handle({ query }, { store }) {
      // The head first: what follows reaches at least as far when it is asked for again.
      const head = await store.decisions.head();
      const decisions = await store.decisions.list(query);
      return { json: { decisions: decisions.map(({ seq, hash, body }) => ({ seq, hash, body })), head } };
    },
  }),
  route({
    method: 'GET',
    path: paths.events,
    summary: 'Changes as server-sent events; goes on after `Last-Event-ID` or `after`, else from now',
    access: 'viewer',
    query: z.strictObject({ after: position.optional() }),
    answerType: 'text/event-stream',
    reasons: ['busy'],
    async handle({ query, headers }, context) {
      const last = headers['last-event-id'];
      const asked = typeof last === 'string' && /^\d{1,15}$/.test(last) ? Number(last) : query.after;
      return streamEvents(asked ?? (await context.store.decisions.head()).seq, context);
    },
  }),
];
