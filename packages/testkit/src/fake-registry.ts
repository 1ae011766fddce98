/**
 * A registry in memory that takes distribution-spec 1.1 at its word: what a client may not do is answered with an
 * error, and what a registry may do (redirects, cut connections, page after page, 429) it does when a test says so.
 */

import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';

export type Fault =
  | {
      readonly kind: 'status';
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: string;
    }
  /** The connection ends after this many bytes of the answer's body, or of the request's. */
  | { readonly kind: 'cut'; readonly after: number }
  /** The first byte is another. */
  | { readonly kind: 'corrupt' }
  /** Answers as if there were no Range header. */
  | { readonly kind: 'no-range' }
  /** An upload is taken, but the answer never arrives. */
  | { readonly kind: 'lost-answer' }
  /** One byte more than there is. */
  | { readonly kind: 'longer' };

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly authorization: string | undefined;
  readonly range: string | undefined;
  /** Which request of this method and path it is, from 1. */
  readonly count: number;
}

export interface FakeRegistryOptions {
  /** The referrers API; on unless false. */
  readonly referrers?: boolean;
  /** Entries of one page of tags or referrers; 100 unless given. */
  readonly pageSize?: number;
  /** Bytes a chunk must have at least, but for the last. */
  readonly minChunk?: number;
  readonly auth?: FakeAuth;
  /** Blobs are redirected there (an origin). */
  readonly redirectBlobsTo?: string;
  readonly fault?: (request: SeenRequest) => Fault | undefined;
}

export type FakeAuth =
  | { readonly kind: 'basic'; readonly user: string; readonly password: string }
  /** A token server at `/token` of the same origin; a token is good for that many requests. */
  | { readonly kind: 'bearer'; readonly user: string; readonly password: string; readonly uses: number };

export interface FakeRegistry extends AsyncDisposable {
  /** `127.0.0.1:PORT` */
  readonly host: string;
  readonly origin: string;
  readonly requests: readonly SeenRequest[];
  readonly blobs: Map<string, Buffer>;
}

interface Stored {
  readonly mediaType: string;
  readonly bytes: Buffer;
}

interface Repository {
  readonly manifests: Map<string, Stored>;
  readonly tags: Map<string, string>;
  /** Digests of blobs this repository may give. */
  readonly blobs: Set<string>;
}

