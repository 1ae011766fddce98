/** Webhooks, for operators. */

import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { paths, removedSchema, webhookInfoSchema } from '../../protocol/index.ts';
import type { WebhookSummary } from '../../store/index.ts';
import { ServiceError } from '../error.ts';
import { Refused } from '../refusal.ts';
import { iso } from '../release-actions.ts';
import { assertWebhookUrl, webhookLabel } from '../webhooks.ts';
import { actorOf } from './act.ts';
import { removal, route } from './route.ts';
import type { Route } from './route.ts';

export const webhookRoutes: readonly Route[] = [
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
  removal({
    path: `${paths.webhooks}/:id`,
    summary: 'End a webhook',
    parameters: removedSchema,
    answer: removedSchema,
    remove: async ({ id }, act, { store }) => store.webhooks.remove(id, act),
  }),
];

function webhookInfo({ id, url, cursor, attempts, lastError, created }: WebhookSummary): unknown {
  return { id, url, cursor, attempts, lastError, created: iso(created) };
}
