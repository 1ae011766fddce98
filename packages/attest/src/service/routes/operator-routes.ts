/** Releases, secrets, tokens, webhooks and the log, for operators. */

import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import {
  decisionsAnswerSchema,
  limits,
  newReleaseSchema,
  newTokenSchema,
  paths,
  releaseAnswerSchema,
  releaseStateSchema,
  releasesAnswerSchema,
  removedSchema,
  secretRemovedSchema,
  secretsAnswerSchema,
  secretSetSchema,
  sha256Hex,
  tokenMadeSchema,
  tokensAnswerSchema,
  webhookInfoSchema,
  word,
} from '../../protocol/index.ts';
import type { TokenSummary, WebhookSummary } from '../../store/index.ts';
import { ServiceError } from '../error.ts';
import { streamEvents } from '../event-stream.ts';
import { createToken } from '../operators.ts';
import { Refused } from '../refusal.ts';
import { addRelease, changeRelease, iso, releaseAnswer } from '../release-actions.ts';
import { setSecret } from '../secrets.ts';
import { assertWebhookUrl, webhookLabel } from '../webhooks.ts';
import { actOf, actorOf } from './fleet-routes.ts';
import { route } from './route.ts';
import type { Route } from './route.ts';

const secret = z.object({ name: word });
const position = z.coerce.number().int().nonnegative();

const releases: readonly Route[] = [
  route({
    method: 'GET',
    path: paths.releases,
    summary: 'Releases and their states',
    access: 'viewer',
    answer: releasesAnswerSchema,
    async handle(_call, { store }) {
      return { json: { releases: (await store.releases.list()).map(releaseAnswer) } };
    },
  }),
  route({
    method: 'POST',
    path: paths.releases,
    summary: 'Add a signed release',
    access: 'operator',
    body: newReleaseSchema,
    bodyLimit: limits.releaseBody,
    answer: releaseAnswerSchema,
    status: 201,
    reasons: ['conflict'],
    async handle({ body, operator }, context) {
      return { json: await addRelease(body, actorOf(operator), context), status: 201 };
    },
  }),
  route({
    method: 'POST',
    path: `${paths.releases}/:id/state`,
    summary: 'Promote, deprecate or revoke a release; nodes that run it count accordingly at once',
    access: 'operator',
    parameters: z.object({ id: sha256Hex }),
    body: releaseStateSchema,
    answer: releaseAnswerSchema,
    reasons: ['not-found'],
    async handle({ body, parameters, operator }, context) {
      return {
        json: await changeRelease(parameters.id, { request: body, actor: actorOf(operator) }, context),
      };
    },
  }),
];

const secrets: readonly Route[] = [
  route({
    method: 'GET',
    path: paths.secrets,
    summary: 'Names and sizes of secrets; their values leave to trusted nodes only',
    access: 'viewer',
    answer: secretsAnswerSchema,
    async handle(_call, { store }) {
      const list = await store.secrets.list();
      return { json: { secrets: list.map((one) => ({ ...one, set: iso(one.set) })) } };
    },
  }),
  route({
    method: 'PUT',
    path: `${paths.secrets}/:name`,
    summary:
      'Set a secret to the bytes of the body, or to a certificate for the TLS key of each node that fetches it',
    access: 'admin',
    parameters: secret,
    rawBody: true,
    bodyLimit: limits.secret,
    query: z.strictObject({ kind: z.enum(['bytes', 'certificate']).default('bytes') }),
    answer: secretSetSchema,
    reasons: ['conflict'],
    async handle({ parameters, query, bytes, operator }, context) {
      const { name } = parameters;
      if (query.kind === 'bytes' && bytes.length === 0) {
        throw new Refused('malformed', { message: 'a secret has at least one byte' });
      }
      if (query.kind === 'certificate' && bytes.length > 0) {
        throw new Refused('malformed', {
          message: 'a certificate is made for each node, there is nothing to set',
        });
      }
      await setSecret({ name, value: bytes, by: actorOf(operator) }, context);
      context.changes.poke();
      return { json: { name, size: bytes.length } };
    },
  }),
  route({
    method: 'DELETE',
    path: `${paths.secrets}/:name`,
    summary: 'Remove a secret',
    access: 'admin',
    parameters: secret,
    answer: secretRemovedSchema,
    reasons: ['not-found'],
    async handle(call, context) {
      const { name } = call.parameters;
      if (!(await context.store.secrets.remove(name, actOf(call, context)))) throw new Refused('not-found');
      context.secretNames.forget();
      return { json: { name } };
    },
  }),
];

const tokens: readonly Route[] = [
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
  route({
    method: 'DELETE',
    path: `${paths.tokens}/:id`,
    summary: 'Make a token useless',
    access: 'admin',
    parameters: removedSchema,
    answer: removedSchema,
    reasons: ['not-found'],
    async handle(call, context) {
      const { id } = call.parameters;
      if (!(await context.store.tokens.remove(id, actOf(call, context)))) throw new Refused('not-found');
      return { json: { id } };
    },
  }),
];

const webhooks: readonly Route[] = [
  route({
    method: 'GET',
    path: paths.webhooks,
    summary: 'Webhooks and how far they got',
    access: 'admin',
    answer: z.object({ webhooks: z.array(webhookInfoSchema) }),
    async handle(_call, { store }) {
      return { json: { webhooks: (await store.webhooks.list()).map(webhookInfo) } };
    },
  }),
  route({
    method: 'POST',
    path: paths.webhooks,
    summary: 'Send changes from now on to an address; the key of the signatures is shown once',
    access: 'admin',
    body: z.strictObject({ url: z.string().max(2000) }),
    answer: z.object({ webhook: webhookInfoSchema, key: z.string() }),
    status: 201,
    async handle({ body, operator }, { store, sealing, now }) {
      try {
        assertWebhookUrl(body.url);
      } catch (error) {
        if (error instanceof ServiceError) throw new Refused('malformed', { message: error.message });
        throw error;
      }
      const id = randomBytes(9).toString('base64url');
      const key = randomBytes(32);
      const { seq } = await store.decisions.head();
      const webhook = {
        id,
        url: body.url,
        cursor: seq,
        attempts: 0,
        nextAt: 0,
        lastError: null,
        created: now(),
      };
      await store.webhooks.add(
        { ...webhook, sealed: sealing.seal(key, webhookLabel(id)) },
        actorOf(operator),
      );
      return { json: { webhook: webhookInfo(webhook), key: key.toString('base64') }, status: 201 };
    },
  }),
  route({
    method: 'DELETE',
    path: `${paths.webhooks}/:id`,
    summary: 'End a webhook',
    access: 'admin',
    parameters: removedSchema,
    answer: removedSchema,
    reasons: ['not-found'],
    async handle(call, context) {
      const { id } = call.parameters;
      if (!(await context.store.webhooks.remove(id, actOf(call, context)))) throw new Refused('not-found');
      return { json: { id } };
    },
  }),
];

const log: readonly Route[] = [
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

export const operatorRoutes: readonly Route[] = [...releases, ...secrets, ...tokens, ...webhooks, ...log];

function tokenInfo({ id, name, role, created, expires }: TokenSummary): unknown {
  return { id, name, role, created: iso(created), expires: iso(expires) };
}

function webhookInfo({ id, url, cursor, attempts, lastError, created }: WebhookSummary): unknown {
  return { id, url, cursor, attempts, lastError, created: iso(created) };
}
