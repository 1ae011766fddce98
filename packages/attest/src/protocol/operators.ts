/** What operators and the verifier say to each other. Times are ISO 8601 in UTC. */

import { z } from 'zod';
import { base64, nodeId, sha256Hex, time, word } from './fields.ts';
import { limits } from './limits.ts';
import { checkMessageSchema } from './messages.ts';
import type { CheckMessage } from './messages.ts';

export const trustStates = ['trusted', 'new', 'refused', 'expired', 'release', 'suspended'] as const;
/**
 * `new` no evidence yet · `refused` the last evidence was · `expired` the last verdict is too old · `release` what it runs
 * is not allowed any more · `suspended` by an operator.
 */
export type Trust = (typeof trustStates)[number];

export const releaseStates = ['added', 'promoted', 'deprecated', 'revoked'] as const;
export type OperatorReleaseState = (typeof releaseStates)[number];

export const operatorRoles = ['viewer', 'operator', 'admin'] as const;
export type OperatorRole = (typeof operatorRoles)[number];

export interface NodeAnswer {
  readonly id: string;
  readonly name: string;
  readonly trust: Trust;
  readonly enrolled: string;
  readonly at: string | null;
  readonly expires: string | null;
  readonly release: { readonly id: string; readonly name: string; readonly version: string } | null;
  readonly reason: string | null;
  readonly agent: string | null;
}

const nodeShape = {
  id: nodeId,
  name: z.string(),
  trust: z.enum(trustStates),
  enrolled: time,
  at: time.nullable(),
  expires: time.nullable(),
  release: z.object({ id: z.string(), name: z.string(), version: z.string() }).nullable(),
  reason: z.string().nullable(),
  agent: z.string().nullable(),
};

export const nodeAnswerSchema: z.ZodType<NodeAnswer> = z.object(nodeShape);

export const nodeStates = ['enrolled', 'suspended', 'unendorsed'] as const;
/** `suspended` by an operator · `unendorsed` nobody vouches for its endorsement key any more. */
export type NodeState = (typeof nodeStates)[number];

export interface NodeDetailAnswer extends NodeAnswer {
  readonly akName: string;
  readonly state: NodeState;
  readonly labels: readonly string[];
  readonly endorsement: string;
  readonly reenrolUntil: string | null;
  /** Those that failed. */
  readonly checks: readonly CheckMessage[];
}

export const nodeDetailAnswerSchema: z.ZodType<NodeDetailAnswer> = z.object({
  ...nodeShape,
  akName: z.string(),
  state: z.enum(nodeStates),
  labels: z.array(z.string()),
  endorsement: z.string(),
  reenrolUntil: time.nullable(),
  checks: z.array(checkMessageSchema),
});

export interface NodesAnswer {
  readonly nodes: readonly NodeAnswer[];
  /** For the next page; null on the last. */
  readonly next: string | null;
}

export const nodesAnswerSchema: z.ZodType<NodesAnswer> = z.object({
  nodes: z.array(nodeAnswerSchema),
  next: nodeId.nullable(),
});

export interface NodesQuery {
  readonly after?: string | undefined;
  readonly limit: number;
  readonly trust?: Trust | undefined;
  readonly release?: string | undefined;
  readonly name?: string | undefined;
}

export const nodesQuerySchema: z.ZodType<NodesQuery> = z.strictObject({
  after: nodeId.optional(),
  limit: z.coerce.number().int().min(1).max(1000).default(100),
  trust: z.enum(trustStates).optional(),
  release: sha256Hex.optional(),
  name: word.optional(),
});

export interface ApplicantAnswer {
  readonly node: string;
  readonly name: string;
  readonly address: string;
  readonly first: string;
  readonly at: string;
  readonly attempts: number;
  readonly checks: readonly CheckMessage[];
}

export const applicantsAnswerSchema: z.ZodType<{ readonly applicants: readonly ApplicantAnswer[] }> =
  z.object({
    applicants: z.array(
      z.object({
        node: nodeId,
        name: z.string(),
        address: z.string(),
        first: time,
        at: time,
        attempts: z.int(),
        checks: z.array(checkMessageSchema),
      }),
    ),
  });

