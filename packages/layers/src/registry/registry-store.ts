/** One repository of a registry, over the API of distribution-spec 1.1. */

import { FormatError } from '@osguard/formats/bytes';
import {
  assertDigest,
  digestOfBytes,
  isDigest,
  manifestMediaTypes,
  parseDocument,
  Fields,
  isTag,
  nextLink,
  parseManifest,
} from '@osguard/formats/oci';
import type { Descriptor, Digest } from '@osguard/formats/oci';
import { LayerError } from '../error.ts';
import { download } from './download.ts';
import { discard, readAll } from './http.ts';
import type { HttpResponse } from './http.ts';
import { listReferrers, recordReferrer } from './referrers.ts';
import type { Session } from './session.ts';
import { resolveLocation } from './session.ts';
import type {
  BlobOptions,
  ImageStore,
  OpenContent,
  PushBlobOptions,
  PushManifestOptions,
  ReferrersOptions,
  StoredManifest,
  StoreOptions,
} from './store.ts';
import { upload } from './upload.ts';

/** Bytes: what parseManifest reads. */
const largestManifest = 4 * 1024 * 1024;
const mostTags = 100_000;

export interface RegistryStoreOptions {
  readonly session: Session;
  readonly repository: string;
  /** Asked first for everything that is read, in this order; repository names are the same there. */
  readonly mirrors?: readonly Session[];
  /** Bytes of one request of a chunked upload; 16 MiB unless given. */
  readonly chunkSize?: number;
  readonly close?: () => void;
}

export class RegistryStore implements ImageStore {
  readonly kind = 'registry';
  readonly name: string;
  readonly #options: RegistryStoreOptions;
  readonly #session: Session;
  readonly #repository: string;

  constructor(options: RegistryStoreOptions) {
    this.#options = options;
    this.#session = options.session;
    this.#repository = options.repository;
    this.name = `${options.session.registry}/${options.repository}`;
  }

  async manifest(which: string, { signal }: StoreOptions = {}): Promise<StoredManifest> {
    if (!isDigest(which) && !isTag(which))
      throw new LayerError('input', `${JSON.stringify(which)} is no tag or digest`);
    return this.#readable((session) => this.#manifestFrom(session, which, signal));
  }

