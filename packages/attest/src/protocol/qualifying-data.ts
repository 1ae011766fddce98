/** What a quote is made over besides PCRs: the nonce, and the key of the TLS connection that carries it. */

import { hash } from 'node:crypto';
import { evidenceSchemaName } from './messages.ts';

export interface QualifyingDataParts {
  /** 32 bytes. */
  readonly nonce: Uint8Array;
  /** SubjectPublicKeyInfo, DER. */
  readonly tlsKey: Uint8Array;
}

const label = Buffer.from(`${evidenceSchemaName}\0`);

/** TPM extraData, 32 bytes: SHA-256( "osguard/evidence/v1" NUL ‖ nonce ‖ SHA-256(tlsKey) ). */
export function evidenceQualifyingData({ nonce, tlsKey }: QualifyingDataParts): Uint8Array<ArrayBuffer> {
  const parts = Buffer.concat([label, nonce, hash('sha256', tlsKey, 'buffer')]);
  return new Uint8Array(hash('sha256', parts, 'buffer'));
}
