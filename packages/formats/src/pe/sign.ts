/** Adding and removing Authenticode signatures: first what to sign, then the signed image. */

import { planAuthenticodeSignature } from '../cms/index.ts';
import { FormatError, segmentSource, sliceSource, sourceOf } from '../bytes/index.ts';
import type { ByteSource } from '../bytes/index.ts';
import type { Certificate, DigestAlgorithm } from '../x509/index.ts';
import { encodeSignature } from './certificate-table.ts';
import { authenticodeDigest, findUncovered } from './digest.ts';
import { parsePe } from './parse.ts';
import type { PeImage } from './parse.ts';

export interface PeSignaturePlan {
  readonly digestAlgorithm: DigestAlgorithm;
  /** What the signer's key signs with `digestAlgorithm`. */
  readonly toSign: Uint8Array;
  /** The image with one more signature; all but its first KiB and its end are the given source, not a copy. */
  finish(signature: Uint8Array): ByteSource;
}

/** @throws FormatError when `source` is no PE image or has bytes that a signature would not cover. */
export function planPeSignature(source: ByteSource, signer: Certificate): PeSignaturePlan {
  const image = parsePe(source);
  const uncovered = findUncovered(image);
  if (uncovered !== undefined) throw new FormatError('malformed', `PE image: ${uncovered}`);
  const algorithm = 'sha256';
  const digest = authenticodeDigest(image, { algorithm, padded: true });
  const plan = planAuthenticodeSignature(signer, { algorithm, digest });
  return {
    digestAlgorithm: plan.digestAlgorithm,
    toSign: plan.toSign,
    finish: (signature) => appendSignature(image, plan.finish(signature)),
  };
}

/** The image without its signatures; zeros that aligned the first one stay. */
export function stripSignatures(source: ByteSource): ByteSource {
  const image = parsePe(source);
  const { certificateTable } = image;
  return certificateTable === undefined
    ? source
    : withTable(image, certificateTable.offset, new Uint8Array());
}

function appendSignature(image: PeImage, pkcs7: Uint8Array): ByteSource {
  const { certificateTable, source } = image;
  const entry = encodeSignature(pkcs7);
  if (certificateTable === undefined) return withTable(image, source.size, entry);
  const present = source.read(certificateTable.offset, certificateTable.size);
  const padding = new Uint8Array(-present.length & 7);
  return withTable(image, certificateTable.offset, Buffer.concat([present, padding, entry]));
}

/** The first `end` bytes of the image, aligned, with this table behind them and in the directory. */
function withTable(image: PeImage, end: number, table: Uint8Array): ByteSource {
  const { source, at } = image;
  const entry = at.certificateDirectory;
  if (entry === undefined) {
    throw new FormatError('not-encodable', 'PE image: its header has no room for a certificate table', {
      offset: at.checksum,
    });
  }
  const start = table.length === 0 ? end : end + (-end & 7);
  const head = Uint8Array.from(source.read(0, entry + 8));
  const view = new DataView(head.buffer);
  view.setUint32(entry, table.length === 0 ? 0 : start, true);
  view.setUint32(entry + 4, table.length, true);
  // The checksum would no longer be right; zero means that there is none.
  view.setUint32(at.checksum, 0, true);
  return segmentSource(
    [
      { offset: 0, body: sourceOf(head) },
      { offset: head.length, body: sliceSource(source, head.length, end - head.length) },
      { offset: start, body: sourceOf(table) },
    ],
    start + table.length,
  );
}