export async function startFakeRegistry(options: FakeRegistryOptions = {}): Promise<FakeRegistry> {
  const fake = new Fake(options);
  const server = createServer((request, response) => {
    fake.handle(request, response).catch((error: unknown) => {
      if (response.headersSent) response.destroy();
      else fail(response, error instanceof Refusal ? error : new Refusal(500, 'UNKNOWN', String(error)));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const host = `127.0.0.1:${address.port}`;
  fake.origin = `http://${host}`;
  return {
    host,
    origin: fake.origin,
    requests: fake.requests,
    blobs: fake.blobs,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

class Refusal extends Error {
  readonly status: number;
  readonly code: string;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, code: string, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.headers = headers;
  }
}

function fail(response: ServerResponse, { status, code, message, headers }: Refusal): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify({ errors: [{ code, message }] }));
}

function sha256(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

class Fake {
  origin = '';
  readonly requests: SeenRequest[] = [];
  readonly blobs = new Map<string, Buffer>();
  readonly #options: FakeRegistryOptions;
  readonly #repositories = new Map<string, Repository>();
  readonly #uploads = new Map<string, { repository: string; bytes: Buffer }>();
  readonly #tokens = new Map<string, { scopes: string; left: number }>();

  constructor(options: FakeRegistryOptions) {
    this.#options = options;
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', this.origin);
    const method = request.method ?? 'GET';
    const before = this.requests.filter(
      (each) => each.method === method && each.path === url.pathname,
    ).length;
    const seen: SeenRequest = {
      method,
      path: url.pathname,
      query: url.search,
      authorization: request.headers.authorization,
      range: request.headers.range,
      count: before + 1,
    };
    this.requests.push(seen);
    const fault = this.#options.fault?.(seen);
    if (fault?.kind === 'status') {
      request.resume();
      response.writeHead(fault.status, fault.headers);
      response.end(fault.body);
      return;
    }
    if (url.pathname === '/token') {
      this.#giveToken(url, request, response);
      return;
    }
    const body = await readBody(request, fault);
    this.#authorize(seen, request);
    if (url.pathname === '/v2/') {
      response.end('{}');
      return;
    }
    const [, name = '', kind = '', leaf = ''] =
      /^\/v2\/(.+?)\/(blobs\/uploads|blobs|manifests|referrers|tags)\/(.*)$/.exec(url.pathname) ?? [];
    if (name === '') throw new Refusal(404, 'NAME_UNKNOWN', 'no such path');
    const where = { name, leaf, url, body, request, response, fault };
    if (kind === 'blobs/uploads') this.#upload(method, where);
    else if (kind === 'blobs') this.#blob(method, where);
    else if (kind === 'manifests') this.#manifest(method, where);
    else if (kind === 'referrers') this.#referrers(where);
    else this.#tags(where);
  }

  #repository(name: string): Repository {
    const known = this.#repositories.get(name);
    if (known !== undefined) return known;
    const made: Repository = { manifests: new Map(), tags: new Map(), blobs: new Set() };
    this.#repositories.set(name, made);
    return made;
  }

  #giveToken(url: URL, request: IncomingMessage, response: ServerResponse): void {
    const { auth } = this.#options;
    if (auth?.kind !== 'bearer') throw new Refusal(404, 'UNKNOWN', 'no token server');
    const given = request.headers.authorization;
    const good = `Basic ${Buffer.from(`${auth.user}:${auth.password}`).toString('base64')}`;
    if (given !== good) throw new Refusal(401, 'UNAUTHORIZED', 'who are you?');
    if (url.searchParams.get('service') !== 'fake') throw new Refusal(400, 'UNKNOWN', 'service is missing');
    const token = randomUUID();
    this.#tokens.set(token, { scopes: url.searchParams.getAll('scope').join(' '), left: auth.uses });
    response.end(JSON.stringify({ token }));
  }

  #authorize({ method, authorization, path }: SeenRequest, request: IncomingMessage): void {
    const { auth } = this.#options;
    if (auth === undefined) {
      if (authorization !== undefined) throw new Refusal(400, 'UNSUPPORTED', 'credentials nobody asked for');
      return;
    }
    if (auth.kind === 'basic') {
      const good = `Basic ${Buffer.from(`${auth.user}:${auth.password}`).toString('base64')}`;
      if (authorization === good) return;
      throw new Refusal(401, 'UNAUTHORIZED', 'no', { 'www-authenticate': 'Basic realm="fake"' });
    }
    const name = /^\/v2\/(.+?)\/(?:blobs|manifests|referrers|tags)\//.exec(path)?.[1];
    const action = method === 'GET' || method === 'HEAD' ? 'pull' : 'push';
    const token = this.#tokens.get(/^Bearer (.+)$/.exec(authorization ?? '')?.[1] ?? '');
    const scope = `repository:${name}:${action === 'pull' ? 'pull' : 'pull,push'}`;
    const covered = token?.scopes
      .split(' ')
      .some((each) => each === scope || each === `repository:${name}:pull,push`);
    if (token !== undefined && token.left > 0 && (name === undefined || covered === true)) {
      token.left -= 1;
      return;
    }
    request.resume();
    const asked = name === undefined ? '' : `,scope="${scope}"`;
    throw new Refusal(401, 'UNAUTHORIZED', 'a token please', {
      'www-authenticate': `Bearer realm="${this.origin}/token",service="fake"${asked}`,
    });
  }

  #blob(method: string, { name, leaf, request, response, fault }: Where): void {
    const repository = this.#repository(name);
    const bytes = repository.blobs.has(leaf) ? this.blobs.get(leaf) : undefined;
    if (bytes === undefined) throw new Refusal(404, 'BLOB_UNKNOWN', 'no such blob');
    if (method === 'HEAD') {
      response.writeHead(200, { 'content-length': bytes.length, 'docker-content-digest': leaf });
      response.end();
      return;
    }
    if (this.#options.redirectBlobsTo !== undefined) {
      const location = `${this.#options.redirectBlobsTo}/v2/${name}/blobs/${leaf}?signature=secret-of-the-store`;
      response.writeHead(307, { location });
      response.end();
      return;
    }
    const [, from] = /^bytes=(\d+)-$/.exec(request.headers.range ?? '') ?? [];
    const ranged = from !== undefined && fault?.kind !== 'no-range';
    const first = ranged ? Number(from) : 0;
    if (first >= bytes.length && ranged) throw new Refusal(416, 'SIZE_INVALID', 'behind the end');
    let content = Buffer.from(bytes.subarray(first));
    if (fault?.kind === 'corrupt') content[0] = (content[0] ?? 0) ^ 1;
    if (fault?.kind === 'longer') content = Buffer.concat([content, Buffer.from('!')]);
    const headers = ranged ? { 'content-range': `bytes ${first}-${bytes.length - 1}/${bytes.length}` } : {};
    // Without a length, as proxies do: the client has to count.
    response.writeHead(ranged ? 206 : 200, headers);
    if (fault?.kind === 'cut') {
      response.write(content.subarray(0, fault.after), () => response.destroy());
      return;
    }
    response.end(content);
  }

  #upload(method: string, where: Where): void {
    const { name, leaf, url, body, request, response, fault } = where;
    if (method === 'POST') {
      const mount = url.searchParams.get('mount');
      const from = url.searchParams.get('from');
      if (mount !== null && from !== null && this.#repository(from).blobs.has(mount)) {
        this.#repository(name).blobs.add(mount);
        response.writeHead(201, { location: `/v2/${name}/blobs/${mount}` });
        response.end();
        return;
      }
      const id = randomUUID();
      this.#uploads.set(id, { repository: name, bytes: Buffer.alloc(0) });
      const { minChunk } = this.#options;
      response.writeHead(202, {
        location: `/v2/${name}/blobs/uploads/${id}?state=a%2Fb`,
        ...(minChunk !== undefined && { 'oci-chunk-min-length': String(minChunk) }),
      });
      response.end();
      return;
    }
    const upload = this.#uploads.get(leaf);
    if (upload === undefined || upload.repository !== name)
      throw new Refusal(404, 'BLOB_UPLOAD_UNKNOWN', 'no upload');
    if (url.searchParams.get('state') !== 'a/b')
      throw new Refusal(400, 'BLOB_UPLOAD_INVALID', 'the query is part of it');
    const range = (): Record<string, string> => ({
      location: `/v2/${name}/blobs/uploads/${leaf}?state=a%2Fb`,
      range: `0-${Math.max(0, upload.bytes.length - 1)}`,
    });
    if (method === 'GET') {
      response.writeHead(204, range());
      response.end();
      return;
    }
    if (request.headers['content-type'] !== 'application/octet-stream') {
      throw new Refusal(415, 'UNSUPPORTED', 'content-type');
    }
    const contentRange = request.headers['content-range'];
    if (method === 'PATCH') {
      const start = upload.bytes.length;
      if (contentRange !== `${start}-${start + body.length - 1}`) {
        throw new Refusal(416, 'RANGE_INVALID', `expected from ${start}, got ${contentRange}`, range());
      }
      upload.bytes = Buffer.concat([upload.bytes, body]);
      response.writeHead(202, range());
      response.end();
      return;
    }
    const bytes = Buffer.concat([upload.bytes, body]);
    const digest = url.searchParams.get('digest');
    if (digest !== sha256(bytes)) throw new Refusal(400, 'DIGEST_INVALID', `not ${digest}`);
    this.#uploads.delete(leaf);
    this.blobs.set(digest, bytes);
    this.#repository(name).blobs.add(digest);
    if (fault?.kind === 'lost-answer') {
      response.destroy();
      return;
    }
    response.writeHead(201, { location: `/v2/${name}/blobs/${digest}`, 'docker-content-digest': digest });
    response.end();
  }

  #manifest(method: string, { name, leaf, body, request, response, fault }: Where): void {
    const repository = this.#repository(name);
    if (method === 'PUT') {
      this.#putManifest(repository, { name, leaf, body, request, response });
      return;
    }
    const digest = leaf.startsWith('sha256:') ? leaf : repository.tags.get(leaf);
    const stored = repository.manifests.get(digest ?? '');
    if (stored === undefined || digest === undefined)
      throw new Refusal(404, 'MANIFEST_UNKNOWN', 'no such manifest');
    const accepted = (request.headers.accept ?? '').split(',').map((each) => each.trim());
    if (!accepted.includes(stored.mediaType))
      throw new Refusal(406, 'UNSUPPORTED', `not acceptable: ${stored.mediaType}`);
    const content = Buffer.from(stored.bytes);
    if (fault?.kind === 'corrupt') content[content.length - 1] = 0x20;
    response.writeHead(200, { 'content-type': stored.mediaType, 'docker-content-digest': digest });
    response.end(content);
  }

  #putManifest(
    repository: Repository,
    { name, leaf, body, request, response }: Pick<Where, 'name' | 'leaf' | 'body' | 'request' | 'response'>,
  ): void {
    const document = JSON.parse(body.toString()) as Document;
    const digest = sha256(body);
    if (leaf.startsWith('sha256:') && leaf !== digest)
      throw new Refusal(400, 'DIGEST_INVALID', 'not that digest');
    if (document.mediaType !== request.headers['content-type'])
      throw new Refusal(400, 'MANIFEST_INVALID', 'media type');
    for (const blob of [
      ...(document.config === undefined ? [] : [document.config]),
      ...(document.layers ?? []),
    ]) {
      if (!repository.blobs.has(blob.digest)) throw new Refusal(404, 'MANIFEST_BLOB_UNKNOWN', blob.digest);
      if (this.blobs.get(blob.digest)?.length !== blob.size)
        throw new Refusal(400, 'SIZE_INVALID', blob.digest);
    }
    for (const child of document.manifests ?? []) {
      if (!repository.manifests.has(child.digest)) throw new Refusal(404, 'MANIFEST_UNKNOWN', child.digest);
    }
    repository.manifests.set(digest, { mediaType: document.mediaType, bytes: body });
    if (!leaf.startsWith('sha256:')) repository.tags.set(leaf, digest);
    const subject = this.#options.referrers === false ? undefined : document.subject?.digest;
    response.writeHead(201, {
      location: `/v2/${name}/manifests/${digest}`,
      'docker-content-digest': digest,
      ...(subject !== undefined && { 'oci-subject': subject }),
    });
    response.end();
  }

  #referrers({ name, leaf, url, response }: Where): void {
    if (this.#options.referrers === false) throw new Refusal(404, 'UNSUPPORTED', 'no referrers here');
    const all = [...this.#repository(name).manifests].flatMap(([digest, { mediaType, bytes }]) => {
      const document = JSON.parse(bytes.toString()) as Document;
      if (document.subject?.digest !== leaf) return [];
      const artifactType = document.artifactType ?? document.config?.mediaType;
      return [{ mediaType, digest, size: bytes.length, artifactType, annotations: document.annotations }];
    });
    const wanted = url.searchParams.get('artifactType');
    const filtered = wanted === null ? all : all.filter(({ artifactType }) => artifactType === wanted);
    const { page, link } = this.#page(filtered, url);
    response.writeHead(200, {
      'content-type': 'application/vnd.oci.image.index.v1+json',
      ...(wanted !== null && { 'oci-filters-applied': 'artifactType' }),
      ...link,
    });
    response.end(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: 'application/vnd.oci.image.index.v1+json',
        manifests: page,
      }),
    );
  }

  #tags({ name, url, response }: Where): void {
    const { page, link } = this.#page([...this.#repository(name).tags.keys()].sort(), url);
    response.writeHead(200, { 'content-type': 'application/json', ...link });
    response.end(JSON.stringify({ name, tags: page }));
  }

  #page<T>(
    all: readonly T[],
    url: URL,
  ): { readonly page: readonly T[]; readonly link: Record<string, string> } {
    const size = this.#options.pageSize ?? 100;
    const from = Number(url.searchParams.get('from') ?? 0);
    const query = new URLSearchParams(url.searchParams);
    query.set('from', String(from + size));
    const next = from + size < all.length ? `<${url.pathname}?${query.toString()}>; rel="next"` : undefined;
    return { page: all.slice(from, from + size), link: next === undefined ? {} : { link: next } };
  }
}

interface Where {
  readonly name: string;
  readonly leaf: string;
  readonly url: URL;
  readonly body: Buffer;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly fault: Fault | undefined;
}

interface Document {
  readonly mediaType: string;
  readonly artifactType?: string;
  readonly config?: { readonly mediaType: string; readonly digest: string; readonly size: number };
  readonly layers?: readonly { readonly digest: string; readonly size: number }[];
  readonly manifests?: readonly { readonly digest: string }[];
  readonly subject?: { readonly digest: string };
  readonly annotations?: Readonly<Record<string, string>>;
}

async function readBody(request: IncomingMessage, fault: Fault | undefined): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  const cutting = fault?.kind === 'cut' && request.method !== 'GET';
  for await (const chunk of request as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    size += chunk.length;
    if (cutting && size >= fault.after) request.destroy();
  }
  if (cutting) request.destroy();
  const length = request.headers['content-length'];
  if (length !== undefined && Number(length) !== size)
    throw new Refusal(400, 'SIZE_INVALID', 'content-length');
  if (request.method !== 'GET' && request.method !== 'HEAD' && length === undefined) {
    throw new Refusal(411, 'SIZE_INVALID', 'no content-length');
  }
  return Buffer.concat(chunks);
}
