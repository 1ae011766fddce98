/**
 * Attestation keys, read: what follows from the bytes of a public area and from nothing else. A node shows the same key
 * every few minutes, and reading and importing it costs as much as checking the rest of the quote.
 */

import { hash } from 'node:crypto';
import { toHex } from '@osguard/formats/bytes';
import { handleName, hashIds, parsePublicArea, tpmHandle } from '@osguard/formats/tpm2';
import type { TpmHash, TpmPublic } from '@osguard/formats/tpm2';

export interface ReadKey {
  /** Keeps its imported key once a signature was checked with it. */
  readonly area: TpmPublic;
  /** Algorithm and digest (TPM 2.0 Library Part 1, section 16), lower-case hex. */
  readonly name: string;
  /** The same below the owner hierarchy, whose primary key an attestation key is. */
  readonly qualifiedName: Uint8Array;
}

/** Some 4 KB each, half of it OpenSSL's. */
const mostKnown = 4096;
/** By the bytes of the public area, one character a byte; those that were asked for last are at the end. */
const known = new Map<string, ReadKey>();

/** @param bytes a TPMT_PUBLIC. @throws FormatError */
export function readKey(bytes: Uint8Array): ReadKey {
  const id = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
  const key = known.get(id) ?? parseKey(bytes);
  known.delete(id);
  known.set(id, key);
  if (known.size > mostKnown) forgetOldest();
  return key;
}

function forgetOldest(): void {
  for (const id of known.keys()) {
    known.delete(id);
    return;
  }
}

function parseKey(bytes: Uint8Array): ReadKey {
  // A copy: what is kept must not change with a buffer that is used again.
  const area = parsePublicArea(new Uint8Array(bytes));
  const name = nameOf(area.nameAlg, bytes);
  const parent = handleName(tpmHandle.owner);
  return {
    area,
    name: toHex(name),
    qualifiedName: nameOf(area.nameAlg, Buffer.concat([parent, name])),
  };
}

/** Of bytes that were parsed whole: nothing needs to be encoded again. */
function nameOf(algorithm: TpmHash, bytes: Uint8Array): Uint8Array {
  const id = hashIds[algorithm];
  return Buffer.concat([Uint8Array.of(id >> 8, id & 0xff), hash(algorithm, bytes, 'buffer')]);
}
