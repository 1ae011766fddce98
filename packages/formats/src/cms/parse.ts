/** Reading CMS SignedData (RFC 5652 section 5.1), strict DER, every list bounded. */

import { FormatError } from '../bytes/index.ts';
import { DerReader, derTag } from '../der/index.ts';
import type { DerElement } from '../der/index.ts';
import { parseCertificate } from '../x509/index.ts';
import type { Certificate } from '../x509/index.ts';
import { contentTypes } from './oids.ts';

export interface SignedData {
  readonly version: number;
  readonly digestOids: readonly string[];
  readonly contentType: string;
  /** The signed octets when they are inside; undefined when detached. */
  readonly content: Uint8Array | undefined;
  readonly certificates: readonly Certificate[];
  readonly signers: readonly SignerInfo[];
}

export interface SignerInfo {
  readonly signer: SignerId;
  readonly digestOid: string;
  /** Undefined when the content is signed directly. */
  readonly attributes: SignedAttributes | undefined;
  readonly signatureOid: string;
  readonly signature: Uint8Array;
}

export type SignerId =
  /** Issuer name (DER) and serial number (content octets). */
  | { readonly kind: 'issuer'; readonly issuer: Uint8Array; readonly serial: Uint8Array }
  | { readonly kind: 'key-identifier'; readonly identifier: Uint8Array };

export interface SignedAttributes {
  /** What was signed: the attributes as SET OF. */
  readonly toSign: Uint8Array;
  readonly list: readonly { readonly type: string; readonly values: readonly DerElement[] }[];
}

export interface ParseSignedDataOptions {
  /** Whether the outer ContentInfo must be there, must not, or may. `required` unless told otherwise. */
  readonly contentInfo?: 'required' | 'absent' | 'optional';
}

/** Bytes: an IPE policy or a signed PE's certificate chain is far below. */
const largest = 16 * 1024 * 1024;
const most = { digests: 16, certificates: 64, signers: 16, attributes: 64, values: 16 } as const;

/** @throws FormatError unless `bytes` is exactly one SignedData message. */
export function parseSignedData(bytes: Uint8Array, options: ParseSignedDataOptions = {}): SignedData {
  if (bytes.length > largest) throw new FormatError('too-large', `signature of ${bytes.length} bytes`);
  const outer = new DerReader(bytes);
  const first = outer.sequence('signature');
  outer.end('signature');
  const wanted = options.contentInfo ?? 'required';
  const wrapped = first.peek() === derTag.oid;
  if (wanted === 'required' && !wrapped) {
    throw new FormatError('not-this-format', 'signature: no ContentInfo around SignedData', {
      offset: first.offset,
    });
  }
  if (wanted === 'absent' && wrapped) {
    throw new FormatError('not-this-format', 'signature: SignedData must stand alone, found a ContentInfo', {
      offset: first.offset,
    });
  }
  return wrapped ? parseContentInfo(first) : parseBody(first);
}

function parseContentInfo(info: DerReader): SignedData {
  const type = info.oid('content type');
  if (type !== contentTypes.signedData) {
    throw new FormatError('not-this-format', `signature: content type ${type} is not SignedData`, {
      offset: info.offset,
    });
  }
  const explicit = info.enter(0xa0, 'content');
  info.end('ContentInfo');
  const body = explicit.sequence('SignedData');
  explicit.end('ContentInfo content');
  return parseBody(body);
}

