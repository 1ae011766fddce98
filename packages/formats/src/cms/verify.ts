/**
 * Verifying SignedData (RFC 5652 sections 5.4 to 5.6) against certificates one trusts: for every signer an
 * ordered list of checks. What is missing is a failed check; a message without signers has no good signer.
 */

import { createHash } from 'node:crypto';
import { equalBytes, FormatError, toHex } from '../bytes/index.ts';
import { DerReader, derTag } from '../der/index.ts';
import {
  digestOf,
  extensionOids,
  findTrustPath,
  isSignedBy,
  refusedDigestOids,
  signatureKind,
} from '../x509/index.ts';
import type { Certificate, DigestAlgorithm } from '../x509/index.ts';
import { attributeTypes, contentTypes } from './oids.ts';
import type { SignedAttributes, SignedData, SignerInfo } from './parse.ts';

export type SignatureCheckId =
  | 'content'
  | 'algorithms'
  | 'attributes'
  | 'certificate'
  | 'trust'
  | 'validity'
  | 'signature';

export interface SignatureCheck {
  readonly id: SignatureCheckId;
  readonly ok: boolean;
  readonly expected: string;
  readonly found: string;
}

export interface SignerResult {
  /** All checks hold. */
  readonly ok: boolean;
  /** The signer's certificate, from the message or from the trusted ones; undefined when neither has it. */
  readonly certificate: Certificate | undefined;
  /** The trusted certificate the signer's leads to. */
  readonly anchor: Certificate | undefined;
  readonly checks: readonly SignatureCheck[];
}

export interface VerifyOptions {
  readonly trusted: readonly Certificate[];
  /** The signed octets of a detached signature. */
  readonly content?: Uint8Array;
  /** Milliseconds since 1970: adds a validity check at that time (firmware and kernel make none). */
  readonly at?: number;
}

/** One result a signer, in the order of the message. */
export function verifySignedData(message: SignedData, options: VerifyOptions): readonly SignerResult[] {
  return message.signers.map((info) => verifySigner(info, message, options));
}

/** True when there is a signer and every signer's checks hold. */
export function allSignersGood(results: readonly SignerResult[]): boolean {
  return results.length > 0 && results.every(({ ok }) => ok);
}

function verifySigner(info: SignerInfo, message: SignedData, options: VerifyOptions): SignerResult {
  const checks: SignatureCheck[] = [];
  const check = (id: SignatureCheckId, expected: string, found: string, ok = expected === found): void => {
    checks.push({ id, ok, expected, found });
  };

  const content = theContent(message, options.content);
  check('content', 'signed content, either inside or given', content.found, content.bytes !== undefined);

  const digest = digestOf(info.digestOid);
  const kind = signatureKind(info.signatureOid);
  const listed = message.digestOids.includes(info.digestOid);
  const agreed = listed && kind !== undefined && digest !== undefined && (kind.digest ?? digest) === digest;
  check(
    'algorithms',
    'SHA-256, SHA-384 or SHA-512 with RSA (PKCS #1 v1.5) or ECDSA',
    agreed ? `${digest} with ${kind.key}` : describeAlgorithms(info),
    agreed,
  );

  const attributes = checkAttributes(info.attributes, { message, content: content.bytes, digest });
  check('attributes', attributes.expected, attributes.found);

  const certificate = findSigner(info, [...options.trusted, ...message.certificates]);
  check(
    'certificate',
    "the signer's certificate, inside or among the trusted",
    certificate?.subjectText ?? describeSigner(info),
    certificate !== undefined,
  );

  const path =
    certificate && findTrustPath(certificate, { trusted: options.trusted, others: message.certificates });
  check(
    'trust',
    'a path to a trusted certificate',
    path === undefined ? 'none' : path.map((each) => each.subjectText).join(' < '),
    path !== undefined,
  );

  if (options.at !== undefined) {
    const { at } = options;
    const valid = certificate !== undefined && certificate.notBefore <= at && at <= certificate.notAfter;
    check('validity', `valid at ${isoTime(at)}`, describeValidity(certificate), valid);
  }

  const toCheck = info.attributes?.toSign ?? content.bytes;
  const verdict = checkSignature(info, { certificate, digest: agreed ? digest : undefined, toCheck });
  check('signature', 'verifies', verdict);

  return { ok: checks.every(({ ok }) => ok), certificate, anchor: path?.at(-1), checks };
}

