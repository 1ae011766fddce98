/** Dead Simple Signing Envelope v1: a payload, its type, and signatures over both (secure-systems-lab/dsse). */

import { z } from 'zod';
import { FormatError } from '../bytes/index.ts';

export interface DsseSignature {
  /** A hint which key to try; it is not signed and proves nothing. */
  readonly keyid?: string;
  readonly sig: Uint8Array;
}

export interface DsseEnvelope {
  /** For example `application/vnd.in-toto+json`. */
  readonly payloadType: string;
  readonly payload: Uint8Array;
  /** At least one. */
  readonly signatures: readonly DsseSignature[];
}

/** An SBOM of a whole distribution stays below. Bytes. */
const maxSize = 256 * 1024 * 1024;
const maxSignatures = 64;

const schema = z.object({
  payload: z.string(),
  payloadType: z.string().min(1),
  signatures: z
    .array(z.object({ keyid: z.string().optional(), sig: z.string().min(1) }))
    .min(1)
    .max(maxSignatures),
});

/** PAE, section "Signature definition" of the protocol: the bytes that are signed. */
export function preAuthenticationEncoding(payloadType: string, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const type = Buffer.from(payloadType, 'utf8');
  const head = `DSSEv1 ${type.length} ${payloadType} ${payload.length} `;
  return new Uint8Array(Buffer.concat([Buffer.from(head, 'utf8'), payload]));
}

/** JSON with standard base64, one newline at the end. @throws FormatError without signatures or with half characters. */
export function encodeDsse(envelope: DsseEnvelope): Uint8Array<ArrayBuffer> {
  if (envelope.signatures.length === 0)
    throw new FormatError('not-encodable', 'an envelope without signature');
  if (!envelope.payloadType.isWellFormed()) throw new FormatError('not-encodable', 'payloadType is no text');
  const signatures = envelope.signatures.map(({ keyid, sig }) =>
    keyid === undefined ? { sig: base64(sig) } : { keyid, sig: base64(sig) },
  );
  const { payloadType } = envelope;
  const json = JSON.stringify({ payload: base64(envelope.payload), payloadType, signatures }, undefined, 2);
  return new Uint8Array(Buffer.from(`${json}\n`, 'utf8'));
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}

/** Unknown members are ignored, as the protocol demands. @throws FormatError */
export function parseDsse(bytes: Uint8Array): DsseEnvelope {
  if (bytes.length > maxSize) {
    throw new FormatError('too-large', `a DSSE envelope of ${bytes.length} bytes; ${maxSize} are accepted`);
  }
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new FormatError('not-this-format', 'DSSE envelope: no JSON', { cause });
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const where = issue?.path.join('.') ?? '';
    throw new FormatError('malformed', `DSSE envelope: ${where}: ${issue?.message ?? 'not allowed'}`);
  }
  const { payload, payloadType, signatures } = parsed.data;
  return {
    payloadType,
    payload: fromBase64(payload, 'payload'),
    signatures: signatures.map(({ keyid, sig }, index) => {
      const bytesOf = fromBase64(sig, `signatures.${index}.sig`);
      return keyid === undefined ? { sig: bytesOf } : { keyid, sig: bytesOf };
    }),
  };
}

/** Standard or URL-safe alphabet, with or without padding; nothing else and no stray bits. */
function fromBase64(text: string, what: string): Uint8Array<ArrayBuffer> {
  const bytes = Buffer.from(text, 'base64');
  const standard = bytes.toString('base64');
  const urlSafe = bytes.toString('base64url');
  const accepted = [standard, standard.replace(/=+$/, ''), urlSafe, urlSafe.padEnd(standard.length, '=')];
  if (!accepted.includes(text)) throw new FormatError('malformed', `DSSE envelope: ${what} is no base64`);
  return new Uint8Array(bytes);
}
