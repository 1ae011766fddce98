/** Secrets, for operators: what they are and which nodes they are for, never what is in them. */

import { z } from 'zod';
import {
  limits,
  paths,
  secretRemovedSchema,
  secretsAnswerSchema,
  secretSetQuerySchema,
  secretSetSchema,
  word,
} from '../../protocol/index.ts';
import type { SecretScopeAnswer, SecretSetQuery } from '../../protocol/index.ts';
import { Refused } from '../refusal.ts';
import { iso } from '../release-actions.ts';
import { setSecret } from '../secrets.ts';
import { actorOf } from './act.ts';
import { removal, route } from './route.ts';
import type { Route } from './route.ts';

const secret = z.object({ name: word });

export const secretRoutes: readonly Route[] = [
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
      'Set a secret to the bytes of the body, or to a certificate for the TLS key of each node that fetches it, and say which trusted nodes it is for',
    access: 'admin',
    parameters: secret,
    rawBody: true,
    bodyLimit: limits.secret,
    query: secretSetQuerySchema,
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
      const scope = scopeOf(query);
      await setSecret({ name, value: bytes, scope, by: actorOf(operator) }, context);
      context.changes.poke();
      return { json: { name, size: bytes.length, scope } };
    },
  }),
  removal({
    path: `${paths.secrets}/:name`,
    summary: 'Remove a secret',
    parameters: secret,
    answer: secretRemovedSchema,
    async remove({ name }, act, { store, secretNames }) {
      const removed = await store.secrets.remove(name, act);
      secretNames.forget();
      return removed;
    },
  }),
];

/** Nobody gets a secret because somebody forgot to say who. @throws Refused `malformed` */
function scopeOf({ everyone, node, label, release }: SecretSetQuery): SecretScopeAnswer {
  const limited = node.length + label.length + release.length > 0;
  if (everyone !== undefined && !limited) return 'everyone';
  if (everyone === undefined && limited) return { nodes: node, labels: label, releases: release };
  throw new Refused('malformed', {
    message: 'say which nodes it is for: `node`, `label` and `release`, or else `everyone=true`',
  });
}
