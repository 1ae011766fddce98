/** What nodes call. */

import { z } from 'zod';
import {
  activationAnswerSchema,
  activationRequestSchema,
  enrolmentAnswerSchema,
  enrolmentRequestSchema,
  evidenceAnswerSchema,
  evidenceMessageSchema,
  limits,
  nonceAnswerSchema,
  nonceRequestSchema,
  paths,
  word,
} from '../../protocol/index.ts';
import { activate, beginEnrolment } from '../enrolment.ts';
import { acceptEvidence, evidenceHead, issueNonce } from '../evidence.ts';
import { Refused } from '../refusal.ts';
import { releaseSecret } from '../secrets.ts';
import { route } from './route.ts';
import type { Route } from './route.ts';

export const nodeRoutes: readonly Route[] = [
  route({
    method: 'POST',
    path: paths.enrolments,
    summary: 'Begin an enrolment: a credential that only the TPM with these two keys can open',
    access: 'public',
    body: enrolmentRequestSchema,
    answer: enrolmentAnswerSchema,
    status: 201,
    reasons: ['endorsement-refused', 'reenrolment-needed', 'busy'],
    async handle({ body, address }, context) {
      return { json: await beginEnrolment(body, { address }, context), status: 201 };
    },
  }),
  route({
    method: 'POST',
    path: `${paths.enrolments}/:enrolment/activation`,
    summary: 'End an enrolment with the secret from the credential; one try',
    access: 'public',
    parameters: z.object({ enrolment: z.string().max(64) }),
    body: activationRequestSchema,
    answer: activationAnswerSchema,
    reasons: ['activation-refused', 'endorsement-refused', 'reenrolment-needed'],
    async handle({ body, parameters }, context) {
      return { json: await activate(parameters.enrolment, body, context) };
    },
  }),
  route({
    method: 'POST',
    path: paths.nonces,
    summary: 'A nonce for one piece of evidence, and the PCRs its quote has to cover',
    access: 'public',
    body: nonceRequestSchema,
    answer: nonceAnswerSchema,
    reasons: ['unknown-node'],
    async handle({ body, address }, context) {
      return { json: await issueNonce(body, { address }, context) };
    },
  }),
  route({
    method: 'POST',
    path: paths.evidence,
    summary: 'Hand in evidence over a TLS connection whose client key it is bound to',
    access: 'node',
    body: evidenceMessageSchema,
    rawBody: true,
    bodyLimit: limits.evidenceBody,
    answer: evidenceAnswerSchema,
    reasons: [
      'channel-refused',
      'tls-key-refused',
      'unknown-node',
      'nonce-refused',
      'evidence-refused',
      'busy',
    ],
    async handle({ bytes, peer, address }, context) {
      const head = evidenceHead(bytes);
      if (head === undefined) throw new Refused('malformed');
      return { jsonText: await acceptEvidence({ ...head, bytes, peer, address }, context) };
    },
  }),
  route({
    method: 'GET',
    path: `${paths.secrets}/:name`,
    summary: 'A secret, to a node that is trusted now on this TLS client key; each time is recorded',
    access: 'node',
    parameters: z.object({ name: word }),
    answerType: 'application/octet-stream',
    reasons: ['channel-refused', 'not-trusted', 'not-found'],
    async handle({ parameters, peer, address }, context) {
      const bytes = await releaseSecret({ name: parameters.name, peer, address }, context);
      return { bytes, type: 'application/octet-stream' };
    },
  }),
];
