/** Nodes, applicants and verdicts, for operators. */

import { z } from 'zod';
import {
  applicantsAnswerSchema,
  labelsSchema,
  nodeDetailAnswerSchema,
  nodeDoneSchema,
  nodeId,
  nodeLabelsSchema,
  nodesAnswerSchema,
  nodesQuerySchema,
  paths,
  verdictAnswerSchema,
} from '../../protocol/index.ts';
import type { NodeAnswer } from '../../protocol/index.ts';
import type { Act, NodeSummary } from '../../store/index.ts';
import type { VerifierContext } from '../context.ts';
import { Refused } from '../refusal.ts';
import { iso } from '../release-actions.ts';
import { problemOf } from '../endorsement-review.ts';
import { actOf } from './act.ts';
import { removal, route } from './route.ts';
import type { Route } from './route.ts';

/** Milliseconds in which a node that an operator let enrol anew has to do it. */
const reenrolmentWindow = 86_400_000;

export const fleetRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: paths.nodes,
    summary: 'Nodes, page by page',
    access: 'viewer',
    query: nodesQuerySchema,
    answer: nodesAnswerSchema,
    async handle({ query }, { store, now }) {
      const nodes = await store.nodes.list({ ...query, now: now() });
      const next = nodes.length < query.limit ? null : (nodes.at(-1)?.id ?? null);
      return { json: { nodes: nodes.map(nodeAnswer), next } };
    },
  }),
  route({
    method: 'GET',
    path: `${paths.nodes}/:node`,
    summary: 'One node, with the checks its last evidence failed',
    access: 'viewer',
    parameters: nodeDoneSchema,
    answer: nodeDetailAnswerSchema,
    reasons: ['not-found'],
    async handle({ parameters }, { store, now }) {
      const found = await store.nodes.detail(parameters.node, now());
      if (found === undefined) throw new Refused('not-found', { message: 'no such node' });
      const { akName, state, labels, endorsement, checks } = found;
      const reenrolUntil = iso(found.reenrolUntil);
      return { json: { ...nodeAnswer(found), akName, state, labels, endorsement, reenrolUntil, checks } };
    },
  }),
  route({
    method: 'GET',
    path: paths.verdict,
    summary: 'Is this node trusted now?',
    access: 'viewer',
    query: z.strictObject({ node: nodeId }),
    answer: verdictAnswerSchema,
    reasons: ['not-found'],
    async handle({ query }, { store, now }) {
      const found = await store.nodes.detail(query.node, now());
      if (found === undefined) throw new Refused('not-found', { message: 'no such node' });
      const { id, trust, at, expires, release, reason } = nodeAnswer(found);
      return { json: { node: id, trusted: trust === 'trusted', trust, at, expires, release, reason } };
    },
  }),
  route({
    method: 'GET',
    path: paths.applicants,
    summary: 'Machines whose endorsement key nobody vouched for',
    access: 'viewer',
    answer: applicantsAnswerSchema,
    async handle(_call, { store }) {
      const applicants = await store.enrolments.applicants();
      return {
        json: { applicants: applicants.map((one) => ({ ...one, first: iso(one.first), at: iso(one.at) })) },
      };
    },
  }),
  action('approval', 'Let this endorsement key enrol without a certificate', async (id, act, { store }) => {
    await store.enrolments.approve(id, act);
    await store.nodes.setEndorsed(id, { ...act, problem: null });
    return true;
  }),
  action(
    'reenrolment',
    'Let this node enrol with another attestation key, within a day',
    async (id, act, { store }) =>
      store.nodes.allowReenrolment(id, { ...act, until: act.at + reenrolmentWindow }),
  ),
  action('suspension', 'Take the node out: its evidence is refused', async (id, act, { store }) =>
    store.nodes.setState(id, { ...act, state: 'suspended' }),
  ),
  action('resumption', 'End a suspension', async (id, act, { store, policy }) => {
    const endorsement = await store.nodes.endorsement(id);
    const problem = endorsement && problemOf(endorsement, { policy: policy(), now: act.at });
    if (problem !== undefined) {
      throw new Refused('conflict', {
        message: `nobody vouches for its endorsement key any more (${problem}): approve it, or mend the policy`,
      });
    }
    return store.nodes.setState(id, { ...act, state: 'enrolled' });
  }),
  route({
    method: 'PUT',
    path: `${paths.nodes}/:node/labels`,
    summary: 'Give a node these labels and no others: secrets can be limited to them',
    access: 'admin',
    parameters: nodeDoneSchema,
    body: labelsSchema,
    answer: nodeLabelsSchema,
    reasons: ['not-found'],
    async handle(call, context) {
      const { node: id } = call.parameters;
      const labels = [...new Set(call.body.labels)].toSorted();
      if (!(await context.store.nodes.setLabels(id, { ...actOf(call, context), labels }))) {
        throw new Refused('not-found', { message: 'no such node' });
      }
      context.changes.poke();
      return { json: { node: id, labels } };
    },
  }),
  removal({
    path: `${paths.nodes}/:node`,
    summary: 'Forget the node and its approval',
    parameters: nodeDoneSchema,
    answer: nodeDoneSchema,
    remove: async ({ node }, act, { store }) => store.nodes.remove(node, act),
  }),
];

type Action = (id: string, act: Act, context: VerifierContext) => Promise<boolean>;

function action(verb: string, summary: string, run: Action): Route {
  return route({
    method: 'POST',
    path: `${paths.nodes}/:node/${verb}`,
    summary,
    access: 'operator',
    parameters: nodeDoneSchema,
    answer: nodeDoneSchema,
    reasons: ['not-found', 'conflict'],
    async handle(call, context) {
      const { node: id } = call.parameters;
      if (!(await run(id, actOf(call, context), context))) {
        throw new Refused('not-found', { message: 'no such node' });
      }
      context.changes.poke();
      return { json: { node: id } };
    },
  });
}

function nodeAnswer(found: NodeSummary): NodeAnswer {
  const { id, name, trust, enrolled, at, expires, release, reason, agent } = found;
  return {
    id,
    name,
    trust,
    enrolled: iso(enrolled),
    at: iso(at),
    expires: iso(expires),
    release,
    reason,
    agent,
  };
}
