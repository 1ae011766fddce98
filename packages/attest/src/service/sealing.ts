/**
 * Secrets at rest: AES-256-GCM (NIST SP 800-38D) with a key that lies in a file of the verifier, not in the database. The
 * name is authenticated too, so that rows cannot be exchanged.
 */

import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { ServiceError } from './error.ts';

export const sealingKeySize = 32;
const version = 1;
const nonceSize = 12;
const tagSize = 16;

export interface Sealing {
  seal(plain: Uint8Array, label: string): Uint8Array;
  /** @throws ServiceError `state` when it was sealed with another key or under another label. */
  open(sealed: Uint8Array, label: string): Buffer;
}

/** Authenticated, not encrypted. */
const data = (label: string): Buffer => Buffer.from(`osguard/sealed/v${version}\0${label}`, 'utf8');

/** `key` has 32 bytes. */
export function createSealing(key: Uint8Array): Sealing {
  return {
    seal(plain, label) {
      const nonce = randomBytes(nonceSize);
      const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(data(label));
      return Buffer.concat([
        Uint8Array.of(version),
        nonce,
        cipher.update(plain),
        cipher.final(),
        cipher.getAuthTag(),
      ]);
    },
    open(sealed, label) {
      const bytes = Buffer.from(sealed);
      try {
        if (bytes[0] !== version || bytes.length < 1 + nonceSize + tagSize)
          throw new Error('not sealed by osguard');
        const nonce = bytes.subarray(1, 1 + nonceSize);
        const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: tagSize });
        decipher.setAAD(data(label)).setAuthTag(bytes.subarray(-tagSize));
        const body = bytes.subarray(1 + nonceSize, -tagSize);
        return Buffer.concat([decipher.update(body), decipher.final()]);
      } catch (cause) {
        throw new ServiceError('state', `${label}: cannot be opened with the key of this verifier`, {
          hint: 'replicas need the same secrets.key; a lost one means setting the secrets anew',
          cause,
        });
      }
    },
  };
}
