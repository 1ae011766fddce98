/**
 * Certificates for the TLS keys of trusted nodes: what a node shows to others that do not ask the verifier themselves.
 * Each ends when the verdict does. The authority is the verifier's own, made once in its state folder; it vouches for
 * nothing else, and its certificate is public.
 */

import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  sign,
} from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import {
  derBitString,
  derBoolean,
  derElement,
  derInteger,
  derOctetString,
  derOid,
  derSequence,
} from '@osguard/formats/der';
import {
  clientAuthentication,
  decodePem,
  encodePem,
  extensionOids,
  keyUsageAuthority,
  keyUsageDigitalSignature,
  parseCertificate,
  planCertificate,
  serverAuthentication,
} from '@osguard/formats/x509';
import type { CertificateRequest } from '@osguard/formats/x509';
import { coordinatesOf } from '../token/keys.ts';
import { ServiceError } from './error.ts';

export interface NodeAuthority {
  /** PEM. */
  readonly certificate: string;
  /** The node's certificate and the authority's, PEM. @throws ServiceError when the key is not on P-256 */
  issue(request: NodeCertificateRequest): string;
}

export interface NodeCertificateRequest {
  /** Node id. */
  readonly node: string;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array;
  /** Milliseconds since 1970. */
  readonly now: number;
  readonly expires: number;
}

const year = 365 * 86_400_000;
/** For receivers whose clock is a little behind. */
const backdate = 60_000;

/** Key and certificate of a new authority, PEM in one file. */
export function makeNodeAuthority(now: number): string {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }));
  const certificate = signed(privateKey, {
    ...common(now - backdate, now + 10 * year),
    commonName: 'osguard verifier nodes',
    publicKey: spki,
    extensions: [
      {
        oid: extensionOids.basicConstraints,
        critical: true,
        value: derSequence(derBoolean(true), derInteger(0)),
      },
      {
        oid: extensionOids.keyUsage,
        critical: true,
        value: derBitString(Uint8Array.of(keyUsageAuthority), 1),
      },
      {
        oid: extensionOids.subjectKeyIdentifier,
        critical: false,
        value: derOctetString(keyIdentifier(spki)),
      },
    ],
  });
  const key = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
  return `${key}${encodePem('CERTIFICATE', certificate)}`;
}

/** `pem` is what makeNodeAuthority gave. @throws FormatError, ServiceError */
export function openNodeAuthority(pem: string): NodeAuthority {
  const [der] = decodePem('CERTIFICATE', pem);
  if (der === undefined) throw new ServiceError('state', 'the authority of nodes has no certificate');
  const own = parseCertificate(der);
  const key = createPrivateKey(pem);
  const spki = createPublicKey(key).export({ format: 'der', type: 'spki' });
  if (!spki.equals(own.publicKey))
    throw new ServiceError('state', 'key and certificate of the authority of nodes differ');
  const certificate = encodePem('CERTIFICATE', der);
  return {
    certificate,
    issue({ node, publicKey, now, expires }) {
      if (coordinatesOf(publicKey) === undefined) {
        throw new ServiceError('option', 'only TLS keys on P-256 get a certificate');
      }
      const leaf = signed(key, {
        ...common(now - backdate, Math.min(expires, own.notAfter)),
        commonName: node,
        publicKey,
        issuer: { name: own.subject, keyKind: 'ec' },
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
            value: derSequence(derOid(clientAuthentication), derOid(serverAuthentication)),
          },
          { oid: extensionOids.subjectAltName, critical: false, value: derSequence(nodeName(node)) },
          {
            oid: extensionOids.authorityKeyIdentifier,
            critical: false,
            value: derSequence(derElement(0x80, keyIdentifier(own.publicKey))),
          },
        ],
      });
      return `${encodePem('CERTIFICATE', leaf)}${certificate}`;
    },
  };
}

type Common = Pick<CertificateRequest, 'serial' | 'notBefore' | 'notAfter' | 'keyKind' | 'digestAlgorithm'>;

function common(notBefore: number, notAfter: number): Common {
  const serial = Uint8Array.from(randomBytes(16));
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40;
  return { serial, notBefore, notAfter, keyKind: 'ec', digestAlgorithm: 'sha256' };
}

function signed(key: KeyObject, request: CertificateRequest): Uint8Array {
  const plan = planCertificate(request);
  return plan.finish(sign('sha256', plan.toSign, key));
}

/** GeneralName: the id as a URN. What people call the node was chosen by the node and proves nothing. */
function nodeName(node: string): Uint8Array {
  return derElement(0x86, Buffer.from(`urn:osguard:node:${node}`, 'latin1'));
}

function keyIdentifier(publicKey: Uint8Array): Uint8Array {
  return createHash('sha256').update(publicKey).digest().subarray(0, 20);
}
