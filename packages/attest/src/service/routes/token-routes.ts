/** Operators' tokens, and what relying parties ask about verdict tokens. */

import { z } from 'zod';
import {
  limits,
  newTokenSchema,
  paths,
  removedSchema,
  tokenMadeSchema,
  tokensAnswerSchema,
  tokenStatusSchema,
} from '../../protocol/index.ts';
import type { TokenSummary } from '../../store/index.ts';
import { createToken } from '../operators.ts';
import { iso } from '../release-actions.ts';
import { statusOfToken } from '../token-status.ts';
import { actorOf } from './act.ts';
import { removal, route } from './route.ts';
import type { Route } from './route.ts';

export const tokenRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: paths.tokenStatus,
    summary: 'Does this verdict token still count? Who holds it may ask; anything else is not active',
    access: 'public',
    query: z.strictObject({ token: z.string().min(1).max(limits.token) }),
    answer: tokenStatusSchema,
    handle: async ({ query }, context) => ({ json: await statusOfToken(query.token, context) }),
  }),
  route({
    method: 'GET',
    path: paths.tokens,
    summary: "Operators' tokens, without the tokens themselves",
    access: 'admin',
    answer: tokensAnswerSchema,
    async handle(_call, { store }) {
      return { json: { tokens: (await store.tokens.list()).map(tokenInfo) } };
    },
  }),
  route({
    method: 'POST',
    path: paths.tokens,
    summary: 'Make a token; it is shown in this answer and never again',
    access: 'admin',
    body: newTokenSchema,
    answer: tokenMadeSchema,
    status: 201,
    async handle({ body, operator }, { store, now }) {
      const expires = body.expires === undefined ? null : Date.parse(body.expires);
      const request = { name: body.name, role: body.role, expires, now: now(), actor: actorOf(operator) };
      const { token, summary } = await createToken(store, request);
      return { json: { token, info: tokenInfo(summary) }, status: 201 };
    },
  }),
  removal({
    path: `${paths.tokens}/:id`,
    summary: 'Make a token useless',
    parameters: removedSchema,
    answer: removedSchema,
    remove: async ({ id }, act, { store }) => store.tokens.remove(id, act),
  }),
];

function tokenInfo({ id, name, role, created, expires }: TokenSummary): unknown {
  return { id, name, role, created: iso(created), expires: iso(expires) };
}
