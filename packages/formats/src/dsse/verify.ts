/** Which of the trusted keys signed an envelope. Key IDs are hints: every key is tried on every signature. */

import { verify } from 'node:crypto';
import type { Certificate } from '../x509/index.ts';
import { importPublicKey } from '../x509/index.ts';
import type { DsseEnvelope } from './envelope.ts';
import { preAuthenticationEncoding } from './envelope.ts';

export interface DsseKey {
  /** For the verdict. */
  readonly name: string;
  readonly verify: (data: Uint8Array, signature: Uint8Array) => boolean;
}

export interface DsseVerdict {
  /** Names of the keys that signed, each once, in the order of `keys`. Empty: trust nothing in the payload. */
  readonly signedBy: readonly string[];
}

export function verifyDsse(envelope: DsseEnvelope, keys: readonly DsseKey[]): DsseVerdict {
  const data = preAuthenticationEncoding(envelope.payloadType, envelope.payload);
  const signedBy = keys
    .filter((key) => envelope.signatures.some(({ sig }) => key.verify(data, sig)))
    .map(({ name }) => name);
  return { signedBy: [...new Set(signedBy)] };
}

/** RSA PKCS #1 v1.5 or ECDSA with SHA-256, Ed25519 as it is; named by the certificate's subject. */
export function certificateDsseKey(certificate: Certificate): DsseKey {
  const key = importPublicKey(certificate);
  const digest = key.asymmetricKeyType?.startsWith('ed') === true ? null : 'sha256';
  return {
    name: certificate.subjectText,
    verify(data, signature) {
      try {
        return verify(digest, data, key, signature);
      } catch {
        // OpenSSL throws for signatures it cannot even decode.
        return false;
      }
    },
  };
}
