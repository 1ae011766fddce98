/** The attribute certificate table: WIN_CERTIFICATE entries, each on an 8-byte boundary (PE specification section 5.7). */

import { ByteReader, ByteWriter, FormatError } from '../bytes/index.ts';
import type { PeImage } from './parse.ts';

export interface WinCertificate {
  readonly revision: number;
  /** 2 is PKCS #7 SignedData. */
  readonly type: number;
  readonly data: Uint8Array;
  /** In the table. Bytes. */
  readonly offset: number;
}

export const winCertRevision2 = 0x0200;
export const winCertPkcsSignedData = 0x0002;

const headerSize = 8;
const mostEntries = 64;
/** Bytes. A signature with its chain and timestamp is a few tens of KiB. */
const largestTable = 4 * 1024 * 1024;

/** The entries in file order; lengths and padding are checked, revision and type are not. @throws FormatError */
export function splitCertificateTable(table: Uint8Array): readonly WinCertificate[] {
  if (table.length > largestTable)
    throw new FormatError('too-large', `certificate table of ${table.length} bytes`);
  const reader = new ByteReader(table);
  const entries: WinCertificate[] = [];
  while (reader.remaining > 0) {
    const { offset } = reader;
    if (entries.length === mostEntries) {
      throw new FormatError('too-large', `more than ${mostEntries} signatures`, { offset });
    }
    const length = reader.u32('certificate length');
    const revision = reader.u16('certificate revision');
    const type = reader.u16('certificate type');
    if (length <= headerSize) {
      throw new FormatError('malformed', `certificate entry of ${length} bytes`, { offset });
    }
    const data = reader.bytes(length - headerSize, 'certificate');
    const padding = reader.bytes(Math.min(-length & 7, reader.remaining), 'padding');
    if (padding.some((octet) => octet !== 0)) {
      throw new FormatError('malformed', 'certificate entry: padding is not zero', { offset });
    }
    entries.push({ revision, type, data, offset });
  }
  return entries;
}

/** @throws FormatError unless the entry is an Authenticode signature. */
export function assertAuthenticode({ revision, type, offset }: WinCertificate): void {
  if (revision !== winCertRevision2) {
    throw new FormatError('unsupported', `certificate revision 0x${revision.toString(16)}, expected 0x200`, {
      offset: offset + 4,
    });
  }
  if (type !== winCertPkcsSignedData) {
    throw new FormatError('unsupported', `certificate type 0x${type.toString(16)}, expected 2 (PKCS #7)`, {
      offset: offset + 6,
    });
  }
}

/** The image's signatures; none is an empty list. @throws FormatError */
export function readSignatures(image: PeImage): readonly WinCertificate[] {
  if (image.certificateTable === undefined) return [];
  const { offset, size } = image.certificateTable;
  if (size > largestTable)
    throw new FormatError('too-large', `certificate table of ${size} bytes`, { offset });
  return splitCertificateTable(Uint8Array.from(image.source.read(offset, size)));
}

/** One entry for one Authenticode signature, padded to 8 bytes; its length field excludes the padding. */
export function encodeSignature(pkcs7: Uint8Array): Uint8Array<ArrayBuffer> {
  return new ByteWriter()
    .u32(headerSize + pkcs7.length)
    .u16(winCertRevision2)
    .u16(winCertPkcsSignedData)
    .bytes(pkcs7)
    .align(8)
    .finish();
}
