/**
 * The four kinds of signature osguard makes, each as its one consumer wants it.
 *
 * - root hash: drivers/md/dm-verity-verify-sig.c gives the text of the root hash to verify_pkcs7_signature as
 *   detached data; the kernel takes no signed attributes other than a closed list, so there are none.
 * - IPE policy: security/ipe/policy.c reads the policy out of the message.
 * - variable update: UEFI 2.10 section 8.2.2, SignedData alone, SHA-256, the signer's certificate inside.
 * - Authenticode: "Windows Authenticode Portable Executable Signature Format", SpcIndirectDataContent.
 */

import { FormatError } from '../bytes/index.ts';
import {
  derBitString,
  derContext,
  derElement,
  derNull,
  derOctetString,
  derOid,
  derSequence,
} from '../der/index.ts';
import { digestOids } from '../x509/index.ts';
import type { Certificate, DigestAlgorithm } from '../x509/index.ts';
import { planSignedData } from './encode.ts';
import type { SignedDataPlan } from './encode.ts';
import { attributeTypes, contentTypes, spcPeImageData } from './oids.ts';

/** What the kernel checks a root hash signature against: lower-case hex, no newline. @throws FormatError */
export function rootHashContent(rootHash: string): Uint8Array<ArrayBuffer> {
  if (!/^(?:[0-9a-f]{64}|[0-9a-f]{96}|[0-9a-f]{128})$/.test(rootHash)) {
    throw new FormatError('not-encodable', 'root hash: expected 64, 96 or 128 lower-case hex digits');
  }
  return new Uint8Array(Buffer.from(rootHash, 'ascii'));
}

export function planRootHashSignature(signer: Certificate, rootHash: string): SignedDataPlan {
  return planSignedData({
    signer,
    digestAlgorithm: 'sha256',
    content: { kind: 'detached', bytes: rootHashContent(rootHash) },
    signedAttributes: false,
    certificates: [],
    envelope: 'content-info',
  });
}

export function planIpePolicySignature(signer: Certificate, policy: Uint8Array): SignedDataPlan {
  return planSignedData({
    signer,
    digestAlgorithm: 'sha256',
    content: { kind: 'attached', bytes: policy },
    signedAttributes: false,
    certificates: [],
    envelope: 'content-info',
  });
}

/** `signedBytes`: name, vendor, attributes, timestamp and payload as UEFI 2.10 section 8.2.2 joins them. */
export function planVariableSignature(signer: Certificate, signedBytes: Uint8Array): SignedDataPlan {
  return planSignedData({
    signer,
    digestAlgorithm: 'sha256',
    content: { kind: 'detached', bytes: signedBytes },
    signedAttributes: false,
    certificates: [signer],
    envelope: 'bare',
  });
}

export interface ImageDigest {
  readonly algorithm: DigestAlgorithm;
  /** Authenticode digest of the image. */
  readonly digest: Uint8Array;
}

export function planAuthenticodeSignature(signer: Certificate, image: ImageDigest): SignedDataPlan {
  return planSignedData({
    signer,
    digestAlgorithm: image.algorithm,
    content: { kind: 'element', type: contentTypes.spcIndirectData, content: encodeIndirectData(image) },
    signedAttributes: true,
    extraAttributes: [{ type: attributeTypes.spcOpusInfo, value: derSequence() }],
    certificates: [signer],
    envelope: 'content-info',
  });
}

/** The file link every signer writes; its text says that nobody reads it. */
function obsoleteLink(): Uint8Array {
  const text = Buffer.from('<<<Obsolete>>>', 'utf16le').swap16();
  return derContext(0, derContext(2, derElement(0x80, text)));
}

/** Content octets of SpcIndirectDataContent: the part that is signed. */
function encodeIndirectData({ algorithm, digest }: ImageDigest): Uint8Array {
  const data = derSequence(
    derOid(spcPeImageData),
    derSequence(derBitString(new Uint8Array()), obsoleteLink()),
  );
  const messageDigest = derSequence(
    derSequence(derOid(digestOids[algorithm]), derNull()),
    derOctetString(digest),
  );
  return Buffer.concat([data, messageDigest]);
}
