/** An envelope in two steps, for signers that only sign bytes: hash and sign `toSign`, then `finish`. */

import { encodeDsse, preAuthenticationEncoding } from './envelope.ts';

export interface DsseContent {
  readonly payloadType: string;
  readonly payload: Uint8Array;
  /** Hint for verifiers; the SHA-256 fingerprint of the certificate as lower-case hex by convention here. */
  readonly keyid?: string;
}

export interface DssePlan {
  readonly digestAlgorithm: 'sha256';
  readonly toSign: Uint8Array<ArrayBuffer>;
  finish(signature: Uint8Array): Uint8Array<ArrayBuffer>;
}

export function planDsse({ payloadType, payload, keyid }: DsseContent): DssePlan {
  return {
    digestAlgorithm: 'sha256',
    toSign: preAuthenticationEncoding(payloadType, payload),
    finish: (sig) =>
      encodeDsse({ payloadType, payload, signatures: [keyid === undefined ? { sig } : { keyid, sig }] }),
  };
}
