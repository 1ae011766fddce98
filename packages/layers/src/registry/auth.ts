/**
 * Answers to a registry's 401: basic (RFC 7617) and bearer tokens from its token server (distribution project,
 * "Token authentication" and "OAuth2 token authentication"). Credentials go to the registry's own origin and to the
 * token server it names, nowhere else.
 */

import { FormatError } from '@osguard/formats/bytes';
import { Fields, parseChallenges, parseDocument } from '@osguard/formats/oci';
import type { Challenge } from '@osguard/formats/oci';
import { LayerError } from '../error.ts';
import type { Credentials } from './credentials.ts';
import type { HttpClient, HttpResponse } from './http.ts';
import { discard, isLoopback, place, readAll } from './http.ts';
import { Secret } from './secret.ts';

export interface AuthorizerOptions {
  readonly http: HttpClient;
  /** For people. */
  readonly registry: string;
  /** Asked once, when the registry first wants to know. */
  readonly credentials: () => Promise<Credentials | undefined>;
}

export class Authorizer {
  readonly #options: AuthorizerOptions;
  /** Header values by scope. */
  readonly #headers = new Map<string, Secret>();
  #credentials: Promise<Credentials | undefined> | undefined;

  constructor(options: AuthorizerOptions) {
    this.#options = options;
  }

  /** The Authorization header to try first; undefined before the registry asked. */
  header(scope: string): string | undefined {
    return this.#headers.get(scope)?.reveal();
  }

  /** Answers a 401 so that {@link header} is right for the next try. @throws LayerError `unauthorized` */
  async answer(response: HttpResponse, scope: string, signal?: AbortSignal): Promise<void> {
    const { registry } = this.#options;
    const value = response.header('www-authenticate');
    discard(response);
    const challenges = readChallenges(value, registry);
    const credentials = await this.#find();
    if (credentials?.kind === 'registry-token') {
      this.#headers.set(scope, new Secret(`Bearer ${credentials.token.reveal()}`));
      return;
    }
    const bearer = challenges.find(({ scheme }) => scheme === 'bearer');
    if (bearer !== undefined) {
      const token = await this.#fetchToken(bearer, { origin: response.url, scope, credentials, signal });
      this.#headers.set(scope, new Secret(`Bearer ${token}`));
      return;
    }
    if (!challenges.some(({ scheme }) => scheme === 'basic')) {
      const schemes = challenges.map(({ scheme }) => scheme).join(', ') || 'nothing';
      throw new LayerError(
        'unauthorized',
        `${registry}: wants ${schemes}; basic and bearer are what is known here`,
      );
    }
    if (credentials?.kind !== 'password') throw noCredentials(registry);
    this.#headers.set(scope, new Secret(basic(credentials)));
  }

  /** A token was refused: the next answer must not come from the cache. */
  forget(scope: string): void {
    this.#headers.delete(scope);
  }

  async #find(): Promise<Credentials | undefined> {
    this.#credentials ??= this.#options.credentials();
    return this.#credentials;
  }

  async #fetchToken(
    challenge: Challenge,
    {
      origin,
      scope,
      credentials,
      signal,
    }: {
      readonly origin: URL;
      readonly scope: string;
      readonly credentials: Credentials | undefined;
      readonly signal: AbortSignal | undefined;
    },
  ): Promise<string> {
    const { http, registry } = this.#options;
    const realm = tokenServer(challenge.parameters.get('realm'), origin, registry);
    const service = challenge.parameters.get('service');
    // The registry names what this request needs, or nothing; ours also covers the repository a blob is mounted from.
    const scopes = new Set(
      `${challenge.parameters.get('scope') ?? ''} ${scope}`.split(' ').filter((each) => each !== ''),
    );
    let response: HttpResponse;
    if (credentials?.kind === 'identity-token') {
      const form = new URLSearchParams({
        grant_type: 'refresh_token',
        client_id: 'osguard',
        refresh_token: credentials.token.reveal(),
        scope: [...scopes].join(' '),
        ...(service !== undefined && { service }),
      });
      const bytes = Buffer.from(form.toString());
      response = await http.exchange({
        method: 'POST',
        url: realm,
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: { length: bytes.length, open: () => [bytes] },
        signal,
      });
    } else {
      if (service !== undefined) realm.searchParams.set('service', service);
      for (const each of scopes) realm.searchParams.append('scope', each);
      const headers: Record<string, string> =
        credentials?.kind === 'password' ? { authorization: basic(credentials) } : {};
      response = await http.exchange({ method: 'GET', url: realm, headers, signal });
    }
    if (response.status !== 200) {
      discard(response);
      if (response.status === 401 || response.status === 403 || response.status === 400) {
        if (credentials === undefined) throw noCredentials(registry);
        throw new LayerError(
          'unauthorized',
          `${place(realm)}: refused the credentials for ${registry} (${response.status})`,
          {
            hint: `docker login ${registry}`,
          },
        );
      }
      throw new LayerError('registry', `${place(realm)}: answered ${response.status} instead of a token`);
    }
    return tokenOf(await readAll(response, 1024 * 1024), realm);
  }
}

function readChallenges(value: string | undefined, registry: string): readonly Challenge[] {
  try {
    return value === undefined ? [] : parseChallenges(value);
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    throw new LayerError('registry', `${registry}: ${cause.message}`, { cause });
  }
}

/** Over TLS, unless the registry itself is on this machine without. */
function tokenServer(realm: string | undefined, origin: URL, registry: string): URL {
  if (realm === undefined || !URL.canParse(realm)) {
    throw new LayerError('registry', `${registry}: names no token server`);
  }
  const url = new URL(realm);
  url.username = '';
  url.password = '';
  if (url.protocol === 'https:') return url;
  const local = url.protocol === 'http:' && origin.protocol === 'http:';
  if (local && (isLoopback(url.host) || url.host === origin.host)) return url;
  throw new LayerError('insecure', `${registry}: sends credentials to ${place(url)}, which is not HTTPS`);
}

function tokenOf(bytes: Uint8Array, realm: URL): string {
  let token: string | undefined;
  try {
    const fields = new Fields(parseDocument(bytes, 'token'), 'token');
    token = fields.optionalText('token') ?? fields.optionalText('access_token');
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    throw new LayerError('registry', `${place(realm)}: ${cause.message}`);
  }
  if (token !== undefined && /^[\x21-\x7e]+$/.test(token)) return token;
  throw new LayerError('registry', `${place(realm)}: no token in the answer`);
}

function basic({ username, password }: { readonly username: string; readonly password: Secret }): string {
  return `Basic ${Buffer.from(`${username}:${password.reveal()}`, 'utf8').toString('base64')}`;
}

function noCredentials(registry: string): LayerError {
  return new LayerError('unauthorized', `${registry}: wants credentials, and there are none for it`, {
    hint: `docker login ${registry}`,
  });
}
