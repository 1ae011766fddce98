/** Distinguished names (RFC 5280 section 4.1.2.4), read for people and for finding certificates. */

import { FormatError } from '../bytes/index.ts';
import { derOid, derSequence, derSetOf, DerReader, derTag, derUtf8String } from '../der/index.ts';

export interface NameAttribute {
  readonly oid: string;
  readonly value: string;
}

const shortNames: Readonly<Record<string, string>> = {
  '2.5.4.3': 'CN',
  '2.5.4.6': 'C',
  '2.5.4.7': 'L',
  '2.5.4.8': 'ST',
  '2.5.4.10': 'O',
  '2.5.4.11': 'OU',
};
const commonNameOid = '2.5.4.3';
const mostAttributes = 64;

/** The attributes in the order of the certificate. `der` is the whole Name element. */
export function parseName(der: Uint8Array): readonly NameAttribute[] {
  const outer = new DerReader(der);
  const names = outer.sequence('name');
  outer.end('name');
  const attributes: NameAttribute[] = [];
  while (!names.done) {
    const set = names.enter(derTag.set, 'relative name');
    do {
      const pair = set.sequence('name attribute');
      const oid = pair.oid('attribute type');
      const value = pair.any('attribute value');
      pair.end('name attribute');
      attributes.push({ oid, value: textOf(value.tag, value.content) });
      if (attributes.length > mostAttributes) {
        throw new FormatError('too-large', `name: more than ${mostAttributes} attributes`, {
          offset: value.offset,
        });
      }
    } while (!set.done);
  }
  return attributes;
}

/** `CN=osguard boot, O=Example`: for people, never for comparison (compare the DER). */
export function formatName(attributes: readonly NameAttribute[]): string {
  return attributes.map(({ oid, value }) => `${shortNames[oid] ?? oid}=${printable(value)}`).join(', ');
}

export function commonName(attributes: readonly NameAttribute[]): string | undefined {
  return attributes.findLast(({ oid }) => oid === commonNameOid)?.value;
}

/** A Name of one common name. */
export function encodeCommonName(text: string): Uint8Array<ArrayBuffer> {
  if (text === '' || text.length > 64) {
    throw new FormatError('not-encodable', `common name: 1 to 64 characters, not ${text.length}`);
  }
  return derSequence(derSetOf(derSequence(derOid(commonNameOid), derUtf8String(text))));
}

function textOf(tag: number, content: Uint8Array): string {
  const bytes = Buffer.from(content.buffer, content.byteOffset, content.byteLength);
  if (tag !== derTag.bmpString) return bytes.toString(tag === derTag.utf8String ? 'utf8' : 'latin1');
  return Buffer.from(bytes.subarray(0, bytes.length & ~1))
    .swap16()
    .toString('utf16le');
}

/** Control characters of a hostile certificate must not reach a terminal. */
function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}]/gu, '?');
}
