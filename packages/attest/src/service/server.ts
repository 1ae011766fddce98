/**
 * The HTTP server: every route from its data, and around each the same order: limits, who it is, what it says, the answer.
 * What goes wrong becomes a reason code; nothing of an error, a path or a version reaches a stranger.
 */

import { constants } from 'node:crypto';
import fastify from 'fastify';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { limits as wire } from '../protocol/index.ts';
import type { TokenSummary } from '../store/index.ts';
import type { VerifierContext } from './context.ts';
import { parseBoundedJson } from './json.ts';
import { assertRole, findOperator } from './operators.ts';
import { peerKeyOf } from './peer.ts';
import { addressKey } from './rate-limit.ts';
import { asRefused, Refused } from './refusal.ts';
import type { Answer, Call, Route } from './routes/route.ts';
import type { ServerIdentity } from './tls.ts';

/** Milliseconds. */
export interface ServerTimes {
  /** From the first byte of a request to its last. */
  readonly request: number;
  /** To the end of the headers, and for the TLS handshake. */
  readonly headers: number;
  /** A connection without a request. */
  readonly idle: number;
}

export const defaultTimes: ServerTimes = { request: 15_000, headers: 10_000, idle: 75_000 };

export interface ServerOptions {
  readonly identity: ServerIdentity;
  readonly routes: readonly Route[];
  readonly context: VerifierContext;
  readonly times?: ServerTimes;
}

/** `Call.operator` of routes that have none. */
const nobody: TokenSummary = { id: '', name: '', role: 'viewer', created: 0, expires: null };
/** JSON bodies that are not evidence have a few members. */
const brackets = 64;

export function createServer(options: ServerOptions): FastifyInstance {
  const { identity, routes, context, times = defaultTimes } = options;
  const app = fastify({
    logger: false,
    bodyLimit: wire.body,
    routerOptions: { maxParamLength: 256 },
    requestTimeout: times.request,
    keepAliveTimeout: times.idle,
    forceCloseConnections: 'idle',
    return503OnClosing: true,
    frameworkErrors: (error, request, reply) =>
      void sendRefused(asWireRefusal(error), { request, reply, context }),
    https: {
      ...identity,
      minVersion: 'TLSv1.3',
      // A client certificate is asked for but trusted for nothing: only its key counts, and only once a quote names it.
      requestCert: true,
      rejectUnauthorized: false,
      // A resumed session would speak for a key without proving it again.
      secureOptions: constants.SSL_OP_NO_TICKET,
      handshakeTimeout: times.headers,
      headersTimeout: times.headers,
      // How often it is looked for requests that take too long; Node's own 30 s would be the limit instead.
      connectionsCheckingInterval: 1000,
      maxHeaderSize: 16 * 1024,
    },
  });
  app.server.maxConnections = context.limits.connections;
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  app.setErrorHandler(
    (error, request, reply) => void sendRefused(asWireRefusal(error), { request, reply, context }),
  );
  app.setNotFoundHandler(
    (request, reply) => void sendRefused(new Refused('not-found'), { request, reply, context }),
  );
  app.addHook('onResponse', async (request, reply) => {
    const name = request.routeOptions.url ?? 'none';
    context.metrics.requests.inc({ route: name, status: String(reply.statusCode) });
    context.metrics.seconds.observe({ route: name }, reply.elapsedTime / 1000);
  });
  for (const route of routes) {
    app.route({
      method: route.method,
      url: route.path,
      exposeHeadRoute: false,
      ...(route.bodyLimit !== undefined && { bodyLimit: route.bodyLimit }),
      // Before the body is read: who may not is not listened to for long.
      onRequest: async (request) => {
        if (route.unlimited === true) return;
        const retryAfter = context.limiters.address.take(addressKey(request.ip));
        if (retryAfter > 0) throw new Refused('rate-limited', { retryAfter });
        if (route.access === 'public' || route.access === 'node') return;
        const { authorization } = request.headers;
        const operator = await findOperator(context.store, authorization, { now: context.now() });
        operators.set(request, operator);
        assertRole(operator, route.access);
      },
      handler: async (request, reply) => {
        const answer = await route.handle(callOf(request, route), context);
        send(answer, { route, reply });
        return reply;
      },
    });
  }
  return app;
}

const operators = new WeakMap<FastifyRequest, TokenSummary>();

function callOf(request: FastifyRequest, route: Route): Call {
  const bytes = request.body instanceof Uint8Array ? request.body : new Uint8Array();
  const readBody = route.body !== undefined && route.rawBody !== true;
  return {
    bytes,
    body: readBody ? parseWith(route.body, parseBoundedJson(bytes, { brackets })) : undefined,
    query: parseWith(route.query, request.query),
    parameters: parseWith(route.parameters, request.params),
    address: request.ip,
    peer: peerKeyOf(request.raw.socket),
    operator: operators.get(request) ?? nobody,
    headers: request.headers,
  };
}

function parseWith(schema: Route['body'], value: unknown): unknown {
  if (schema === undefined) return undefined;
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new Refused('malformed', {
    message: `${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`.trim(),
  });
}

function send(
  answer: Answer,
  { route, reply }: { readonly route: Route; readonly reply: FastifyReply },
): void {
  void reply.header('cache-control', 'no-store');
  if ('stream' in answer) {
    reply.hijack();
    answer.stream(reply.raw);
    return;
  }
  void reply.status(answer.status ?? route.status ?? 200);
  if ('bytes' in answer) void reply.type(answer.type).send(Buffer.from(answer.bytes));
  else
    void reply
      .type('application/json')
      .send('json' in answer ? JSON.stringify(answer.json) : answer.jsonText);
}

/** Errors of the HTTP layer itself. */
function asWireRefusal(error: unknown): Refused {
  if (error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number') {
    if (error.statusCode === 413) return new Refused('too-large');
    if (error.statusCode >= 400 && error.statusCode < 500) {
      return new Refused('malformed', { message: error.message });
    }
  }
  return asRefused(error);
}

interface Sending {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly context: VerifierContext;
}

async function sendRefused(refused: Refused, { request, reply, context }: Sending): Promise<void> {
  const { reason, status, message, retryAfter, cause } = refused;
  context.metrics.refusals.inc({ reason });
  if (reason === 'internal' || reason === 'unavailable') {
    const error =
      cause instanceof Error ? (reason === 'internal' ? cause.stack : cause.message) : String(cause);
    context.log('error', 'request failed', { reason, route: request.routeOptions.url, error });
  }
  if (retryAfter !== undefined) void reply.header('retry-after', String(retryAfter));
  if (reason === 'unauthorised') void reply.header('www-authenticate', 'Bearer');
  // An operator showed a token: he may read why. Internal errors are for the log only.
  const tell = operators.has(request) && reason !== 'internal' && message !== reason;
  await reply
    .status(status)
    .header('cache-control', 'no-store')
    .type('application/json')
    .send(JSON.stringify({ reason, ...(tell && { message }) }));
}
