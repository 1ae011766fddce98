/** Checking every Authenticode signature of an image, as ordered checks; firmware is content with one good one. */

import { contentTypes, parseSignedData, verifySignedData } from '../cms/index.ts';
import type { SignatureCheckId, TrustOptions } from '../cms/index.ts';
import { FormatError, toHex } from '../bytes/index.ts';
import type { ByteSource } from '../bytes/index.ts';
import { DerReader } from '../der/index.ts';
import { digestOf } from '../x509/index.ts';
import type { Certificate, DigestAlgorithm } from '../x509/index.ts';
import { assertAuthenticode, readSignatures } from './certificate-table.ts';
import type { WinCertificate } from './certificate-table.ts';
import { authenticodeDigest, findUncovered } from './digest.ts';
import { parsePe } from './parse.ts';

export interface PeSignatureCheck {
  readonly id: 'coverage' | 'format' | 'digest' | SignatureCheckId;
  readonly ok: boolean;
  readonly expected: string;
  readonly found: string;
}

export interface PeSignatureResult {
  readonly ok: boolean;
  readonly certificate: Certificate | undefined;
  /** The trusted certificate the signer's leads to. */
  readonly anchor: Certificate | undefined;
  readonly checks: readonly PeSignatureCheck[];
}

export interface PeVerification {
  /** SHA-256 Authenticode digest of the file as it is, lower-case hex: what firmware measures. */
  readonly digest: string;
  /** One a signature, in file order; empty when the image is not signed. */
  readonly signatures: readonly PeSignatureResult[];
  /** At least one signature is good. */
  readonly ok: boolean;
}

/** @throws FormatError when `source` is no PE image or its certificate table cannot be divided into entries. */
export function verifyPe(source: ByteSource, options: TrustOptions): PeVerification {
  const image = parsePe(source);
  const uncovered = findUncovered(image);
  const coverage: PeSignatureCheck = {
    id: 'coverage',
    ok: uncovered === undefined,
    expected: 'every byte is in a header or one section',
    found: uncovered ?? 'every byte is in a header or one section',
  };
  const digests = new Map<DigestAlgorithm, string>();
  const digestFor = (algorithm: DigestAlgorithm): string => {
    const digest = digests.get(algorithm) ?? toHex(authenticodeDigest(image, { algorithm }));
    digests.set(algorithm, digest);
    return digest;
  };
  const signatures = readSignatures(image).map((entry): PeSignatureResult => {
    const { certificate, anchor, checks: own } = verifyEntry(entry, { ...options, digestFor });
    const checks = [coverage, ...own];
    return { ok: checks.every(({ ok }) => ok), certificate, anchor, checks };
  });
  return { digest: digestFor('sha256'), signatures, ok: signatures.some(({ ok }) => ok) };
}

interface EntryOptions extends TrustOptions {
  readonly digestFor: (algorithm: DigestAlgorithm) => string;
}

function verifyEntry(entry: WinCertificate, options: EntryOptions): Omit<PeSignatureResult, 'ok'> {
  try {
    assertAuthenticode(entry);
    const message = parseSignedData(unpadded(entry.data));
    const [signer, ...others] = message.signers;
    if (message.contentType !== contentTypes.spcIndirectData || message.content === undefined) {
      throw new FormatError('malformed', `content type ${message.contentType} is not an Authenticode digest`);
    }
    if (signer === undefined || others.length > 0) {
      throw new FormatError('malformed', `${message.signers.length} signers, expected one`);
    }
    const { algorithm, digest } = parseIndirectData(message.content);
    const expected = options.digestFor(algorithm);
    const digestCheck: PeSignatureCheck = { id: 'digest', ok: digest === expected, expected, found: digest };
    const [result] = verifySignedData(message, options);
    return {
      certificate: result?.certificate,
      anchor: result?.anchor,
      checks: [digestCheck, ...(result?.checks ?? [])],
    };
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    const check = {
      id: 'format',
      ok: false,
      expected: 'an Authenticode signature',
      found: error.message,
    } as const;
    return { certificate: undefined, anchor: undefined, checks: [check] };
  }
}

export interface IndirectData {
  readonly algorithm: DigestAlgorithm;
  /** Lower-case hex. */
  readonly digest: string;
}

/** The digest inside SpcIndirectDataContent, given its content octets. @throws FormatError */
export function parseIndirectData(content: Uint8Array): IndirectData {
  const reader = new DerReader(content);
  reader.sequence('Authenticode data');
  const info = reader.sequence('Authenticode digest');
  const algorithmReader = info.sequence('digest algorithm');
  const oid = algorithmReader.oid('digest algorithm');
  if (!algorithmReader.done) algorithmReader.null('digest parameters');
  algorithmReader.end('digest algorithm');
  const digest = toHex(info.octetString('digest'));
  info.end('Authenticode digest');
  reader.end('Authenticode content');
  const algorithm = digestOf(oid);
  if (algorithm === undefined) throw new FormatError('unsupported', `digest algorithm ${oid} is refused`);
  return { algorithm, digest };
}

/** Some signers count the padding in the entry's length: zeros, fewer than 8, behind the message. */
function unpadded(data: Uint8Array): Uint8Array {
  const { bytes } = new DerReader(data).any('signature');
  const rest = data.subarray(bytes.length);
  return rest.length < 8 && rest.every((octet) => octet === 0) ? bytes : data;
}
