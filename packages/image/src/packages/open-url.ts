/** GET of http, https and file URLs with redirects, the environment's proxies and a limit on silence. */

import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import * as http from 'node:http';
import * as https from 'node:https';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';

export interface OpenedUrl {
  /** As HTTP has it, also for files. */
  readonly status: number;
  readonly body: Readable & AsyncIterable<Buffer>;
}

export interface OpenUrlOptions {
  readonly signal?: AbortSignal | undefined;
}

export type OpenUrl = (url: string, options: OpenUrlOptions) => Promise<OpenedUrl>;

/** The place has answered, and asking it again would not change the answer. */
export class FinalAnswer extends Error {
  override readonly name = 'FinalAnswer';
}

const mostRedirects = 5;
/** A server silent for this long is given up. Milliseconds. */
const silence = 30_000;

/** Proxies by scheme, as apt or the environment names them. */
export interface Proxies {
  readonly http?: string | undefined;
  readonly https?: string | undefined;
}

/** Connections are kept and shared by all downloads of one opener. The environment's proxies win over `proxies`. */
export function createOpenUrl(proxies: Proxies = {}): OpenUrl {
  const env = {
    ...(proxies.http !== undefined && { http_proxy: proxies.http }),
    ...(proxies.https !== undefined && { https_proxy: proxies.https }),
    ...process.env,
  };
  const options = { keepAlive: true, maxSockets: 16, proxyEnv: env };
  const agents: Agents = { 'http:': new http.Agent(options), 'https:': new https.Agent(options) };
  return async (url, { signal }) => {
    let at = new URL(url);
    for (let redirects = 0; redirects <= mostRedirects; redirects += 1) {
      if (at.protocol === 'file:') return await openFile(at);
      if (at.protocol !== 'http:' && at.protocol !== 'https:') {
        throw new FinalAnswer(`${at.protocol} URLs are not fetched`);
      }
      const response = await get(at, agents, signal);
      const { statusCode = 0, headers } = response;
      if (statusCode < 300 || statusCode >= 400 || headers.location === undefined) {
        return { status: statusCode, body: response };
      }
      response.resume();
      const next = new URL(headers.location, at);
      if (next.protocol === 'file:') throw new FinalAnswer('redirected to a file');
      at = next;
    }
    throw new FinalAnswer(`more than ${mostRedirects} redirects`);
  };
}

interface Agents {
  readonly 'http:': http.Agent;
  readonly 'https:': https.Agent;
}

async function openFile(url: URL): Promise<OpenedUrl> {
  const path = fileURLToPath(url);
  const status = await stat(path).then(
    (found) => (found.isFile() ? 200 : 404),
    () => 404,
  );
  return { status, body: createReadStream(status === 200 ? path : '/dev/null') };
}

async function get(url: URL, agents: Agents, signal: AbortSignal | undefined): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const secure = url.protocol === 'https:';
  const request = (secure ? https : http).request(
    url,
    {
      agent: agents[secure ? 'https:' : 'http:'],
      headers: { 'user-agent': 'osguard', accept: '*/*' },
      timeout: silence,
      ...(signal !== undefined && { signal }),
    },
    resolve,
  );
  request.on('timeout', () => request.destroy(new Error(`no answer within ${silence / 1000} seconds`)));
  request.on('error', reject);
  request.end();
  return await promise;
}