  async #manifestFrom(
    session: Session,
    which: string,
    signal: AbortSignal | undefined,
  ): Promise<StoredManifest> {
    const response = await session.request({
      method: 'GET',
      target: this.#path('manifests', which),
      scope: this.#scope('pull'),
      headers: { accept: manifestMediaTypes.join(', ') },
      accept: [200],
      signal,
    });
    const bytes = Uint8Array.from(await readAll(response, largestManifest));
    const type = response.header('content-type')?.replace(/;.*$/s, '').trim().toLowerCase();
    const said = response.header('docker-content-digest');
    const digest = isDigest(which)
      ? which
      : said !== undefined && isDigest(said)
        ? said
        : digestOfBytes(bytes);
    return checkedManifest(bytes, {
      digest,
      where: `${session.registry}/${this.#repository}`,
      ...(type !== undefined && { type }),
    });
  }

  async has(descriptor: Descriptor, { signal }: StoreOptions = {}): Promise<boolean> {
    const response = await this.#session.request({
      method: 'HEAD',
      target: this.#path('blobs', descriptor.digest),
      scope: this.#scope('pull'),
      accept: [200, 404],
      signal,
    });
    discard(response);
    return response.status === 200;
  }

  async *blob(
    descriptor: Descriptor,
    options: BlobOptions = {},
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const sessions = [...(this.#options.mirrors ?? []), this.#session];
    for (const [index, session] of sessions.entries()) {
      const chunks = download(
        { session, target: this.#path('blobs', descriptor.digest), scope: this.#scope('pull') },
        descriptor,
        options,
      );
      // A mirror that fails before its first byte is passed over; later there is no going back.
      const first = await firstOf(chunks, index + 1 < sessions.length);
      if (first === undefined) continue;
      if (first.done !== true) yield first.value;
      yield* chunks;
      return;
    }
  }

  async pushBlob(
    descriptor: Descriptor,
    open: OpenContent,
    options: PushBlobOptions = {},
  ): Promise<'exists' | 'mounted' | 'pushed'> {
    if (await this.has(descriptor, options)) return 'exists';
    const repository = this.#repository;
    const { chunkSize } = this.#options;
    return upload(
      {
        session: this.#session,
        repository,
        scope: this.#scope('pull,push'),
        ...(chunkSize !== undefined && { chunkSize }),
      },
      { descriptor, open },
      options,
    );
  }

  async pushManifest(
    bytes: Uint8Array,
    { mediaType, tag, signal }: PushManifestOptions,
  ): Promise<Descriptor> {
    const digest = digestOfBytes(bytes);
    const manifest = parseManifest(bytes, { mediaType });
    const response = await this.#session.request({
      method: 'PUT',
      target: this.#path('manifests', tag ?? digest),
      scope: this.#scope('pull,push'),
      headers: { 'content-type': mediaType },
      body: { length: bytes.length, open: () => [bytes] },
      accept: [201],
      signal,
    });
    discard(response);
    const stored = response.header('docker-content-digest');
    if (stored !== undefined && isDigest(stored) && stored.startsWith('sha256:') && stored !== digest) {
      throw new LayerError('registry', `${this.name}: stored ${digest} as ${stored}`);
    }
    const descriptor: Descriptor = { mediaType, digest, size: bytes.length };
    // A registry with the referrers API says so; for others the client keeps the list.
    if (manifest.subject !== undefined && response.header('oci-subject') === undefined) {
      await recordReferrer(this, { descriptor, manifest, ...(signal !== undefined && { signal }) });
    }
    return descriptor;
  }

  async referrers(subject: Digest, options: ReferrersOptions = {}): Promise<readonly Descriptor[]> {
    const { artifactType } = options;
    const filter = artifactType === undefined ? '' : `?${new URLSearchParams({ artifactType }).toString()}`;
    const target = this.#path('referrers', subject) + filter;
    const pages = this.#pages(target, { accept: [200, 404, 405, 501], signal: options.signal });
    return listReferrers(this, { subject, pages, ...options });
  }

  async tags({ signal }: StoreOptions = {}): Promise<readonly string[]> {
    const tags: string[] = [];
    for await (const { response } of this.#pages(`${this.#path('tags', 'list')}?n=1000`, {
      accept: [200],
      signal,
    })) {
      const fields = new Fields(parseDocument(await readAll(response, largestManifest), 'tags'), 'tags');
      tags.push(...fields.texts('tags', mostTags).filter(isTag));
      if (tags.length > mostTags)
        throw new LayerError('registry', `${this.name}: more than ${mostTags} tags`);
    }
    return tags;
  }

  async close(): Promise<void> {
    this.#options.close?.();
    return Promise.resolve();
  }

  /** Follows `Link: rel="next"`; a page that is not a 200 is the last. */
  async *#pages(
    target: string,
    { accept, signal }: { readonly accept: readonly number[]; readonly signal: AbortSignal | undefined },
  ): AsyncGenerator<{ readonly response: HttpResponse }, void, undefined> {
    let next: string | URL | undefined = target;
    const seen = new Set<string>();
    while (next !== undefined) {
      const response: HttpResponse = await this.#session.request({
        method: 'GET',
        target: next,
        scope: this.#scope('pull'),
        accept,
        signal,
      });
      const link = response.header('link');
      yield { response };
      const following = link === undefined ? undefined : nextLink(link);
      next = undefined;
      if (following === undefined || response.status !== 200) continue;
      const url = resolveLocation(following, response.url, this.#session.registry);
      if (url.origin !== response.url.origin || seen.has(url.href) || seen.size > 1000) {
        throw new LayerError('registry', `${this.name}: a list that goes in circles or to another host`);
      }
      seen.add(url.href);
      next = url;
    }
  }

  async #readable<T>(read: (session: Session) => Promise<T>): Promise<T> {
    for (const mirror of this.#options.mirrors ?? []) {
      try {
        return await read(mirror);
      } catch (error) {
        // What a mirror lacks or got wrong, the registry itself may have.
        if (!(error instanceof LayerError)) throw error;
      }
    }
    return read(this.#session);
  }

  #path(kind: string, leaf: string): string {
    return `/v2/${this.#repository}/${kind}/${leaf}`;
  }

  #scope(actions: 'pull' | 'pull,push'): string {
    return `repository:${this.#repository}:${actions}`;
  }
}

/** @throws LayerError `digest`, `registry` */
export function checkedManifest(
  bytes: Uint8Array,
  { digest, type, where }: { readonly digest: Digest; readonly type?: string; readonly where: string },
): StoredManifest {
  try {
    assertDigest(bytes, digest);
    const known = type !== undefined && type.startsWith('application/vnd.') ? type : undefined;
    const manifest = parseManifest(bytes, known === undefined ? {} : { mediaType: known });
    return { descriptor: { mediaType: manifest.mediaType, digest, size: bytes.length }, bytes, manifest };
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    const code = cause.code === 'checksum' ? 'digest' : 'registry';
    throw new LayerError(code, `${where}: ${cause.message}`, {
      cause,
      ...(cause.hint !== undefined && { hint: cause.hint }),
    });
  }
}

async function firstOf(
  chunks: AsyncGenerator<Uint8Array, void, undefined>,
  mayFail: boolean,
): Promise<IteratorResult<Uint8Array, void> | undefined> {
  try {
    return await chunks.next();
  } catch (error) {
    if (mayFail && error instanceof LayerError) return undefined;
    throw error;
  }
}
