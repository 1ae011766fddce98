/** A route as data: the server serves it, the OpenAPI document describes it, both from the same lines. */

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { z } from 'zod';
import type { ReasonCode } from '../../protocol/index.ts';
import type { Act, TokenRole, TokenSummary } from '../../store/index.ts';
import type { VerifierContext } from '../context.ts';
import type { PeerKey } from '../peer.ts';
import { Refused } from '../refusal.ts';
import { actOf } from './act.ts';

export interface Call<Body = unknown, Query = unknown, Parameters = unknown> {
  readonly body: Body;
  /** As it came; empty when there is none. */
  readonly bytes: Uint8Array;
  readonly query: Query;
  readonly parameters: Parameters;
  readonly address: string;
  readonly peer: PeerKey | undefined;
  /** Present on operators' routes. */
  readonly operator: TokenSummary;
  readonly headers: IncomingMessage['headers'];
}

/** JSON unless it says otherwise. */
export type Answer =
  | { readonly json: unknown; readonly status?: number }
  /** JSON that is written already. */
  | { readonly jsonText: string; readonly status?: number }
  | { readonly bytes: Uint8Array; readonly type: string; readonly status?: number }
  /** Takes the connection over. */
  | { readonly stream: (response: ServerResponse) => void };

export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Parameters as `:name`. */
  readonly path: string;
  readonly summary: string;
  /** Who may: anybody, a node by its TLS client key, or an operator whose role is at least this. */
  readonly access: 'public' | 'node' | TokenRole;
  readonly body?: z.ZodType;
  /** Bytes; 64 KiB unless told otherwise. */
  readonly bodyLimit?: number;
  /** The body is bytes, not JSON. */
  readonly rawBody?: boolean;
  readonly query?: z.ZodType;
  readonly parameters?: z.ZodType;
  readonly answer?: z.ZodType;
  /** Media type of an answer that is not JSON. */
  readonly answerType?: string;
  readonly status?: number;
  readonly reasons: readonly ReasonCode[];
  /** Not counted against the limit of the address: probes. */
  readonly unlimited?: boolean;
  handle(call: Call, context: VerifierContext): Promise<Answer>;
}

interface RouteSpec<Body, Query, Parameters> extends Omit<
  Route,
  'body' | 'query' | 'parameters' | 'handle' | 'reasons'
> {
  readonly body?: z.ZodType<Body>;
  readonly query?: z.ZodType<Query>;
  readonly parameters?: z.ZodType<Parameters>;
  readonly reasons?: readonly ReasonCode[];
  handle(call: Call<Body, Query, Parameters>, context: VerifierContext): Promise<Answer>;
}

export function route<Body = undefined, Query = undefined, Parameters = undefined>(
  spec: RouteSpec<Body, Query, Parameters>,
): Route {
  return {
    ...spec,
    reasons: spec.reasons ?? [],
    // The server gives exactly what the schemas of the same route let through.
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion
    handle: async (call, context) => spec.handle(call as Call<Body, Query, Parameters>, context),
  };
}

interface RemovalSpec<Parameters> extends Pick<Route, 'path' | 'summary'> {
  readonly parameters: z.ZodType<Parameters>;
  readonly answer: z.ZodType<Parameters>;
  /** False when it is not there. */
  readonly remove: (parameters: Parameters, act: Act, context: VerifierContext) => Promise<boolean>;
}

/** What an administrator takes away; the answer names it again. */
export function removal<Parameters>({ remove, ...spec }: RemovalSpec<Parameters>): Route {
  return route({
    ...spec,
    method: 'DELETE',
    access: 'admin',
    reasons: ['not-found'],
    async handle(call, context) {
      const removed = await remove(call.parameters, actOf(call, context), context);
      if (!removed) throw new Refused('not-found', { message: 'not there' });
      context.changes.poke();
      return { json: call.parameters };
    },
  });
}
