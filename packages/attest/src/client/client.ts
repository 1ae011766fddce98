/** The verifier as operators' commands see it: HTTPS with a bearer token, answers read by the protocol's schemas. */

import { Agent, request } from 'node:https';
import type { IncomingMessage } from 'node:http';
import type { z } from 'zod';
import { refusalSchema } from '../protocol/index.ts';
import type { ReasonCode } from '../protocol/index.ts';
import { ClientError } from './error.ts';

export interface Endpoint {
  /** https address. */
  readonly url: string;
  /** PEM; the machine's own authorities when undefined. */
  readonly ca: string | undefined;
  readonly token: string;
}

export interface Asking<T> {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly path: string;
  /** A list is a parameter that is there several times. */
  readonly query?: Readonly<Record<string, string | number | readonly string[] | undefined>>;
  /** Bytes as they are, anything else as JSON. */
  readonly body?: unknown;
  readonly answer: z.ZodType<T>;
}

export interface OperatorClient extends Disposable {
  readonly url: string;
  /** @throws ClientError */
  ask<T>(asking: Asking<T>): Promise<T>;
  /** Lines of an endless answer. @throws ClientError */
  lines(path: string, query?: Asking<unknown>['query']): AsyncGenerator<string>;
}

export interface ClientOptions {
  readonly signal?: AbortSignal;
  /** Milliseconds for one answer. */
  readonly timeout?: number;
}

/** Bytes of an answer. */
const largest = 64 * 1024 * 1024;

export function openOperatorClient(endpoint: Endpoint, options: ClientOptions = {}): OperatorClient {
  const { url, ca, token } = endpoint;
  const { signal, timeout = 60_000 } = options;
  const agent = new Agent({ keepAlive: true, minVersion: 'TLSv1.3', ...(ca !== undefined && { ca }) });

  const open = async ({
    method = 'GET',
    path,
    query = {},
    body,
  }: Omit<Asking<unknown>, 'answer'>): Promise<IncomingMessage> => {
    const target = new URL(path, url);
    for (const [name, value] of Object.entries(query)) {
      const values = typeof value === 'object' ? value : value === undefined ? [] : [String(value)];
      for (const each of values) target.searchParams.append(name, each);
    }
    const content =
      body === undefined || body instanceof Uint8Array ? body : Buffer.from(JSON.stringify(body));
    return new Promise((resolve, reject) => {
      const outgoing = request(target, {
        method,
        agent,
        timeout,
        headers: {
          authorization: `Bearer ${token}`,
          ...(content !== undefined && { 'content-length': content.length }),
        },
        ...(signal !== undefined && { signal }),
      });
      outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer within ${timeout / 1000} s`)));
      outgoing.on('response', resolve);
      outgoing.on('error', (cause) => reject(signal?.aborted === true ? cause : unreachable(url, cause)));
      outgoing.end(content);
    });
  };

  return {
    url,
    async ask(asking) {
      const incoming = await open(asking);
      const bytes = await collect(incoming, url);
      const status = incoming.statusCode ?? 0;
      if (status < 200 || status > 299) throw refusalOf(bytes, { status, path: asking.path });
      const parsed = asking.answer.safeParse(jsonOf(bytes));
      if (parsed.success) return parsed.data;
      throw new ClientError('protocol', `${url}: the answer to ${asking.path} is not one of a verifier`, {
        cause: parsed.error,
      });
    },
    async *lines(path, query = {}) {
      const incoming = await open({ path, query });
      if (incoming.statusCode !== 200) {
        throw refusalOf(await collect(incoming, url), { status: incoming.statusCode ?? 0, path });
      }
      let rest = '';
      incoming.setEncoding('utf8');
      for await (const part of incoming) {
        const lines = (rest + String(part)).split('\n');
        rest = lines.pop() ?? '';
        yield* lines;
      }
    },
    [Symbol.dispose]: () => agent.destroy(),
  };
}

async function collect(incoming: IncomingMessage, url: string): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of incoming) {
    if (!(part instanceof Uint8Array)) continue;
    const bytes = Buffer.from(part);
    size += bytes.length;
    if (size > largest) throw new ClientError('protocol', `${url}: an answer of more than ${largest} bytes`);
    parts.push(bytes);
  }
  return Buffer.concat(parts);
}

function jsonOf(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
}

const codes: Readonly<Partial<Record<ReasonCode, ClientError['code']>>> = {
  unauthorised: 'not-allowed',
  forbidden: 'not-allowed',
  'not-found': 'not-found',
};

const hints: Readonly<Partial<Record<ReasonCode, string>>> = {
  unauthorised:
    'give a token with --token-file; `osguard attest token create --local` makes one on the verifier',
  unavailable: 'its database does not answer: see its log',
};

function refusalOf(
  bytes: Buffer,
  { status, path }: { readonly status: number; readonly path: string },
): ClientError {
  const parsed = refusalSchema.safeParse(jsonOf(bytes));
  if (!parsed.success) return new ClientError('protocol', `${path}: status ${status}, and no reason`);
  const { reason, message } = parsed.data;
  const hint = hints[reason];
  return new ClientError(codes[reason] ?? 'refused', `the verifier refuses: ${message ?? reason}`, {
    data: { reason, status },
    exitCode: reason === 'unavailable' || reason === 'busy' ? 3 : 2,
    ...(hint !== undefined && { hint }),
  });
}

function unreachable(url: string, cause: unknown): ClientError {
  const message =
    cause instanceof Error ? cause.message || String('code' in cause && cause.code) : String(cause);
  const foreign = /certificate|CERT|altname/i.test(message);
  return new ClientError('unreachable', `${url}: ${message}`, {
    exitCode: 3,
    cause,
    hint: foreign
      ? 'give the certificate of the role verifier with --ca'
      : 'start it with `osguard attest serve`, or give its address with --url',
  });
}
