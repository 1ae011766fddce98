/** Lists of sized buffers (TPM 2.0 Library Part 2, section 10.9). */

import type { ByteReader } from '../bytes/index.ts';
import { FormatError } from '../bytes/index.ts';
import { readSized, readWhole, sized, tpmWriter } from './wire.ts';

/** A TPML_DIGEST has at most 8 digests (section 10.9.4). */
const mostDigests = 8;

/** @throws FormatError unless `bytes` is exactly one TPML_DIGEST. */
export function parseDigestList(bytes: Uint8Array): Uint8Array[] {
  return readWhole(bytes, 'digest list', readDigestList);
}

export function readDigestList(reader: ByteReader): Uint8Array[] {
  const at = reader.offset;
  const count = reader.u32('count of digests');
  if (count > mostDigests) throw new FormatError('too-large', `${count} digests`, { offset: at });
  return Array.from({ length: count }, () => readSized(reader, 'digest', 64));
}

export function encodeDigestList(digests: readonly Uint8Array[]): Uint8Array {
  if (digests.length > mostDigests) throw new FormatError('not-encodable', `${digests.length} digests`);
  const writer = tpmWriter().u32(digests.length);
  for (const digest of digests) writer.bytes(sized(digest));
  return writer.finish();
}
