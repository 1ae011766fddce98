/** A blob as a stream: hashed on the way, continued where it broke off (RFC 9110 section 14). */

import { hashFor, parseContentRange } from '@osguard/formats/oci';
import type { Descriptor } from '@osguard/formats/oci';
import { LayerError } from '../error.ts';
import { connectionError } from './endpoint.ts';
import type { HttpResponse } from './http.ts';
import { discard } from './http.ts';
import { isRetryError } from './retry.ts';
import type { Session } from './session.ts';
import type { BlobOptions } from './store.ts';

export interface DownloadSource {
  readonly session: Session;
  readonly target: string;
  readonly scope: string;
}

/** @throws LayerError; `digest` when the bytes are too many, too few or others. */
export async function* download(
  source: DownloadSource,
  descriptor: Descriptor,
  { offset = 0, signal }: BlobOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  const { session } = source;
  const { digest, size } = descriptor;
  const hash = offset === 0 ? hashFor(digest) : undefined;
  const where = `${session.registry}: ${digest}`;
  const retry = session.startRetry();
  let at = offset;
  if (offset > size) throw new LayerError('input', `${where}: byte ${offset} lies behind its end`);
  while (at < size) {
    const response = await ask(source, { descriptor, at, signal });
    let skip = response.status === 206 ? 0 : at;
    try {
      for await (const piece of response.body as AsyncIterable<Buffer>) {
        // A server that does not know ranges begins again.
        const chunk = skip === 0 ? piece : piece.subarray(Math.min(skip, piece.length));
        skip -= piece.length - chunk.length;
        if (chunk.length === 0) continue;
        at += chunk.length;
        if (at > size) throw new LayerError('digest', `${where}: more than ${size} bytes came`);
        hash?.update(chunk);
        retry.progress();
        yield chunk;
      }
    } catch (error) {
      response.body.destroy();
      signal?.throwIfAborted();
      if (!isRetryError(error)) throw connectionError(session.registry, error);
      if (!(await retry.next(undefined, signal))) throw connectionError(session.registry, error);
      continue;
    }
    if (at === size) break;
    if (!(await retry.next(undefined, signal))) {
      throw new LayerError('digest', `${where}: ended after ${at} of ${size} bytes`);
    }
  }
  if (hash === undefined) return;
  const found = `${digest.slice(0, digest.indexOf(':'))}:${hash.digest('hex')}`;
  if (found !== digest) throw new LayerError('digest', `${where}: what came is ${found}`);
}

async function ask(
  { session, target, scope }: DownloadSource,
  {
    descriptor,
    at,
    signal,
  }: { readonly descriptor: Descriptor; readonly at: number; readonly signal: AbortSignal | undefined },
): Promise<HttpResponse> {
  const { size, digest } = descriptor;
  const response = await session.request({
    method: 'GET',
    target,
    scope,
    headers: at === 0 ? {} : { range: `bytes=${at}-` },
    accept: at === 0 ? [200] : [200, 206, 416],
    signal,
  });
  if (response.status === 416) {
    discard(response);
    throw new LayerError('digest', `${session.registry}: ${digest}: ended after ${at} of ${size} bytes`);
  }
  const length = response.header('content-length');
  const range = parseContentRange(response.header('content-range') ?? '');
  const wrongLength = response.status === 200 && length !== undefined && Number(length) !== size;
  const wrongRange =
    response.status === 206 && (range?.first !== at || (range.size !== undefined && range.size !== size));
  if (!wrongLength && !wrongRange) return response;
  discard(response);
  const found = wrongLength
    ? `${length} bytes`
    : `the range ${response.header('content-range') ?? 'nobody knows'}`;
  throw new LayerError(
    'digest',
    `${session.registry}: ${digest}: expected ${size} bytes from ${at}, got ${found}`,
  );
}
