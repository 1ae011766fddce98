/**
 * Public key checks: one signature, and the way from a signer's certificate to one that is trusted.
 *
 * Trust is by exact certificate, as in a UEFI db or a kernel keyring: reaching one of the given certificates
 * is enough, whether or not it is self-signed. Like firmware and kernel, paths ignore validity dates; whoever
 * has a clock looks at them apart.
 */

import { createPublicKey, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { equalBytes, FormatError } from '../bytes/index.ts';
import { DerReader, derTag } from '../der/index.ts';
import type { Certificate } from './certificate.ts';
import { extensionOids } from './encode.ts';
import { signatureKind } from './oids.ts';
import type { DigestAlgorithm } from './oids.ts';

/** Certificates between a signer and its anchor, both included. */
const longestPath = 8;
/** Bits: below this an RSA key proves nothing. */
const weakestRsa = 2048;

/** @throws FormatError when the key is not RSA of 2048 bits or more, or on a NIST curve. */
export function importPublicKey(certificate: Certificate): KeyObject {
  let key: KeyObject;
  try {
    key = createPublicKey({ key: Buffer.from(certificate.publicKey), format: 'der', type: 'spki' });
  } catch (cause) {
    throw new FormatError('malformed', `public key of ${certificate.subjectText}: not readable`, { cause });
  }
  const details = key.asymmetricKeyDetails ?? {};
  const strong = key.asymmetricKeyType === 'rsa' && (details.modulusLength ?? 0) >= weakestRsa;
  const curve =
    key.asymmetricKeyType === 'ec' && /^(prime256v1|secp384r1|secp521r1)$/.test(details.namedCurve ?? '');
  if (!strong && !curve) {
    throw new FormatError(
      'unsupported',
      `public key of ${certificate.subjectText}: only RSA from ${weakestRsa} bits and P-256, P-384, P-521 are accepted`,
    );
  }
  return key;
}

export interface SignatureToCheck {
  readonly digestAlgorithm: DigestAlgorithm;
  readonly data: Uint8Array;
  readonly signature: Uint8Array;
}

/** True when `signature` is RSA PKCS #1 v1.5 or ECDSA (DER) over `data` by the certificate's key. */
export function isSignedBy(certificate: Certificate, claim: SignatureToCheck): boolean {
  const key = importPublicKey(certificate);
  try {
    return verify(claim.digestAlgorithm, claim.data, key, claim.signature);
  } catch {
    // OpenSSL throws on some malformed signatures instead of saying no.
    return false;
  }
}

/** The certificates from `leaf` to a trusted one, or undefined when no path leads there. */
export function findTrustPath(
  leaf: Certificate,
  pools: { readonly trusted: readonly Certificate[]; readonly others: readonly Certificate[] },
): readonly Certificate[] | undefined {
  const path = [leaf];
  const { trusted, others } = pools;
  for (let current = leaf; path.length <= longestPath;) {
    if (trusted.some((anchor) => equalBytes(anchor.der, current.der))) return path;
    const issuer =
      trusted.find((candidate) => issued(candidate, current)) ??
      others.find((candidate) => !path.includes(candidate) && issued(candidate, current));
    if (issuer === undefined) return undefined;
    path.push(issuer);
    current = issuer;
  }
  return undefined;
}

/** True when `issuer` may sign certificates and signed this one. */
function issued(issuer: Certificate, subject: Certificate): boolean {
  if (!equalBytes(issuer.subject, subject.issuer)) return false;
  const kind = signatureKind(subject.signatureOid);
  if (kind?.digest === undefined || kind.key !== issuer.keyKind) return false;
  try {
    const claim = { digestAlgorithm: kind.digest, data: subject.tbs, signature: subject.signature };
    return isAuthority(issuer) && isSignedBy(issuer, claim);
  } catch (error) {
    if (error instanceof FormatError) return false;
    throw error;
  }
}

/** basicConstraints CA and, when keyUsage is there, keyCertSign (RFC 5280 section 6.1.4 k and n). */
export function isAuthority(certificate: Certificate): boolean {
  const find = (oid: string): Uint8Array | undefined =>
    certificate.extensions.find((extension) => extension.oid === oid)?.value;
  const constraints = find(extensionOids.basicConstraints);
  if (constraints === undefined) return false;
  const inner = new DerReader(constraints).sequence('basic constraints');
  if (inner.peek() !== derTag.boolean || !inner.boolean('CA')) return false;
  const usage = find(extensionOids.keyUsage);
  if (usage === undefined) return true;
  const bits = new DerReader(usage).element(derTag.bitString, 'key usage').content;
  return ((bits[1] ?? 0) & 0x04) !== 0;
}
