/**
 * Pushing a blob (distribution-spec 1.1, "Pushing blobs"): mounted from another repository when possible, small ones
 * in one request, large ones in chunks that are continued where they broke off.
 */

import type { Descriptor } from '@osguard/formats/oci';
import { LayerError } from '../error.ts';
import type { HttpResponse } from './http.ts';
import { discard } from './http.ts';
import type { Session } from './session.ts';
import { resolveLocation } from './session.ts';
import type { OpenContent, PushBlobOptions } from './store.ts';

export interface UploadTarget {
  readonly session: Session;
  readonly repository: string;
  readonly scope: string;
  /** Bytes. */
  readonly chunkSize?: number;
}

export interface UploadContent {
  readonly descriptor: Descriptor;
  readonly open: OpenContent;
}

/** Where an upload stands: the next request goes to `location`, with the byte at `offset`. */
interface Progress {
  readonly location: URL;
  readonly offset: number;
  /** Bytes the registry wants in a chunk at least. */
  readonly least: number;
}

const defaultChunk = 16 * 1024 * 1024;

/** @throws LayerError */
export async function upload(
  target: UploadTarget,
  content: UploadContent,
  options: PushBlobOptions = {},
): Promise<'mounted' | 'pushed'> {
  const { signal } = options;
  const started = await start(target, content.descriptor, options);
  if (started === 'mounted') return started;
  const { size } = content.descriptor;
  const chunk = Math.max(target.chunkSize ?? defaultChunk, started.least);
  // What fits into one request goes with the one that ends the upload.
  const chunked = size > chunk ? size : 0;
  const retry = target.session.startRetry();
  let progress: Progress = started;
  for (;;) {
    try {
      while (progress.offset < chunked) {
        progress = await sendChunk(target, content, { progress, chunk, signal });
        retry.progress();
        options.onProgress?.(progress.offset);
      }
      await finish(target, content, { progress, signal });
      options.onProgress?.(size);
      return 'pushed';
    } catch (error) {
      signal?.throwIfAborted();
      if (!isTemporary(error) || !(await retry.next(undefined, signal))) throw error;
      // The answer may have been lost, not the content.
      if (await isThere(target, content.descriptor, signal)) return 'pushed';
      progress = await resume(target, content.descriptor, { progress, signal });
    }
  }
}

async function start(
  { session, repository, scope }: UploadTarget,
  descriptor: Descriptor,
  { mountFrom, signal }: PushBlobOptions,
): Promise<Progress | 'mounted'> {
  const query =
    mountFrom === undefined
      ? ''
      : `?${new URLSearchParams({ mount: descriptor.digest, from: mountFrom }).toString()}`;
  const response = await session.request({
    method: 'POST',
    target: `/v2/${repository}/blobs/uploads/${query}`,
    scope: mountFrom === undefined ? scope : `${scope} repository:${mountFrom}:pull`,
    accept: mountFrom === undefined ? [202] : [201, 202],
    signal,
  });
  discard(response);
  if (response.status === 201) return 'mounted';
  return { location: locationOf(response, session), offset: 0, least: leastChunk(response) };
}

async function sendChunk(
  { session, scope }: UploadTarget,
  { descriptor, open }: UploadContent,
  {
    progress,
    chunk,
    signal,
  }: { readonly progress: Progress; readonly chunk: number; readonly signal: AbortSignal | undefined },
): Promise<Progress> {
  const { location, offset } = progress;
  const length = Math.min(chunk, descriptor.size - offset);
  const response = await session.request({
    method: 'PATCH',
    target: location,
    scope,
    headers: {
      'content-type': 'application/octet-stream',
      'content-range': `${offset}-${offset + length - 1}`,
    },
    body: { length, open: () => firstBytes(open(offset), length, descriptor) },
    accept: [202, 204],
    again: false,
    signal,
  });
  discard(response);
  return { ...progress, location: locationOf(response, session), offset: offset + length };
}

async function finish(
  { session, scope }: UploadTarget,
  { descriptor, open }: UploadContent,
  { progress, signal }: { readonly progress: Progress; readonly signal: AbortSignal | undefined },
): Promise<void> {
  const url = new URL(progress.location);
  url.searchParams.set('digest', descriptor.digest);
  const length = descriptor.size - progress.offset;
  const response = await session.request({
    method: 'PUT',
    target: url,
    scope,
    headers: { 'content-type': 'application/octet-stream' },
    ...(length > 0 && {
      body: { length, open: () => firstBytes(open(progress.offset), length, descriptor) },
    }),
    accept: [201, 204],
    again: false,
    signal,
  });
  discard(response);
}

async function isThere(
  { session, repository, scope }: UploadTarget,
  { digest }: Descriptor,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const target = `/v2/${repository}/blobs/${digest}`;
  const response = await session.request({ method: 'HEAD', target, scope, accept: [200, 404], signal });
  discard(response);
  return response.status === 200;
}

/** Asks how much arrived; where that cannot be known, the upload begins again. */
async function resume(
  target: UploadTarget,
  descriptor: Descriptor,
  { progress, signal }: { readonly progress: Progress; readonly signal: AbortSignal | undefined },
): Promise<Progress> {
  const { session, scope } = target;
  const response = await session.request({
    method: 'GET',
    target: progress.location,
    scope,
    accept: [200, 202, 204, 400, 404, 405, 416],
    signal,
  });
  discard(response);
  const last = /^(?:bytes=)?0-(\d{1,15})$/.exec(response.header('range') ?? '')?.[1];
  // `0-0` is both nothing and one byte, depending on the registry.
  if (response.status === 204 && last !== undefined && Number(last) > 0 && Number(last) < descriptor.size) {
    return {
      ...progress,
      location: locationOf(response, session, progress.location),
      offset: Number(last) + 1,
    };
  }
  const again = await start(target, descriptor, { signal });
  if (again === 'mounted')
    throw new LayerError('registry', `${session.registry}: mounted a blob nobody asked it to`);
  return again;
}

/** Exactly `length` bytes: the length was promised in the header. */
async function* firstBytes(
  chunks: AsyncIterable<Uint8Array>,
  length: number,
  { digest }: Descriptor,
): AsyncGenerator<Uint8Array, void, undefined> {
  let left = length;
  for await (const chunk of chunks) {
    const part = chunk.length > left ? chunk.subarray(0, left) : chunk;
    left -= part.length;
    yield part;
    if (left === 0) return;
  }
  if (left > 0) throw new LayerError('input', `${digest}: the content to push ends ${left} bytes early`);
}

function locationOf(response: HttpResponse, session: Session, otherwise?: URL): URL {
  const location = response.header('location');
  if (location !== undefined) return resolveLocation(location, response.url, session.registry);
  if (otherwise !== undefined) return otherwise;
  throw new LayerError('registry', `${session.registry}: an upload without a location`);
}

function leastChunk(response: HttpResponse): number {
  const value = response.header('oci-chunk-min-length');
  return value !== undefined && /^\d{1,10}$/.test(value) ? Number(value) : 0;
}

function isTemporary(error: unknown): boolean {
  // 416: the registry has another idea of where the upload stands.
  return error instanceof LayerError && (error.code === 'unreachable' || error.data?.['status'] === 416);
}
