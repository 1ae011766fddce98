/** EFI_SIGNATURE_LIST (UEFI 2.10 section 32.4.1): the content of PK, KEK, db and dbx. */

import { ByteReader, ByteWriter, encodeGuid, FormatError, parseGuid } from '../bytes/index.ts';
import { signatureTypes } from './guids.ts';

export interface SignatureList {
  /** GUID of the kind of signature; see signatureTypes. */
  readonly type: string;
  readonly header: Uint8Array;
  /** All of one size. */
  readonly signatures: readonly EfiSignature[];
}

export interface EfiSignature {
  /** GUID of whoever put it there. */
  readonly owner: string;
  /** A certificate (DER), a digest, or what the type says. */
  readonly data: Uint8Array;
}

const listHeaderSize = 28;
const ownerSize = 16;
const mostSignatures = 65_536;

/** @throws FormatError unless `bytes` is a sequence of whole lists. */
export function parseSignatureLists(bytes: Uint8Array): readonly SignatureList[] {
  const reader = new ByteReader(bytes);
  const lists: SignatureList[] = [];
  let count = 0;
  while (reader.remaining > 0) {
    const list = parseList(reader, lists.length);
    count += list.signatures.length;
    if (count > mostSignatures) {
      throw new FormatError('too-large', `more than ${mostSignatures} signatures`, { offset: reader.offset });
    }
    lists.push(list);
  }
  return lists;
}

function parseList(reader: ByteReader, index: number): SignatureList {
  const { offset } = reader;
  const malformed = (why: string): FormatError =>
    new FormatError('malformed', `signature list ${index}: ${why}`, { offset });
  const type = parseGuid(reader.bytes(16, 'signature type'));
  const listSize = reader.u32('list size');
  const headerSize = reader.u32('header size');
  const signatureSize = reader.u32('signature size');
  if (listSize < listHeaderSize) throw malformed(`size ${listSize} is less than its header`);
  if (headerSize > listSize - listHeaderSize) throw malformed(`header of ${headerSize} bytes does not fit`);
  if (signatureSize <= ownerSize)
    throw malformed(`signature size ${signatureSize} has no room for a signature`);
  if (type === signatureTypes.sha256 && signatureSize !== ownerSize + 32) {
    throw malformed(`signature size ${signatureSize}, a SHA-256 digest has 32 bytes`);
  }
  const room = listSize - listHeaderSize - headerSize;
  if (room === 0 || room % signatureSize !== 0) {
    throw malformed(`${room} bytes are not a number of signatures of ${signatureSize} bytes`);
  }
  const header = reader.bytes(headerSize, 'list header');
  const body = reader.bytes(room, 'signatures');
  const signatures = Array.from({ length: room / signatureSize }, (_, i) => {
    const one = body.subarray(i * signatureSize, (i + 1) * signatureSize);
    return { owner: parseGuid(one), data: one.subarray(ownerSize) };
  });
  return { type, header, signatures };
}

/** @throws FormatError when the signatures of one list differ in size. */
export function encodeSignatureLists(lists: readonly SignatureList[]): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter();
  for (const { type, header, signatures } of lists) {
    const size = signatures[0]?.data.length ?? 0;
    if (size === 0 || signatures.some(({ data }) => data.length !== size)) {
      throw new FormatError('not-encodable', 'signature list: one or more signatures, all of one size');
    }
    writer
      .bytes(encodeGuid(type))
      .u32(listHeaderSize + header.length + signatures.length * (ownerSize + size))
      .u32(header.length)
      .u32(ownerSize + size)
      .bytes(header);
    for (const { owner, data } of signatures) writer.bytes(encodeGuid(owner)).bytes(data);
  }
  return writer.finish();
}

/** One list a certificate, as sizes differ. */
export function certificateLists(
  owner: string,
  certificates: readonly Uint8Array[],
): readonly SignatureList[] {
  return certificates.map((data) => ({
    type: signatureTypes.x509,
    header: new Uint8Array(),
    signatures: [{ owner, data }],
  }));
}

/** One list of SHA-256 Authenticode digests; none is no list. */
export function digestLists(owner: string, digests: readonly Uint8Array[]): readonly SignatureList[] {
  if (digests.some(({ length }) => length !== 32)) {
    throw new FormatError('not-encodable', 'signature list: SHA-256 digests have 32 bytes');
  }
  if (digests.length === 0) return [];
  const signatures = digests.map((data) => ({ owner, data }));
  return [{ type: signatureTypes.sha256, header: new Uint8Array(), signatures }];
}