export interface VerdictAnswer {
  readonly node: string;
  readonly trusted: boolean;
  readonly trust: Trust;
  readonly at: string | null;
  readonly expires: string | null;
  readonly release: NodeAnswer['release'];
  readonly reason: string | null;
}

export const verdictAnswerSchema: z.ZodType<VerdictAnswer> = z.object({
  node: nodeId,
  trusted: z.boolean(),
  trust: z.enum(trustStates),
  at: time.nullable(),
  expires: time.nullable(),
  release: nodeShape.release,
  reason: z.string().nullable(),
});

export interface ReleaseAnswer {
  readonly id: string;
  readonly name: string;
  readonly version: string;
  readonly state: OperatorReleaseState;
  readonly from: string | null;
  readonly until: string | null;
  readonly added: string;
  readonly changed: string;
}

export const releaseAnswerSchema: z.ZodType<ReleaseAnswer> = z.object({
  id: sha256Hex,
  name: z.string(),
  version: z.string(),
  state: z.enum(releaseStates),
  from: time.nullable(),
  until: time.nullable(),
  added: time,
  changed: time,
});

export interface NewRelease {
  /** release.json: a DSSE envelope. */
  readonly manifest: string;
  /** reference-values.json. */
  readonly referenceValues: string;
  /** `added` is not allowed to run yet. */
  readonly state: 'added' | 'promoted';
}

export const newReleaseSchema: z.ZodType<NewRelease> = z.strictObject({
  manifest: base64(limits.releaseBody),
  referenceValues: base64(limits.releaseBody),
  state: z.enum(['added', 'promoted']).default('added'),
});

export interface ReleaseStateRequest {
  readonly state: 'promoted' | 'deprecated' | 'revoked';
  readonly from?: string | undefined;
  /** A deprecated release needs one: the end of its grace. */
  readonly until?: string | undefined;
}

export const releaseStateSchema: z.ZodType<ReleaseStateRequest> = z.strictObject({
  state: z.enum(['promoted', 'deprecated', 'revoked']),
  from: z.iso.datetime().optional(),
  until: z.iso.datetime().optional(),
});

/** Lists of which one member has to fit; see `isInScope` of the store for how they go together. */
export type SecretScopeAnswer =
  | 'everyone'
  | {
      readonly nodes: readonly string[];
      readonly labels: readonly string[];
      readonly releases: readonly string[];
    };

const scope: z.ZodType<SecretScopeAnswer> = z.union([
  z.literal('everyone'),
  z.object({ nodes: z.array(z.string()), labels: z.array(z.string()), releases: z.array(z.string()) }),
]);

export interface SecretSetQuery {
  readonly kind: 'bytes' | 'certificate';
  readonly everyone?: 'true' | undefined;
  readonly node: readonly string[];
  readonly label: readonly string[];
  readonly release: readonly string[];
}

/** A parameter that may be there several times. */
// oxlint-disable-next-line typescript/explicit-function-return-type -- the schema is its own type
const many = (one: z.ZodString) =>
  z
    .union([one, z.array(one).max(limits.scope)])
    .transform((value) => (typeof value === 'string' ? [value] : value))
    .optional()
    .transform((value) => value ?? []);

export const secretSetQuerySchema: z.ZodType<SecretSetQuery> = z.strictObject({
  kind: z.enum(['bytes', 'certificate']).default('bytes'),
  everyone: z.literal('true').optional(),
  node: many(nodeId),
  label: many(word),
  release: many(
    z.string().regex(/^[0-9A-Za-z][0-9A-Za-z.+~@_-]{0,199}$/, 'is no release id, NAME or NAME@VERSION'),
  ),
});

export const labelsSchema: z.ZodType<{ readonly labels: readonly string[] }> = z.strictObject({
  labels: z.array(word).max(limits.scope),
});

export const nodeLabelsSchema: z.ZodType<{ readonly node: string; readonly labels: readonly string[] }> =
  z.object({ node: nodeId, labels: z.array(z.string()) });

export interface SecretInfo {
  readonly name: string;
  readonly size: number;
  readonly set: string;
  readonly by: string;
  readonly scope: SecretScopeAnswer;
}

export const secretInfoSchema: z.ZodType<SecretInfo> = z.object({
  name: z.string(),
  size: z.int(),
  set: time,
  by: z.string(),
  scope,
});

