/** The signer whose key is a PKCS #8 PEM file (RFC 5958), through node:crypto. */

import { createPrivateKey, createPublicKey, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { equalBytes } from '@osguard/formats/bytes';
import { importPublicKey } from '@osguard/formats/x509';
import type { Certificate } from '@osguard/formats/x509';
import { KeysError } from './error.ts';
import type { KeyRole } from './roles.ts';
import type { Signer } from './signer.ts';

export interface FileSignerOptions {
  readonly role: KeyRole;
  readonly certificate: Certificate;
  /** For messages. */
  readonly file: string;
}

/** @throws KeysError `invalid` when the key cannot be read or is not the certificate's. */
export function fileSigner(privateKeyPem: string | Buffer, options: FileSignerOptions): Signer {
  const { role, certificate, file } = options;
  const key = importPrivateKey(privateKeyPem, file);
  const publicKey = createPublicKey(key).export({ format: 'der', type: 'spki' });
  const expected = importPublicKey(certificate).export({ format: 'der', type: 'spki' });
  if (!equalBytes(publicKey, expected)) {
    throw new KeysError('invalid', `${file} is not the key of the certificate ${certificate.subjectText}`);
  }
  return Object.freeze({
    role,
    certificate,
    // The key lives in this closure only: there is no property to print.
    async sign(digestAlgorithm, data) {
      try {
        return sign(digestAlgorithm, data, key);
      } catch {
        throw new KeysError('signing-failed', `${file}: signing with ${digestAlgorithm} failed`);
      }
    },
  } satisfies Signer);
}

function importPrivateKey(pem: string | Buffer, file: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch {
    // The cause is dropped on purpose: what OpenSSL says may quote the input.
    throw new KeysError('invalid', `${file}: not an unencrypted private key in PEM`);
  }
}
