/** Commands and responses as they travel (TPM 2.0 Library Part 1, section 18; Part 2, section 10.13). */

import type { ByteReader } from '../bytes/index.ts';
import { FormatError } from '../bytes/index.ts';
import { largestStructure, readSized, tpmReader, tpmWriter } from './wire.ts';

/** TPM_ST (Part 2, section 6.9). */
export const tpmTag = { noSessions: 0x8001, sessions: 0x8002 } as const;

/** Bytes of tag, size and code. */
export const headerSize = 10;

/** TPMA_SESSION (Part 2, section 8.4). */
export interface SessionAttributes {
  /** The session outlives the command. */
  readonly continueSession: boolean;
  /** The first parameter of the command is encrypted. */
  readonly decrypt: boolean;
  /** The first parameter of the response is encrypted. */
  readonly encrypt: boolean;
}

/** TPMS_AUTH_COMMAND (Part 2, section 10.13.2). */
export interface CommandAuth {
  readonly session: number;
  readonly nonce: Uint8Array;
  readonly attributes: SessionAttributes;
  /** An HMAC, or the authorization value itself. */
  readonly hmac: Uint8Array;
}

export interface TpmCommand {
  readonly code: number;
  readonly handles: readonly number[];
  readonly auths: readonly CommandAuth[];
  readonly parameters: Uint8Array;
}

/** TPMS_AUTH_RESPONSE (Part 2, section 10.13.3). */
export interface ResponseAuth {
  readonly nonce: Uint8Array;
  readonly attributes: SessionAttributes;
  readonly hmac: Uint8Array;
}

export interface TpmResponse {
  /** TPM_RC; with any other value than 0 the rest is empty. */
  readonly code: number;
  /** The one handle some commands give back. */
  readonly handle: number | undefined;
  readonly parameters: Uint8Array;
  readonly auths: readonly ResponseAuth[];
}

export function encodeSessionAttributes(attributes: SessionAttributes): number {
  return (
    (attributes.continueSession ? 1 : 0) | (attributes.decrypt ? 0x20 : 0) | (attributes.encrypt ? 0x40 : 0)
  );
}

function readSessionAttributes(reader: ByteReader): SessionAttributes {
  const value = reader.u8('session attributes');
  return {
    continueSession: (value & 1) !== 0,
    decrypt: (value & 0x20) !== 0,
    encrypt: (value & 0x40) !== 0,
  };
}

export function encodeCommand(command: TpmCommand): Uint8Array {
  const auths = tpmWriter();
  for (const auth of command.auths) {
    auths.u32(auth.session).u16(auth.nonce.length).bytes(auth.nonce);
    auths.u8(encodeSessionAttributes(auth.attributes)).u16(auth.hmac.length).bytes(auth.hmac);
  }
  const withSessions = command.auths.length > 0;
  const authSize = withSessions ? 4 + auths.length : 0;
  const size = headerSize + command.handles.length * 4 + authSize + command.parameters.length;
  const writer = tpmWriter()
    .u16(withSessions ? tpmTag.sessions : tpmTag.noSessions)
    .u32(size)
    .u32(command.code);
  for (const handle of command.handles) writer.u32(handle);
  if (withSessions) writer.u32(auths.length).bytes(auths.finish());
  return writer.bytes(command.parameters).finish();
}

/** A command as a TPM reads it, which must know how many handles its code takes. @throws FormatError */
export function parseCommand(bytes: Uint8Array, handleCount: (code: number) => number): TpmCommand {
  const { reader, tag, code } = readHeader(bytes, 'command');
  const handles = Array.from({ length: handleCount(code) }, () => reader.u32('handle'));
  const auths: CommandAuth[] = [];
  if (tag === tpmTag.sessions) {
    const size = reader.u32('size of the authorizations');
    const area = tpmReader(reader.bytes(size, 'authorizations'), reader.offset - size);
    while (area.remaining > 0) {
      const session = area.u32('session handle');
      const nonce = readSized(area, 'nonce', 64);
      const attributes = readSessionAttributes(area);
      auths.push({ session, nonce, attributes, hmac: readSized(area, 'HMAC', 64) });
    }
  }
  return { code, handles, auths, parameters: reader.rest() };
}

/** @throws FormatError when `bytes` is not exactly one response. */
export function parseResponse(bytes: Uint8Array, options: { readonly withHandle: boolean }): TpmResponse {
  const { reader, tag, code } = readHeader(bytes, 'response');
  if (code !== 0) {
    reader.end('response');
    return { code, handle: undefined, parameters: new Uint8Array(), auths: [] };
  }
  const handle = options.withHandle ? reader.u32('handle') : undefined;
  if (tag === tpmTag.noSessions) return { code, handle, parameters: reader.rest(), auths: [] };
  const parameters = reader.bytes(reader.u32('size of the parameters'), 'parameters');
  const auths: ResponseAuth[] = [];
  while (reader.remaining > 0) {
    const nonce = readSized(reader, 'nonce', 64);
    auths.push({ nonce, attributes: readSessionAttributes(reader), hmac: readSized(reader, 'HMAC', 64) });
  }
  return { code, handle, parameters, auths };
}

function readHeader(bytes: Uint8Array, what: string): { reader: ByteReader; tag: number; code: number } {
  const reader = tpmReader(bytes);
  const tag = reader.u16('tag');
  const size = reader.u32('size');
  const code = reader.u32('code');
  // A TPM that does not know the tag of a command answers with that of TPM 1.2.
  if (tag !== tpmTag.noSessions && tag !== tpmTag.sessions && tag !== 0x00c4) {
    throw new FormatError('malformed', `tag 0x${tag.toString(16)} of a ${what}`, { offset: 0 });
  }
  if (size > largestStructure) throw new FormatError('too-large', `${what} of ${size} bytes`, { offset: 2 });
  if (size !== bytes.length) {
    throw new FormatError('malformed', `${what} of ${bytes.length} bytes says it has ${size}`, { offset: 2 });
  }
  return { reader, tag, code };
}
