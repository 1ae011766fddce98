/**
 * `osguard/evidence/v1`, the JSON a node posts. Hostile input: its size is bounded before anything is read, the number of
 * brackets before it is parsed (which bounds depth), every member is named, and base64 has one form only. Nothing here
 * says that any of it is true.
 */

import { z } from 'zod';
import { AttestError } from '../error.ts';
import type { Evidence } from './types.ts';
import { evidenceSchemaName } from './types.ts';

/** Bytes of the whole document. A firmware log has 10 to 60 KB, a userspace log some hundred bytes per event. */
export const largestEvidence: number = 1024 * 1024;
/** Bytes, decoded. */
export const largestFirmwareLog: number = 512 * 1024;
/** UTF-16 units. */
export const largestUserspaceLog: number = 256 * 1024;
/** UTF-16 units. */
const largestCommandLine = 64 * 1024;
/** `{` and `[`, also those inside the userspace log's text: its records have two or three each. */
const mostBrackets = 4096;
export const nonceSize = 32;

const hash = z.string().regex(/^[0-9a-f]{64}$/, 'is no SHA-256 in lower-case hex');
const base64 = (bytes: number): z.ZodString => z.string().max(Math.ceil(bytes / 3) * 4, 'is too long');

const schema = z.strictObject({
  schema: z.literal(evidenceSchemaName),
  node: hash,
  nonce: base64(nonceSize),
  quote: base64(2048),
  signature: base64(2048),
  pcrs: z.strictObject({
    sha256: z.record(z.string().regex(/^(?:[0-9]|1[0-9]|2[0-3])$/, 'is no PCR index'), hash),
  }),
  firmwareLog: base64(largestFirmwareLog),
  userspaceLog: z.string().max(largestUserspaceLog, 'is too long'),
  tlsKey: base64(1024),
  commandLine: z.string().max(largestCommandLine, 'is too long').optional(),
  agent: z.strictObject({ version: z.string().regex(/^[0-9A-Za-z.+~:_-]{1,64}$/, 'is no version') }),
});

const decoder = new TextDecoder('utf-8', { fatal: true });

/** @throws AttestError (`evidence`) that names the member; `data.path` has it for programs. */
export function parseEvidence(bytes: Uint8Array): Evidence {
  if (bytes.length > largestEvidence) {
    throw refuse('', `${bytes.length} bytes, ${largestEvidence} are accepted`);
  }
  const parsed = schema.safeParse(parseJson(bytes));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw refuse(issue?.path.join('.') ?? '', issue?.message ?? 'is not as it has to be');
  }
  const { node, pcrs, userspaceLog, commandLine, agent, ...encoded } = parsed.data;
  const nonce = fromBase64(encoded.nonce, 'nonce');
  if (nonce.length !== nonceSize) throw refuse('nonce', `has ${nonce.length} bytes, not ${nonceSize}`);
  return {
    node,
    nonce,
    quote: fromBase64(encoded.quote, 'quote'),
    signature: fromBase64(encoded.signature, 'signature'),
    // Objects list keys that are indexes in ascending order, whatever order they came in.
    pcrs: new Map(Object.entries(pcrs.sha256).map(([index, value]) => [Number(index), value])),
    firmwareLog: fromBase64(encoded.firmwareLog, 'firmwareLog'),
    userspaceLog,
    tlsKey: fromBase64(encoded.tlsKey, 'tlsKey'),
    ...(commandLine !== undefined && { commandLine }),
    agent,
  };
}

/** The document a node sends; the other way round from {@link parseEvidence}. */
export function encodeEvidence(evidence: Evidence): Uint8Array<ArrayBuffer> {
  const { node, userspaceLog, agent } = evidence;
  const text = JSON.stringify({
    schema: evidenceSchemaName,
    node,
    nonce: toBase64(evidence.nonce),
    quote: toBase64(evidence.quote),
    signature: toBase64(evidence.signature),
    pcrs: { sha256: Object.fromEntries(evidence.pcrs) },
    firmwareLog: toBase64(evidence.firmwareLog),
    userspaceLog,
    tlsKey: toBase64(evidence.tlsKey),
    ...(evidence.commandLine !== undefined && { commandLine: evidence.commandLine }),
    agent,
  });
  return new Uint8Array(Buffer.from(text, 'utf8'));
}

function parseJson(bytes: Uint8Array): unknown {
  let text: string;
  try {
    text = decoder.decode(bytes);
  } catch {
    throw refuse('', 'is not UTF-8 text');
  }
  for (const bracket of ['{', '[']) {
    let count = 0;
    for (let at = text.indexOf(bracket); at !== -1; at = text.indexOf(bracket, at + 1)) {
      count += 1;
      if (count > mostBrackets) throw refuse('', `more than ${mostBrackets} times \`${bracket}\``);
    }
  }
  try {
    return JSON.parse(text);
  } catch {
    throw refuse('', 'is no JSON');
  }
}

/** RFC 4648 section 4 with padding, canonical; Node's decoder skips what it does not know, so lengths are compared. */
function fromBase64(text: string, path: string): Uint8Array<ArrayBuffer> {
  const bytes = Buffer.from(text, 'base64');
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  const whole = text.length % 4 === 0 && bytes.length === (text.length / 4) * 3 - padding;
  const urlSafe = text.includes('-') || text.includes('_');
  const last = bytes.subarray(Math.max(0, bytes.length - (padding === 0 ? 0 : 3 - padding)));
  const canonical = padding === 0 || last.toString('base64') === text.slice(-4);
  if (!whole || urlSafe || !canonical || text.length === 0)
    throw refuse(path, 'is no base64 (RFC 4648 section 4)');
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}

function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64');
}

function refuse(path: string, what: string): AttestError {
  return new AttestError('evidence', `evidence: ${path === '' ? '' : `${path} `}${what}`, { data: { path } });
}
