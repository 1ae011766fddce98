/** TLS certificates of the verifier's servers, issued by the role verifier (RFC 5280; names as RFC 9525 wants them). */

import { isIP } from 'node:net';
import { derBitString, derElement, derOctetString, derOid, derSequence } from '@osguard/formats/der';
import {
  extensionOids,
  keyUsageDigitalSignature,
  planCertificate,
  serverAuthentication,
} from '@osguard/formats/x509';
import { keyIdentifierOf } from './certificate.ts';
import { KeysError } from './error.ts';
import { assertRole } from './roles.ts';
import { completePlan } from './signer.ts';
import type { Signer } from './signer.ts';

export interface ServerCertificateOptions {
  /** DNS names and IP addresses clients connect to; at least one. */
  readonly names: readonly string[];
  /** SubjectPublicKeyInfo of a P-256 key, DER. */
  readonly publicKey: Uint8Array;
  /** 16 random bytes. */
  readonly serial: Uint8Array;
  /** Milliseconds since 1970. */
  readonly notBefore: number;
  readonly notAfter: number;
}

const dnsName =
  /^(?=.{1,253}$)(?:\*\.)?[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/i;

/** The certificate, DER. @throws KeysError unless the role is verifier, or when a name is neither a host nor an address. */
export async function issueServerCertificate(
  signer: Signer,
  options: ServerCertificateOptions,
): Promise<Uint8Array<ArrayBuffer>> {
  assertRole(signer, { roles: ['verifier'], what: 'a TLS certificate of the verifier' });
  const [first] = options.names;
  if (first === undefined) throw new KeysError('invalid', 'a server certificate needs at least one name');
  const { publicKey, notBefore, notAfter } = options;
  const serial = Uint8Array.from(options.serial);
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40;
  const issuerKey = keyIdentifierOf(signer.certificate.publicKey);
  const plan = planCertificate({
    commonName: 'osguard verifier server',
    serial,
    notBefore,
    // Never longer than its authority.
    notAfter: Math.min(notAfter, signer.certificate.notAfter),
    publicKey,
    keyKind: 'ec',
    digestAlgorithm: 'sha256',
    issuer: { name: signer.certificate.subject, keyKind: signer.certificate.keyKind ?? 'rsa' },
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
        value: derSequence(derOid(serverAuthentication)),
      },
      {
        oid: extensionOids.subjectAltName,
        critical: false,
        value: derSequence(...options.names.map(generalName)),
      },
      {
        oid: extensionOids.subjectKeyIdentifier,
        critical: false,
        value: derOctetString(keyIdentifierOf(publicKey)),
      },
      {
        oid: extensionOids.authorityKeyIdentifier,
        critical: false,
        value: derSequence(derElement(0x80, issuerKey)),
      },
    ],
  });
  return completePlan(signer, { ...plan, digestAlgorithm: 'sha256' });
}

/** GeneralName: dNSName [2] or iPAddress [7]. */
function generalName(name: string): Uint8Array {
  const kind = isIP(name);
  if (kind === 4) return derElement(0x87, Uint8Array.from(name.split('.'), Number));
  if (kind === 6) return derElement(0x87, ipv6Bytes(name));
  if (dnsName.test(name) && name !== '') return derElement(0x82, Buffer.from(name.toLowerCase(), 'latin1'));
  throw new KeysError('invalid', `${JSON.stringify(name)} is neither a DNS name nor an IP address`);
}

/** `name` is a valid IPv6 address; a zone is not part of an identity. */
function ipv6Bytes(name: string): Uint8Array {
  // The URL parser writes addresses in one form: groups in hex, IPv4 tails included.
  const canonical = new URL(`http://[${name.split('%')[0]}]`).hostname.slice(1, -1);
  const [head = '', tail] = canonical.split('::');
  const before = groups(head);
  const after = groups(tail ?? '');
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => '0');
  const bytes = new Uint8Array(16);
  for (const [index, group] of [...before, ...zeros, ...after].entries()) {
    bytes.set([Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 0xff], 2 * index);
  }
  return bytes;
}

function groups(text: string): string[] {
  return text === '' ? [] : text.split(':');
}
