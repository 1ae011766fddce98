/** X.509 v3 certificates (RFC 5280 section 4.1), read strictly: what signature checks and listings need. */

import { createHash } from 'node:crypto';
import { FormatError, toHex } from '../bytes/index.ts';
import { DerReader, derTag } from '../der/index.ts';
import type { DerElement } from '../der/index.ts';
import { commonName, formatName, parseName } from './name.ts';
import { ecPublicKey, rsaEncryption } from './oids.ts';
import type { KeyKind } from './oids.ts';

export interface CertificateExtension {
  readonly oid: string;
  readonly critical: boolean;
  readonly value: Uint8Array;
}

export interface Certificate {
  /** The certificate itself. */
  readonly der: Uint8Array;
  /** The signed part, as firmware measures it. */
  readonly tbs: Uint8Array;
  /** Content octets of the serial number. */
  readonly serial: Uint8Array;
  /** Issuer name, DER. */
  readonly issuer: Uint8Array;
  /** Subject name, DER. */
  readonly subject: Uint8Array;
  readonly subjectText: string;
  readonly issuerText: string;
  readonly commonName: string | undefined;
  /** Milliseconds since 1970, UTC. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array;
  /** Undefined when the key is neither RSA nor elliptic. */
  readonly keyKind: KeyKind | undefined;
  readonly signatureOid: string;
  readonly signature: Uint8Array;
  readonly extensions: readonly CertificateExtension[];
  /** SHA-256 of the whole certificate, lower-case hex. */
  readonly fingerprint: string;
}

/** Bytes: larger than any certificate a firmware or kernel would take. */
const largest = 64 * 1024;
const mostExtensions = 64;

/** @throws FormatError unless `der` is exactly one certificate. */
export function parseCertificate(der: Uint8Array): Certificate {
  if (der.length > largest) throw new FormatError('too-large', `certificate of ${der.length} bytes`);
  const outer = new DerReader(der);
  const whole = outer.sequence('certificate');
  outer.end('certificate');
  const tbs = whole.element(derTag.sequence, 'signed part');
  const signatureOid = readAlgorithm(whole, 'signature algorithm');
  const signature = whole.bitString('signature');
  whole.end('certificate');
  return {
    der,
    tbs: tbs.bytes,
    signatureOid,
    signature,
    fingerprint: toHex(createHash('sha256').update(der).digest()),
    ...parseSignedPart(whole.inside(tbs), signatureOid),
  };
}

type SignedPart = Omit<Certificate, 'der' | 'tbs' | 'signatureOid' | 'signature' | 'fingerprint'>;

function parseSignedPart(tbs: DerReader, outerAlgorithm: string): SignedPart {
  if (tbs.peek() === 0xa0) {
    const version = tbs.enter(0xa0, 'version');
    version.smallInteger('version');
    version.end('version');
  }
  const serial = tbs.integer('serial number');
  const innerAlgorithm = readAlgorithm(tbs, 'signature algorithm');
  if (innerAlgorithm !== outerAlgorithm) {
    throw new FormatError('malformed', 'the two signature algorithms of the certificate differ', {
      offset: tbs.offset,
    });
  }
  const issuer = tbs.element(derTag.sequence, 'issuer');
  const validity = tbs.sequence('validity');
  const notBefore = parseTime(validity.any('not before'));
  const notAfter = parseTime(validity.any('not after'));
  validity.end('validity');
  const subject = tbs.element(derTag.sequence, 'subject');
  const publicKey = tbs.element(derTag.sequence, 'public key');
  const keyOid = tbs.inside(publicKey).sequence('key algorithm').oid('key algorithm');
  tbs.optional(0x81, 'issuer unique identifier');
  tbs.optional(0x82, 'subject unique identifier');
  const extensions = tbs.peek() === 0xa3 ? parseExtensions(tbs.enter(0xa3, 'extensions')) : [];
  tbs.end('signed part');
  const subjectName = parseName(subject.bytes);
  return {
    serial,
    issuer: issuer.bytes,
    subject: subject.bytes,
    subjectText: formatName(subjectName),
    issuerText: formatName(parseName(issuer.bytes)),
    commonName: commonName(subjectName),
    notBefore,
    notAfter,
    publicKey: publicKey.bytes,
    keyKind: keyOid === rsaEncryption ? 'rsa' : keyOid === ecPublicKey ? 'ec' : undefined,
    extensions,
  };
}

/** For this folder: SEQUENCE OF Extension, the one element `wrapper` has left. */
export function parseExtensions(wrapper: DerReader): CertificateExtension[] {
  const list = wrapper.sequence('extensions');
  wrapper.end('extensions');
  const extensions: CertificateExtension[] = [];
  while (!list.done) {
    const one = list.sequence('extension');
    const oid = one.oid('extension');
    const critical = one.peek() === derTag.boolean ? one.boolean('critical') : false;
    const value = one.octetString('extension value');
    one.end('extension');
    extensions.push({ oid, critical, value });
    if (extensions.length > mostExtensions) {
      throw new FormatError('too-large', `more than ${mostExtensions} extensions`, {
        offset: list.offset,
      });
    }
  }
  return extensions;
}

/** Reads an AlgorithmIdentifier and returns its identifier; parameters are skipped. */
export function readAlgorithm(reader: DerReader, what: string): string {
  const algorithm = reader.sequence(what);
  const oid = algorithm.oid(what);
  if (!algorithm.done) algorithm.any(`${what} parameters`);
  algorithm.end(what);
  return oid;
}

/** RFC 5280 section 4.1.2.5: whole seconds, UTC, no offset. Milliseconds since 1970. */
export function parseTime(element: DerElement): number {
  const text = Buffer.from(element.content).toString('latin1');
  const utc = element.tag === derTag.utcTime && /^\d{12}Z$/.test(text);
  const generalized = element.tag === derTag.generalizedTime && /^\d{14}Z$/.test(text);
  const full = utc ? `${Number(text.slice(0, 2)) < 50 ? '20' : '19'}${text}` : text;
  const [, y, mo, d, h, mi, s] = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(full) ?? [];
  const value = Date.parse(`${y}-${mo}-${d}T${h}:${mi}:${s}Z`);
  if ((!utc && !generalized) || Number.isNaN(value)) {
    throw new FormatError('malformed', 'time is not YYMMDDhhmmssZ', { offset: element.offset });
  }
  return value;
}
