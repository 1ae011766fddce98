/** Requests to one registry: authorization, redirects, and trying again, so that callers see answers only. */

import { FormatError } from '@osguard/formats/bytes';
import { Fields, parseDocument } from '@osguard/formats/oci';
import { LayerError } from '../error.ts';
import { Authorizer } from './auth.ts';
import type { Credentials } from './credentials.ts';
import { connectionError, findOrigin } from './endpoint.ts';
import type { HttpBody, HttpClient, HttpRequest, HttpResponse } from './http.ts';
import { discard, place, readAll } from './http.ts';
import type { Retry, RetryOptions } from './retry.ts';
import { isRetryError, isRetryStatus, startRetry } from './retry.ts';

export interface SessionOptions {
  /** As in references, for messages and credentials. */
  readonly registry: string;
  /** Host with port of the API. */
  readonly host: string;
  readonly http: HttpClient;
  readonly insecure: readonly string[];
  readonly credentials: () => Promise<Credentials | undefined>;
  readonly retry?: RetryOptions;
}

export interface SessionRequest {
  readonly method: HttpRequest['method'];
  /** Below the origin (`/v2/…`), or a URL the registry gave. */
  readonly target: string | URL;
  readonly scope: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: HttpBody;
  /** Other statuses become errors. */
  readonly accept: readonly number[];
  /** False for a request that must not be made twice without a look at what the first one did. */
  readonly again?: boolean;
  readonly signal?: AbortSignal | undefined;
}

const mostRedirects = 5;
const redirects: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

export class Session {
  readonly registry: string;
  readonly #options: SessionOptions;
  readonly #authorizer: Authorizer;
  #origin: Promise<string> | undefined;

  constructor(options: SessionOptions) {
    this.registry = options.registry;
    this.#options = options;
    const { http, registry, credentials } = options;
    this.#authorizer = new Authorizer({ http, registry, credentials });
  }

  /** Counts failures of what takes several requests. */
  startRetry(): Retry {
    return startRetry(this.#options.retry);
  }

  /** `https://host` or, where allowed, `http://host`. */
  async origin(signal?: AbortSignal): Promise<string> {
    const { host, http, insecure } = this.#options;
    this.#origin ??= findOrigin(host, { http, insecure, signal });
    try {
      return await this.#origin;
    } catch (error) {
      this.#origin = undefined;
      throw error;
    }
  }

  /** @throws LayerError; AbortError passes through. */
  async request(request: SessionRequest): Promise<HttpResponse> {
    const { signal, again = true } = request;
    const retry = startRetry(this.#options.retry);
    for (;;) {
      let response: HttpResponse;
      try {
        response = await this.#authorized(request);
      } catch (error) {
        signal?.throwIfAborted();
        if (again && isRetryError(error) && (await retry.next(undefined, signal))) continue;
        throw connectionError(this.registry, error);
      }
      if (request.accept.includes(response.status)) return response;
      // 429 says that nothing was done.
      if ((again || response.status === 429) && isRetryStatus(response.status)) {
        if (await retry.next(response, signal)) {
          discard(response);
          continue;
        }
      }
      throw await this.#refusal(response, request);
    }
  }

  async #authorized(request: SessionRequest): Promise<HttpResponse> {
    const { scope, signal } = request;
    let response = await this.#follow(request);
    // The second answer is for a token that was good once and has expired.
    for (let tries = 0; response.status === 401 && tries < 2; tries += 1) {
      if (!(await this.#isOwn(response.url, signal))) break;
      const had = this.#authorizer.header(scope);
      this.#authorizer.forget(scope);
      await this.#authorizer.answer(response, scope, signal);
      if (had === this.#authorizer.header(scope)) break;
      response = await this.#follow(request);
    }
    return response;
  }

  /** Authorization goes to the registry's own origin only, whatever a redirect says. */
  async #follow(request: SessionRequest): Promise<HttpResponse> {
    const { signal, scope, body, headers = {} } = request;
    const origin = await this.origin(signal);
    let url = new URL(request.target, origin);
    // Where an upload goes on is the registry's word, too.
    if (origin.startsWith('https:') && url.protocol !== 'https:') {
      throw new LayerError('insecure', `${this.registry}: sends from HTTPS to ${place(url)}`);
    }
    let { method } = request;
    for (let hop = 0; hop <= mostRedirects; hop += 1) {
      const authorization = url.origin === origin ? this.#authorizer.header(scope) : undefined;
      const response = await this.#options.http.exchange({
        method,
        url,
        headers: { ...headers, ...(authorization !== undefined && { authorization }) },
        ...(body !== undefined && { body }),
        signal,
      });
      const location = response.header('location');
      if (!redirects.has(response.status) || location === undefined) return response;
      discard(response);
      const next = resolveLocation(location, url, this.registry);
      // A signed URL in plain text, or a body for a place nobody chose.
      if (url.protocol === 'https:' && next.protocol !== 'https:') {
        throw new LayerError('insecure', `${place(url)}: redirects from HTTPS to ${next.origin}`);
      }
      if (method !== 'GET' && method !== 'HEAD' && response.status < 307) method = 'GET';
      url = next;
    }
    throw new LayerError('registry', `${this.registry}: more than ${mostRedirects} redirects`);
  }

  async #isOwn(url: URL, signal: AbortSignal | undefined): Promise<boolean> {
    return url.origin === (await this.origin(signal));
  }

  async #refusal(response: HttpResponse, request: SessionRequest): Promise<LayerError> {
    const { status, url } = response;
    const said = request.method === 'HEAD' ? '' : await reason(response);
    if (request.method === 'HEAD') discard(response);
    const what = `${request.method} ${place(url)}: ${status}${said}`;
    if (status === 401) {
      return new LayerError('unauthorized', `${what}; the credentials for ${this.registry} are refused`, {
        hint: `docker login ${this.registry}`,
      });
    }
    if (status === 403) return new LayerError('denied', what);
    if (status === 404) return new LayerError('not-found', what);
    if (isRetryStatus(status)) {
      const after = response.header('retry-after');
      const hint = after === undefined ? 'try again later' : `it wants to be asked again after ${after}`;
      return new LayerError('unreachable', what, { exitCode: 3, hint });
    }
    return new LayerError('registry', what, { data: { status } });
  }
}

export function resolveLocation(location: string, base: URL, registry: string): URL {
  const url = URL.canParse(location, base.href) ? new URL(location, base) : undefined;
  if (url === undefined || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    throw new LayerError('registry', `${registry}: sends to a place that is no URL`);
  }
  url.username = '';
  url.password = '';
  return url;
}

/** The registry's own words (distribution-spec 1.1, "Error Codes"), cut to a line. */
async function reason(response: HttpResponse): Promise<string> {
  try {
    const fields = new Fields(parseDocument(await readAll(response, 64 * 1024), 'error'), 'error');
    const said = fields.list('errors', 100).map((each) => {
      const one = new Fields(each, 'error');
      return [one.optionalText('code'), one.optionalText('message')]
        .filter((text) => text !== undefined)
        .join(': ');
    });
    const line = said
      .join('; ')
      .replaceAll(/\p{Cc}+/gu, ' ')
      .slice(0, 300);
    return line === '' ? '' : ` (${line})`;
  } catch (error) {
    if (error instanceof FormatError || error instanceof LayerError || isRetryError(error)) return '';
    throw error;
  }
}