export interface TokenInfo {
  readonly id: string;
  readonly name: string;
  readonly role: OperatorRole;
  readonly created: string;
  readonly expires: string | null;
}

export const tokenInfoSchema: z.ZodType<TokenInfo> = z.object({
  id: z.string(),
  name: z.string(),
  role: z.enum(operatorRoles),
  created: time,
  expires: time.nullable(),
});

/** As RFC 7662 section 2.2 has it: anything but an active token is `{"active": false}`, whatever is wrong with it. */
export type TokenStatus =
  | { readonly active: false }
  | {
      readonly active: true;
      /** The node. */
      readonly sub: string;
      readonly iss: string;
      /** Seconds since 1970. */
      readonly iat: number;
      readonly exp: number;
      readonly jti: string;
      readonly release: { readonly id: string; readonly name: string; readonly version: string };
    };

export const tokenStatusSchema: z.ZodType<TokenStatus> = z.discriminatedUnion('active', [
  z.object({ active: z.literal(false) }),
  z.object({
    active: z.literal(true),
    sub: nodeId,
    iss: z.string(),
    iat: z.int(),
    exp: z.int(),
    jti: z.string(),
    release: z.object({ id: z.string(), name: z.string(), version: z.string() }),
  }),
]);

export interface NewTokenRequest {
  readonly name: string;
  readonly role: OperatorRole;
  readonly expires?: string | undefined;
}

export const newTokenSchema: z.ZodType<NewTokenRequest> = z.strictObject({
  name: word,
  role: z.enum(operatorRoles),
  expires: z.iso.datetime().optional(),
});

export interface WebhookInfo {
  readonly id: string;
  readonly url: string;
  readonly cursor: number;
  readonly attempts: number;
  readonly lastError: string | null;
  readonly created: string;
}

export const webhookInfoSchema: z.ZodType<WebhookInfo> = z.object({
  id: z.string(),
  url: z.string(),
  cursor: z.int(),
  attempts: z.int(),
  lastError: z.string().nullable(),
  created: time,
});

/** A decision as it is chained: `hash` is the SHA-256 of `body`, which names the hash before. */
export interface DecisionAnswer {
  readonly seq: number;
  readonly hash: string;
  /** Canonical JSON. */
  readonly body: string;
}

export const decisionAnswerSchema: z.ZodType<DecisionAnswer> = z.object({
  seq: z.int(),
  hash: sha256Hex,
  body: z.string(),
});

export interface DecisionsAnswer {
  readonly decisions: readonly DecisionAnswer[];
  /** The end of the chain when this was answered. */
  readonly head: { readonly seq: number; readonly hash: string };
}

export const decisionsAnswerSchema: z.ZodType<DecisionsAnswer> = z.object({
  decisions: z.array(decisionAnswerSchema),
  head: z.object({ seq: z.int(), hash: sha256Hex }),
});

export const nodeDoneSchema: z.ZodType<{ readonly node: string }> = z.object({ node: nodeId });

export const releasesAnswerSchema: z.ZodType<{ readonly releases: readonly ReleaseAnswer[] }> = z.object({
  releases: z.array(releaseAnswerSchema),
});

export const secretsAnswerSchema: z.ZodType<{ readonly secrets: readonly SecretInfo[] }> = z.object({
  secrets: z.array(secretInfoSchema),
});

export interface SecretSetAnswer {
  readonly name: string;
  readonly size: number;
  readonly scope: SecretScopeAnswer;
}

export const secretSetSchema: z.ZodType<SecretSetAnswer> = z.object({ name: word, size: z.int(), scope });

export const secretRemovedSchema: z.ZodType<{ readonly name: string }> = z.object({ name: word });

export const tokensAnswerSchema: z.ZodType<{ readonly tokens: readonly TokenInfo[] }> = z.object({
  tokens: z.array(tokenInfoSchema),
});

export const tokenMadeSchema: z.ZodType<{ readonly token: string; readonly info: TokenInfo }> = z.object({
  token: z.string(),
  info: tokenInfoSchema,
});

export const removedSchema: z.ZodType<{ readonly id: string }> = z.object({ id: z.string().max(64) });
