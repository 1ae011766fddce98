/** What a quote is made over besides PCRs: the nonce, and the key of the TLS connection that carries it. */

import { createHash } from 'node:crypto';
import { evidenceSchemaName } from './messages.ts';

export interface QualifyingDataParts {
  /** 32 bytes. */
  readonly nonce: Uint8Array;
  /** SubjectPublicKeyInfo, DER. */
  readonly tlsKey: Uint8Array;
}

/** TPM extraData, 32 bytes: SHA-256( "osguard/evidence/v1" NUL ‖ nonce ‖ SHA-256(tlsKey) ). */
export function evidenceQualifyingData({ nonce, tlsKey }: QualifyingDataParts): Uint8Array<ArrayBuffer> {
  const key = createHash('sha256').update(tlsKey).digest();
  const digest = createHash('sha256').update(`${evidenceSchemaName}\0`).update(nonce).update(key).digest();
  return new Uint8Array(digest);
}
