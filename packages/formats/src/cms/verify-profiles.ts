/** Verifying the kernel's two kinds of signature: what it would check, as ordered checks. */

import { contentTypes } from './oids.ts';
import { parseSignedData } from './parse.ts';
import { rootHashContent } from './profiles.ts';
import { verifySignedData } from './verify.ts';
import type { SignerResult } from './verify.ts';
import type { Certificate } from '../x509/index.ts';
import { FormatError } from '../bytes/index.ts';

export interface TrustOptions {
  readonly trusted: readonly Certificate[];
  /** Milliseconds since 1970: adds a validity check at that time (the kernel makes none). */
  readonly at?: number;
}

/** @throws FormatError when `signature` is not a detached SignedData message over plain data. */
export function verifyRootHashSignature(
  signature: Uint8Array,
  rootHash: string,
  options: TrustOptions,
): readonly SignerResult[] {
  const message = parseSignedData(signature);
  if (message.content !== undefined || message.contentType !== contentTypes.data) {
    throw new FormatError('malformed', 'root hash signature: must be detached, over plain data');
  }
  return verifySignedData(message, { ...options, content: rootHashContent(rootHash) });
}

/** The policy text inside, and whether it is signed. @throws FormatError when there is no policy inside. */
export function verifyIpePolicySignature(
  signature: Uint8Array,
  options: TrustOptions,
): { readonly policy: Uint8Array; readonly signers: readonly SignerResult[] } {
  const message = parseSignedData(signature);
  if (message.content === undefined || message.contentType !== contentTypes.data) {
    throw new FormatError('malformed', 'IPE policy: must be inside its signature, as plain data');
  }
  return { policy: message.content, signers: verifySignedData(message, options) };
}
