/** One HTTP exchange over node:http and node:https: these also work where nothing may be compiled (`--jitless`). */

import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { AgentOptions } from 'node:https';
import { LayerError } from '../error.ts';

export interface HttpBody {
  /** Bytes. */
  readonly length: number;
  open(): AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: HttpBody | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface HttpResponse {
  readonly status: number;
  readonly url: URL;
  /** Every value of the field, joined as RFC 9110 section 5.3 says. */
  header(name: string): string | undefined;
  readonly body: IncomingMessage;
}

export interface HttpOptions {
  readonly tls?: Pick<AgentOptions, 'ca' | 'cert' | 'key'>;
  /** Milliseconds without a byte after which an exchange is given up; 60 000 unless given. */
  readonly idleTimeout?: number;
  /** HTTP_PROXY, HTTPS_PROXY and NO_PROXY are taken from here; no proxy unless given. Never used for loopback. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** A pool of connections with one set of certificates. */
export class HttpClient {
  readonly #agents: Agents;
  /** For this machine itself. */
  readonly #direct: Agents;
  readonly #idle: number;

  constructor({ tls = {}, idleTimeout = 60_000, env }: HttpOptions = {}) {
    this.#direct = makeAgents(tls);
    this.#agents = env === undefined ? this.#direct : makeAgents({ ...tls, proxyEnv: proxiesOf(env) });
    this.#idle = idleTimeout;
  }

  /** Resolves with the head of the response, whatever its status; redirects are not followed. */
  async exchange({ method, url, headers, body, signal }: HttpRequest): Promise<HttpResponse> {
    signal?.throwIfAborted();
    const secure = url.protocol === 'https:';
    const agents = isLoopback(url.host) ? this.#direct : this.#agents;
    const request = (secure ? httpsRequest : httpRequest)(url, {
      method,
      agent: secure ? agents.https : agents.http,
      headers: {
        'user-agent': 'osguard',
        'accept-encoding': 'identity',
        ...headers,
        ...((body !== undefined || method === 'POST' || method === 'PUT' || method === 'PATCH') && {
          'content-length': String(body?.length ?? 0),
        }),
      },
      ...(signal !== undefined && { signal }),
    });
    // A registry that puts a large upload together is silent for a long time.
    const idle = method === 'PUT' ? 10 * this.#idle : this.#idle;
    request.setTimeout(idle, () => request.destroy(timeout(url)));
    const sending = body === undefined ? undefined : send(request, body);
    if (body === undefined) request.end();
    const message = await headOf(request, sending);
    // A server may answer before it has read everything, for example to ask for credentials.
    sending?.stop();
    message.setTimeout(this.#idle, () => message.destroy(timeout(url)));
    const encoding = message.headers['content-encoding'];
    if (encoding !== undefined && encoding !== 'identity' && message.statusCode === 200) {
      message.destroy();
      throw new LayerError('registry', `${place(url)}: sent content encoded as ${encoding}, unasked`);
    }
    return {
      status: message.statusCode ?? 0,
      url,
      header: (name) => {
        const value = message.headersDistinct[name];
        return value === undefined ? undefined : value.join(', ');
      },
      body: message,
    };
  }

  close(): void {
    for (const { http, https } of [this.#agents, this.#direct]) {
      http.destroy();
      https.destroy();
    }
  }
}

interface Agents {
  readonly http: HttpAgent;
  readonly https: HttpsAgent;
}

function makeAgents(options: AgentOptions): Agents {
  const common = { keepAlive: true, maxSockets: 16 };
  const { proxyEnv } = options;
  return {
    http: new HttpAgent({ ...common, ...(proxyEnv !== undefined && { proxyEnv }) }),
    https: new HttpsAgent({ ...common, minVersion: 'TLSv1.2', ...options }),
  };
}

type Proxies = NonNullable<AgentOptions['proxyEnv']>;

/** Both spellings, as every other tool takes them. */
function proxiesOf(env: Readonly<Record<string, string | undefined>>): Proxies {
  const names = ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY', 'http_proxy', 'https_proxy', 'no_proxy'] as const;
  const found: Proxies = {};
  for (const name of names) if (env[name] !== undefined && env[name] !== '') found[name] = env[name];
  return found;
}

/** 127.0.0.0/8, ::1 and the name localhost (RFC 6761 section 6.3). */
export function isLoopback(host: string): boolean {
  const name = host.replace(/:\d+$/, '').toLowerCase();
  return /^(?:(?:.+\.)?localhost|127(?:\.\d{1,3}){3}|\[::1\])$/.test(name);
}

async function headOf(request: ClientRequest, sending: Sending | undefined): Promise<IncomingMessage> {
  const arrived = new Promise<IncomingMessage>((resolve, reject) => {
    request.once('response', resolve);
    request.on('error', reject);
  });
  if (sending === undefined) return arrived;
  return Promise.race([arrived, sending.failed]);
}

interface Sending {
  stop(): void;
  /** Never resolves; rejects when the content itself cannot be read. */
  readonly failed: Promise<never>;
}

function send(request: ClientRequest, body: HttpBody): Sending {
  let stopped = false;
  const run = async (): Promise<void> => {
    for await (const chunk of body.open()) {
      if (stopped || request.destroyed) return;
      if (!request.write(chunk)) await drained(request);
    }
    if (!stopped) request.end();
  };
  const failed = new Promise<never>((_, reject) => {
    run().catch((error: unknown) => {
      if (stopped || request.destroyed) return;
      request.destroy();
      reject(error instanceof Error ? error : new Error(String(error)));
    });
  });
  // The race above may be over when this one is lost.
  failed.catch(() => undefined);
  return {
    failed,
    stop: () => {
      stopped = true;
    },
  };
}

/** Until more can be written, or nothing ever again. */
function drained(request: ClientRequest): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      request.off('drain', done).off('close', done);
      resolve();
    };
    request.on('drain', done).on('close', done);
  });
}

function timeout(url: URL): Error {
  return Object.assign(new Error(`${place(url)}: nothing came for too long`), { code: 'ETIMEDOUT' });
}

/** For messages: without the query, which may hold a signature that gives access. */
export function place(url: URL): string {
  return `${url.origin}${url.pathname}`;
}

/** @throws LayerError (`registry`) when there are more than `most` bytes. */
export async function readAll(response: HttpResponse, most: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response.body as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > most) {
      response.body.destroy();
      throw new LayerError('registry', `${place(response.url)}: more than ${most} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Lets the connection be used again when little is left to read, else ends it. */
export function discard(response: HttpResponse): void {
  response.body.on('error', () => undefined);
  if (Number(response.header('content-length') ?? 0) > 64 * 1024) response.body.destroy();
  else response.body.resume();
}