function parseBody(body: DerReader): SignedData {
  const version = body.smallInteger('SignedData version');
  // 1 names signers by issuer or is PKCS #7 1.5, 3 is the rest; 4 and 5 hold attribute certificates nobody here reads.
  if (version !== 1 && version !== 3) {
    throw new FormatError('unsupported', `SignedData version ${version}`, { offset: body.offset });
  }
  const digests = body.enter(derTag.set, 'digest algorithms');
  const digestOids = readAll(digests, most.digests, (each) => readAlgorithm(each, 'digest algorithm'));
  const encapsulated = body.sequence('content');
  const contentType = encapsulated.oid('content type');
  const content = encapsulated.done
    ? undefined
    : readContent(encapsulated.enter(0xa0, 'content'), contentType);
  encapsulated.end('content');
  const certificates =
    body.peek() === 0xa0
      ? readAll(body.enter(0xa0, 'certificates'), most.certificates, (each) =>
          parseCertificate(each.element(derTag.sequence, 'certificate').bytes),
        )
      : [];
  body.optional(0xa1, 'revocation lists');
  const signers = readAll(body.enter(derTag.set, 'signers'), most.signers, readSigner);
  body.end('SignedData');
  return { version, digestOids, contentType, content, certificates, signers };
}

/** CMS holds the content as an octet string, PKCS #7 1.5 as any element; either way its content octets are signed. */
function readContent(explicit: DerReader, contentType: string): Uint8Array {
  const tag = contentType === contentTypes.spcIndirectData ? derTag.sequence : derTag.octetString;
  const element = explicit.element(tag, 'content');
  explicit.end('content');
  return element.content;
}

function readSigner(list: DerReader): SignerInfo {
  const info = list.sequence('signer');
  const version = info.smallInteger('signer version');
  const signer = readSignerId(info);
  // RFC 5652 section 5.3: the version follows from how the signer is named.
  if (version !== (signer.kind === 'issuer' ? 1 : 3)) {
    throw new FormatError('malformed', `signer: version ${version} with ${signer.kind}`, {
      offset: info.offset,
    });
  }
  const digestOid = readAlgorithm(info, 'digest algorithm');
  const signed = info.optional(0xa0, 'signed attributes');
  const attributes = signed === undefined ? undefined : readAttributes(info.inside(signed), signed);
  const signatureOid = readAlgorithm(info, 'signature algorithm');
  const signature = info.octetString('signature');
  // Timestamps and nested signatures: not covered by the signature, so nothing is concluded from them.
  info.optional(0xa1, 'unsigned attributes');
  info.end('signer');
  return { signer, digestOid, attributes, signatureOid, signature };
}

function readSignerId(info: DerReader): SignerId {
  const identifier = info.optional(0x80, 'key identifier');
  if (identifier !== undefined) return { kind: 'key-identifier', identifier: identifier.content };
  const pair = info.sequence('issuer and serial number');
  const issuer = pair.element(derTag.sequence, 'issuer').bytes;
  const serial = pair.integer('serial number');
  pair.end('issuer and serial number');
  return { kind: 'issuer', issuer, serial };
}

function readAttributes(list: DerReader, element: DerElement): SignedAttributes {
  const toSign = Uint8Array.from(element.bytes);
  toSign[0] = derTag.set;
  const attributes = readAll(list, most.attributes, (each) => {
    const attribute = each.sequence('attribute');
    const type = attribute.oid('attribute type');
    const values = readAll(attribute.enter(derTag.set, 'attribute values'), most.values, (value) =>
      value.any('attribute value'),
    );
    attribute.end('attribute');
    return { type, values };
  });
  return { toSign, list: attributes };
}

/** An AlgorithmIdentifier whose parameters are absent or NULL (RFC 5754 section 2 and 3): all that is accepted here. */
function readAlgorithm(reader: DerReader, what: string): string {
  const algorithm = reader.sequence(what);
  const oid = algorithm.oid(what);
  if (!algorithm.done) algorithm.null(`${what} parameters`);
  algorithm.end(what);
  return oid;
}

/** Reads until the end; an empty list is refused where it is a list of signers by the verifier, not here. */
function readAll<T>(reader: DerReader, limit: number, read: (reader: DerReader) => T): T[] {
  const items: T[] = [];
  while (!reader.done) {
    if (items.length === limit) {
      throw new FormatError('too-large', `signature: a list of more than ${limit} entries`, {
        offset: reader.offset,
      });
    }
    items.push(read(reader));
  }
  return items;
}
