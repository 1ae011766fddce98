/** Releases, for operators. */

import { z } from 'zod';
import {
  limits,
  newReleaseSchema,
  paths,
  releaseAnswerSchema,
  releaseStateSchema,
  releasesAnswerSchema,
  sha256Hex,
} from '../../protocol/index.ts';
import { addRelease, changeRelease, releaseAnswer } from '../release-actions.ts';
import { actorOf } from './act.ts';
import { route } from './route.ts';
import type { Route } from './route.ts';

export const releaseRoutes: readonly Route[] = [
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
