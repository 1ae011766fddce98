/** The key derivations of a TPM: KDFa and KDFe (TPM 2.0 Library Part 1, section 11.4.10). */

import { createHmac } from 'node:crypto';
import { digestWith } from './algorithms.ts';
import type { TpmHash } from './algorithms.ts';
import { tpmWriter } from './wire.ts';

export interface KdfaInput {
  readonly hash: TpmHash;
  readonly key: Uint8Array;
  /** ASCII, without the terminating zero that is added here. */
  readonly label: string;
  readonly contextU?: Uint8Array;
  readonly contextV?: Uint8Array;
}

export interface KdfeInput {
  readonly hash: TpmHash;
  /** x coordinate of the shared point. */
  readonly z: Uint8Array;
  readonly label: string;
  /** x coordinates of the two public keys. */
  readonly partyU: Uint8Array;
  readonly partyV: Uint8Array;
}

/** SP 800-108 in counter mode with HMAC. `bits` is a multiple of 8. */
export function kdfa(input: KdfaInput, bits: number): Uint8Array {
  const { hash, key, label, contextU = new Uint8Array(), contextV = new Uint8Array() } = input;
  return collect(bits, (counter) => {
    const data = tpmWriter().u32(counter).bytes(labelBytes(label)).bytes(contextU).bytes(contextV).u32(bits);
    return createHmac(hash, key).update(data.finish()).digest();
  });
}

/** SP 800-56A, concatenation with a hash. `bits` is a multiple of 8. */
export function kdfe(input: KdfeInput, bits: number): Uint8Array {
  const { hash, z, label, partyU, partyV } = input;
  return collect(bits, (counter) =>
    digestWith(hash, tpmWriter().u32(counter).finish(), z, labelBytes(label), partyU, partyV),
  );
}

function labelBytes(label: string): Uint8Array {
  return Buffer.from(`${label}\0`, 'latin1');
}

function collect(bits: number, block: (counter: number) => Uint8Array): Uint8Array {
  const bytes = new Uint8Array(bits / 8);
  for (let at = 0, counter = 1; at < bytes.length; counter += 1) {
    const piece = block(counter).subarray(0, bytes.length - at);
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}