function theContent(
  message: SignedData,
  given: Uint8Array | undefined,
): { readonly bytes: Uint8Array | undefined; readonly found: string } {
  if (message.content !== undefined && given !== undefined && !equalBytes(message.content, given)) {
    return { bytes: undefined, found: 'content inside differs from the content given' };
  }
  const bytes = message.content ?? given;
  return { bytes, found: bytes === undefined ? 'none' : `${bytes.length} bytes` };
}

interface AttributeContext {
  readonly message: SignedData;
  readonly content: Uint8Array | undefined;
  readonly digest: DigestAlgorithm | undefined;
}

/** RFC 5652 section 5.3: with attributes, contentType and messageDigest must be there once and be right. */
function checkAttributes(
  attributes: SignedAttributes | undefined,
  { message, content, digest }: AttributeContext,
): { readonly expected: string; readonly found: string } {
  const { contentType } = message;
  if (attributes === undefined) {
    return contentType === contentTypes.data
      ? { expected: 'none needed', found: 'none needed' }
      : { expected: `signed attributes, as content type ${contentType} needs them`, found: 'none' };
  }
  const expected = `content type ${contentType}, digest ${
    content === undefined || digest === undefined
      ? 'unknown'
      : toHex(createHash(digest).update(content).digest())
  }`;
  const type = onlyValue(attributes, { type: attributeTypes.contentType, tag: derTag.oid });
  const value = onlyValue(attributes, { type: attributeTypes.messageDigest, tag: derTag.octetString });
  const typeText = type === undefined ? 'missing' : new DerReader(type.bytes).oid('content type');
  const digestText = value === undefined || digest === undefined ? 'missing' : toHex(value.content);
  return { expected, found: `content type ${typeText}, digest ${digestText}` };
}

function onlyValue(
  attributes: SignedAttributes,
  wanted: { readonly type: string; readonly tag: number },
): { readonly bytes: Uint8Array; readonly content: Uint8Array } | undefined {
  const [only, ...more] = attributes.list.filter(({ type }) => type === wanted.type);
  const [value, ...others] = only?.values ?? [];
  return more.length === 0 && others.length === 0 && value?.tag === wanted.tag ? value : undefined;
}

function findSigner({ signer }: SignerInfo, pool: readonly Certificate[]): Certificate | undefined {
  if (signer.kind === 'issuer') {
    return pool.find(
      (each) => equalBytes(each.issuer, signer.issuer) && equalBytes(each.serial, signer.serial),
    );
  }
  return pool.find((each) => {
    const extension = each.extensions.find(({ oid }) => oid === extensionOids.subjectKeyIdentifier);
    // The extension value is itself an OCTET STRING: two header bytes, then the identifier.
    return extension !== undefined && equalBytes(extension.value.subarray(2), signer.identifier);
  });
}

interface SignatureContext {
  readonly certificate: Certificate | undefined;
  readonly digest: DigestAlgorithm | undefined;
  readonly toCheck: Uint8Array | undefined;
}

function checkSignature(info: SignerInfo, { certificate, digest, toCheck }: SignatureContext): string {
  if (certificate === undefined) return 'no certificate to check it with';
  if (digest === undefined) return 'algorithms are refused';
  if (toCheck === undefined) return 'no content to check it over';
  if (signatureKind(info.signatureOid)?.key !== certificate.keyKind) return 'key is of another kind';
  try {
    const claim = { digestAlgorithm: digest, data: toCheck, signature: info.signature };
    return isSignedBy(certificate, claim) ? 'verifies' : 'does not verify';
  } catch (error) {
    if (error instanceof FormatError) return error.message;
    throw error;
  }
}

function describeAlgorithms(info: SignerInfo): string {
  const digest = digestOf(info.digestOid) ?? refusedDigestOids[info.digestOid] ?? info.digestOid;
  return `digest ${digest}, signature ${info.signatureOid}`;
}

function describeSigner({ signer }: SignerInfo): string {
  return signer.kind === 'issuer'
    ? `no certificate with serial number ${toHex(signer.serial)} of that issuer`
    : `no certificate with key identifier ${toHex(signer.identifier)}`;
}

function describeValidity(certificate: Certificate | undefined): string {
  if (certificate === undefined) return 'no certificate';
  return `${isoTime(certificate.notBefore)} to ${isoTime(certificate.notAfter)}`;
}

function isoTime(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace('.000Z', 'Z');
}
