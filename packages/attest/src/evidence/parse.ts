/**
 * `osguard/evidence/v1`, the JSON a node posts. Hostile input: its size is bounded before anything is read, the number of
 * brackets before it is parsed (which bounds depth), every member is named, and base64 has one form only. Nothing here
 * says that any of it is true.
 */

import { AttestError } from '../error.ts';
import { limits } from '../protocol/limits.ts';
import type { Evidence } from './types.ts';
import { evidenceSchemaName } from './types.ts';

/** `{` and `[`, also those inside the userspace log's text: its records have two or three each. */
const mostBrackets = 4096;

const hash: Form = { shape: /^[0-9a-f]{64}$/, otherwise: 'is no SHA-256 in lower-case hex' };
const version: Form = { shape: /^[0-9A-Za-z.+~:_-]{1,64}$/, otherwise: 'is no version' };
const pcrIndex = /^(?:[0-9]|1[0-9]|2[0-3])$/;

const members = {
  document: new Set([
    'schema',
    'node',
    'nonce',
    'quote',
    'signature',
    'pcrs',
    'firmwareLog',
    'userspaceLog',
    'tlsKey',
    'commandLine',
    'agent',
  ]),
  pcrs: new Set(['sha256']),
  agent: new Set(['version']),
} as const;

const decoder = new TextDecoder('utf-8', { fatal: true });

/**
 * By hand: a schema library takes three times as long, and this is in every verdict's way.
 *
 * @throws AttestError (`evidence`) that names the member; `data.path` has it for programs.
 */
export function parseEvidence(bytes: Uint8Array): Evidence {
  if (bytes.length > limits.evidenceBody) {
    throw refuse('', `${bytes.length} bytes, ${limits.evidenceBody} are accepted`);
  }
  const cut = cutLog(bytes);
  const document = objectOf(parseJson(cut?.rest ?? bytes), '', members.document);
  if (document['schema'] !== evidenceSchemaName) throw refuse('schema', `is not ${evidenceSchemaName}`);
  const { pcrs, commandLine, agent } = document;
  const { firmwareLog: written } = document;
  const firmwareLog = cut !== undefined && written === '' ? cut.log : written;
  const nonce = bytesOf(document['nonce'], 'nonce', limits.nonce);
  if (nonce.length !== limits.nonce) throw refuse('nonce', `has ${nonce.length} bytes, not ${limits.nonce}`);
  return {
    node: formedText(document['node'], 'node', hash),
    nonce,
    quote: bytesOf(document['quote'], 'quote', limits.quote),
    signature: bytesOf(document['signature'], 'signature', limits.signature),
    pcrs: pcrValuesOf(objectOf(pcrs, 'pcrs', members.pcrs)['sha256'], 'pcrs.sha256'),
    firmwareLog: bytesOf(firmwareLog, 'firmwareLog', limits.firmwareLog),
    userspaceLog: textOf(document['userspaceLog'], 'userspaceLog', limits.userspaceLog),
    tlsKey: bytesOf(document['tlsKey'], 'tlsKey', limits.tlsKey),
    ...(commandLine !== undefined && {
      commandLine: textOf(commandLine, 'commandLine', limits.commandLine),
    }),
    agent: {
      version: formedText(objectOf(agent, 'agent', members.agent)['version'], 'agent.version', version),
    },
  };
}

interface Form {
  readonly shape: RegExp;
  readonly otherwise: string;
}

const logOpening = Buffer.from('"firmwareLog":"');
const quote = 0x22;

/**
 * The firmware log is nine tenths of a document, and reading it as JSON takes half of the time: it is cut out of its
 * quotes before the rest is parsed, unless it is there twice or written with escapes or spaces. Cut out anywhere else than
 * from the member of that name it leaves a member nobody knows.
 */
function cutLog(bytes: Uint8Array): { readonly rest: Uint8Array; readonly log: string } | undefined {
  const whole = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const opening = whole.indexOf(logOpening);
  const start = opening + logOpening.length;
  const end = whole.indexOf(quote, start);
  if (opening === -1 || end === -1 || whole.includes(logOpening, end)) return undefined;
  const log = whole.toString('latin1', start, end);
  if (log.includes('\\')) return undefined;
  return { rest: Buffer.concat([whole.subarray(0, start), whole.subarray(end)]), log };
}

/** An object of JSON. @param known the names it may have; any, when left out */
function objectOf(
  value: unknown,
  path: string,
  known?: ReadonlySet<string>,
): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw refuse(path, 'is no object');
  const unknown = known && Object.keys(value).find((name) => !known.has(name));
  if (unknown !== undefined) throw refuse(path, `has a member nobody knows: ${JSON.stringify(unknown)}`);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- an object of JSON
  return value as Record<string, unknown>;
}

/** @param most UTF-16 units */
function textOf(value: unknown, path: string, most: number): string {
  if (typeof value !== 'string') throw refuse(path, 'is no text');
  if (value.length > most) throw refuse(path, 'is too long');
  return value;
}

function formedText(value: unknown, path: string, { shape, otherwise }: Form): string {
  if (typeof value !== 'string' || !shape.test(value)) throw refuse(path, otherwise);
  return value;
}

/** By index, ascending: objects list keys that are indexes in that order, whatever order they came in. */
function pcrValuesOf(value: unknown, path: string): ReadonlyMap<number, string> {
  const values = new Map<number, string>();
  for (const [index, digest] of Object.entries(objectOf(value, path))) {
    if (!pcrIndex.test(index)) throw refuse(path, `${JSON.stringify(index)} is no PCR index`);
    values.set(Number(index), formedText(digest, `${path}.${index}`, hash));
  }
  return values;
}

/** @param most bytes, decoded */
function bytesOf(value: unknown, path: string, most: number): Uint8Array<ArrayBuffer> {
  return fromBase64(textOf(value, path, Math.ceil(most / 3) * 4), path);
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
