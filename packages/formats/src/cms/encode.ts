/**
 * CMS SignedData (RFC 5652 section 5; the same bytes as PKCS #7 1.5, RFC 2315 section 9) around any signer:
 * first what to sign, then, with the signature, the whole message. One signer, no signing time, no
 * randomness: the same request and key give the same bytes (RSA PKCS #1 v1.5).
 */

import { createHash } from 'node:crypto';
import { FormatError } from '../bytes/index.ts';
import {
  derContext,
  derElement,
  derInteger,
  derNull,
  derOctetString,
  derOid,
  derSequence,
  derSetOf,
} from '../der/index.ts';
import { digestOids, rsaEncryption, signatureAlgorithm } from '../x509/index.ts';
import type { Certificate, DigestAlgorithm } from '../x509/index.ts';
import { attributeTypes, contentTypes } from './oids.ts';

export type CmsContent =
  /** Signed, not contained. */
  | { readonly kind: 'detached'; readonly bytes: Uint8Array }
  /** Contained as an octet string. */
  | { readonly kind: 'attached'; readonly bytes: Uint8Array }
  /** Contained as it is (PKCS #7 1.5): one DER element of another content type; its content octets are signed. */
  | { readonly kind: 'element'; readonly type: string; readonly content: Uint8Array };

export interface SignedDataRequest {
  readonly signer: Certificate;
  readonly digestAlgorithm: DigestAlgorithm;
  readonly content: CmsContent;
  /** True signs the attributes contentType and messageDigest instead of the content (RFC 5652 section 5.4). */
  readonly signedAttributes: boolean;
  /** More signed attributes: type and one DER value each. */
  readonly extraAttributes?: readonly { readonly type: string; readonly value: Uint8Array }[];
  /** Embedded so that a verifier can find the key. */
  readonly certificates: readonly Certificate[];
  /** `bare` leaves out the outer ContentInfo, as UEFI 2.10 section 8.2.2 wants it. */
  readonly envelope: 'content-info' | 'bare';
}

export interface SignedDataPlan {
  readonly digestAlgorithm: DigestAlgorithm;
  /** What the signer's key signs with `digestAlgorithm`. */
  readonly toSign: Uint8Array;
  /** RSA: PKCS #1 v1.5; elliptic: the DER sequence of r and s. */
  finish(signature: Uint8Array): Uint8Array<ArrayBuffer>;
}

export function planSignedData(request: SignedDataRequest): SignedDataPlan {
  const { signer, digestAlgorithm, content, envelope } = request;
  const { keyKind } = signer;
  if (keyKind === undefined) {
    throw new FormatError('not-encodable', `${signer.subjectText}: key is neither RSA nor elliptic`);
  }
  const digest = derSequence(derOid(digestOids[digestAlgorithm]), derNull());
  const attributes = request.signedAttributes ? encodeAttributes(request) : undefined;
  const signatureId =
    keyKind === 'rsa'
      ? derSequence(derOid(rsaEncryption), derNull())
      : signatureAlgorithm(keyKind, digestAlgorithm);

  function finish(signature: Uint8Array): Uint8Array<ArrayBuffer> {
    const signerInfo = derSequence(
      derInteger(1),
      derSequence(signer.issuer, derElement(0x02, signer.serial)),
      digest,
      // Signed as SET OF, embedded as [0] IMPLICIT (RFC 5652 section 5.4).
      ...(attributes === undefined ? [] : [derElement(0xa0, contentOctets(attributes))]),
      signatureId,
      derOctetString(signature),
    );
    const embedded = request.certificates.map((certificate) => certificate.der);
    const signedData = derSequence(
      derInteger(1),
      derSetOf(digest),
      encapsulate(content),
      ...(embedded.length === 0 ? [] : [derElement(0xa0, contentOctets(derSetOf(...embedded)))]),
      derSetOf(signerInfo),
    );
    return envelope === 'bare'
      ? signedData
      : derSequence(derOid(contentTypes.signedData), derContext(0, signedData));
  }

  return { digestAlgorithm, toSign: attributes ?? signedOctets(content), finish };
}

function signedOctets(content: CmsContent): Uint8Array {
  return content.kind === 'element' ? content.content : content.bytes;
}

function encapsulate(content: CmsContent): Uint8Array {
  if (content.kind === 'detached') return derSequence(derOid(contentTypes.data));
  return content.kind === 'attached'
    ? derSequence(derOid(contentTypes.data), derContext(0, derOctetString(content.bytes)))
    : derSequence(derOid(content.type), derContext(0, derSequence(content.content)));
}

function encodeAttributes(request: SignedDataRequest): Uint8Array {
  const { content, digestAlgorithm } = request;
  const type = content.kind === 'element' ? content.type : contentTypes.data;
  const digest = createHash(digestAlgorithm).update(signedOctets(content)).digest();
  return derSetOf(
    encodeAttribute(attributeTypes.contentType, derOid(type)),
    encodeAttribute(attributeTypes.messageDigest, derOctetString(digest)),
    ...(request.extraAttributes ?? []).map((extra) => encodeAttribute(extra.type, extra.value)),
  );
}

function encodeAttribute(type: string, value: Uint8Array): Uint8Array {
  return derSequence(derOid(type), derSetOf(value));
}

/** The content octets of a SET this file made: behind its identifier and length. */
function contentOctets(set: Uint8Array): Uint8Array {
  const first = set[1] ?? 0;
  return set.subarray(first < 0x80 ? 2 : 2 + (first & 0x7f));
}
