/**
 * RSAES-OAEP as a TPM uses it (RFC 8017 section 7.1; TPM 2.0 Library Part 1, section B.4): the seed comes from the
 * caller, which the runtime's own OAEP does not allow, and the label ends with a zero byte.
 */

import { constants, createHash, privateDecrypt, publicEncrypt } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { FormatError } from '../bytes/index.ts';
import { digestWith, hashSizes } from './algorithms.ts';
import type { TpmHash } from './algorithms.ts';
import { tpmWriter } from './wire.ts';

export interface OaepOptions {
  readonly hash: TpmHash;
  /** Without the zero byte that ends it. */
  readonly label: string;
}

/** `seed` is as long as a digest and must be random. @throws FormatError (`not-encodable`) when `message` is too long. */
export function oaepEncrypt(
  key: KeyObject,
  message: Uint8Array,
  options: OaepOptions & { readonly seed: Uint8Array },
): Uint8Array {
  const { hash, label, seed } = options;
  const size = (key.asymmetricKeyDetails?.modulusLength ?? 0) / 8;
  const digestSize = hashSizes[hash];
  const dataSize = size - digestSize - 1;
  if (message.length > dataSize - digestSize - 1 || seed.length !== digestSize) {
    throw new FormatError('not-encodable', `${message.length} bytes with OAEP under a key of ${size} bytes`);
  }
  const data = new Uint8Array(dataSize);
  data.set(digestWith(hash, Buffer.from(`${label}\0`, 'latin1')));
  data[dataSize - message.length - 1] = 1;
  data.set(message, dataSize - message.length);
  const maskedData = xor(data, mask(hash, seed, dataSize));
  const maskedSeed = xor(seed, mask(hash, maskedData, digestSize));
  const block = Buffer.concat([Uint8Array.of(0), maskedSeed, maskedData]);
  return new Uint8Array(publicEncrypt({ key, padding: constants.RSA_NO_PADDING }, block));
}

/** Undefined when the ciphertext was not made for this key and label. */
export function oaepDecrypt(
  key: KeyObject,
  ciphertext: Uint8Array,
  options: OaepOptions,
): Uint8Array | undefined {
  const { hash, label } = options;
  try {
    const padding = constants.RSA_PKCS1_OAEP_PADDING;
    const oaepLabel = Buffer.from(`${label}\0`, 'latin1');
    return new Uint8Array(privateDecrypt({ key, padding, oaepHash: hash, oaepLabel }, ciphertext));
  } catch {
    return undefined;
  }
}

/** MGF1 (RFC 8017 section B.2.1). */
function mask(hash: TpmHash, seed: Uint8Array, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  for (let at = 0, counter = 0; at < size; counter += 1) {
    const block = createHash(hash).update(seed).update(tpmWriter().u32(counter).finish()).digest();
    bytes.set(block.subarray(0, size - at), at);
    at += block.length;
  }
  return bytes;
}

function xor(a: Uint8Array, b: Uint8Array): Uint8Array {
  return a.map((byte, i) => byte ^ (b[i] ?? 0));
}
