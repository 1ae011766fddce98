/**
 * Who the node is on one TLS channel: a key made for it and thrown away with it, in a certificate that nobody vouches for.
 * The TPM's quote names this key, and that is what makes it count.
 */

import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { derBitString, derOid, derSequence } from '@osguard/formats/der';
import {
  clientAuthentication,
  encodePem,
  extensionOids,
  keyUsageDigitalSignature,
  planCertificate,
} from '@osguard/formats/x509';

export interface ChannelIdentity {
  /** PKCS #8, PEM. */
  readonly key: string;
  /** PEM. */
  readonly certificate: string;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array;
}

/** RFC 5280 section 4.1.2.5: the certificate must not depend on the clock of a machine that has just booted. */
const notBefore = Date.UTC(2020, 0, 1);
const notAfter = Date.UTC(9999, 11, 31, 23, 59, 59);

export function createChannelIdentity(): ChannelIdentity {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = Uint8Array.from(publicKey.export({ type: 'spki', format: 'der' }));
  const serial = randomBytes(16);
  // Positive and without leading zeros.
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40;
  const plan = planCertificate({
    commonName: 'osguard node channel',
    serial,
    notBefore,
    notAfter,
    publicKey: spki,
    keyKind: 'ec',
    digestAlgorithm: 'sha256',
    extensions: [
      { oid: extensionOids.basicConstraints, critical: true, value: derSequence() },
      {
        oid: extensionOids.keyUsage,
        critical: true,
        value: derBitString(Uint8Array.of(keyUsageDigitalSignature), 7),
      },
      {
        oid: extensionOids.extendedKeyUsage,
        critical: false,
        value: derSequence(derOid(clientAuthentication)),
      },
    ],
  });
  const certificate = plan.finish(sign('sha256', plan.toSign, privateKey));
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    certificate: encodePem('CERTIFICATE', certificate),
    publicKey: spki,
  };
}
