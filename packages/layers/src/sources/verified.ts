/** Content hashed on its way through. */

import { hashFor } from '@osguard/formats/oci';
import type { Descriptor } from '@osguard/formats/oci';
import { LayerError } from '../error.ts';

/** @throws LayerError `digest` before the end when the bytes are not the descriptor's. */
export async function* verified(
  chunks: AsyncIterable<Uint8Array>,
  { digest, size }: Descriptor,
  where: string,
): AsyncGenerator<Uint8Array, void, undefined> {
  const hash = hashFor(digest);
  let at = 0;
  for await (const chunk of chunks) {
    at += chunk.length;
    if (at > size) throw new LayerError('digest', `${where}: ${digest}: more than ${size} bytes`);
    hash.update(chunk);
    yield chunk;
  }
  const found = `${digest.slice(0, digest.indexOf(':'))}:${hash.digest('hex')}`;
  if (at !== size || found !== digest) {
    throw new LayerError('digest', `${where}: expected ${digest} of ${size} bytes, found ${found} of ${at}`);
  }
}
