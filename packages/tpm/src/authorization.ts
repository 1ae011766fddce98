/**
 * How a command proves that its caller may use an entity: plain value, HMAC session or policy session (TPM 2.0
 * Library Part 1, section 19). The state of a session is its nonces; every command and response rolls them.
 */

import { createCipheriv, createDecipheriv, createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { CommandAuth, ResponseAuth, SessionAttributes, TpmHash } from '@osguard/formats/tpm2';
import { encodeSessionAttributes, hashSizes, kdfa, tpmHandle } from '@osguard/formats/tpm2';
import { TpmError } from './error.ts';

/** A session the TPM holds; made by `startSession`. */
export interface Session {
  readonly handle: number;
  readonly kind: 'hmac' | 'policy';
  readonly hash: TpmHash;
  /** Empty for a session without salt and bind. */
  readonly key: Uint8Array;
  /** Name of the entity the session is bound to. */
  readonly bound: Uint8Array | undefined;
  /** Key bits of AES-CFB for parameters. */
  readonly cipherBits: 128 | 256;
  nonceTpm: Uint8Array;
  nonceCaller: Uint8Array;
  /** A policy session in which PolicyAuthValue was said. */
  needsAuthValue: boolean;
  /** False once a command did not ask to keep it. */
  alive: boolean;
}

/** Proof for one handle of a command. */
export interface Authorization {
  /** Left out for authorization by plain value. */
  readonly session?: Session;
  /** The authorization value of the entity; empty unless given. */
  readonly value?: Uint8Array;
}

export interface SessionUse {
  readonly session: Session | undefined;
  /** Authorization value of the entity it authorizes; empty for a session that only encrypts. */
  readonly value: Uint8Array;
  /** Name of the entity it authorizes. */
  readonly entity: Uint8Array | undefined;
  readonly attributes: SessionAttributes;
}

const none = new Uint8Array(0);

/** Trailing zeros do not belong to an authorization value (Part 1, section 19.6.4.3). */
export function trimmedAuth(value: Uint8Array): Uint8Array {
  let length = value.length;
  while (length > 0 && value[length - 1] === 0) length -= 1;
  return value.subarray(0, length);
}

/** New caller nonces for one command. */
export function rollNonces(uses: readonly SessionUse[], random: (size: number) => Uint8Array): void {
  for (const { session } of uses) {
    if (session !== undefined) session.nonceCaller = random(hashSizes[session.hash]);
  }
}

/** cpHash (Part 1, section 18.7): with the parameters as they are sent. */
export interface CommandDigestInput {
  readonly commandCode: number;
  readonly names: readonly Uint8Array[];
  readonly parameters: Uint8Array;
}

export function commandAuths(uses: readonly SessionUse[], input: CommandDigestInput): CommandAuth[] {
  return uses.map((use, i) => {
    const { session, attributes, value } = use;
    if (session === undefined) {
      return { session: tpmHandle.password, nonce: none, attributes, hmac: trimmedAuth(value) };
    }
    const hash = createHash(session.hash).update(u32(input.commandCode));
    for (const name of input.names) hash.update(name);
    const digest = hash.update(input.parameters).digest();
    const extra = i === 0 ? foreignNonces(uses) : none;
    const nonces = Buffer.concat([session.nonceCaller, session.nonceTpm, extra]);
    return {
      session: session.handle,
      nonce: session.nonceCaller,
      attributes,
      hmac: authHmac(use, { digest, nonces, attributes }),
    };
  });
}

/**
 * Checks what the TPM says about its response, and takes its nonces.
 *
 * @throws TpmError (`protocol`) when an HMAC is not right: someone stands between this program and the TPM.
 */
export function checkResponseAuths(
  uses: readonly SessionUse[],
  auths: readonly ResponseAuth[],
  input: { readonly commandCode: number; readonly parameters: Uint8Array },
): void {
  if (auths.length !== uses.length) {
    throw new TpmError('protocol', `${auths.length} authorizations in the response to ${uses.length}`);
  }
  for (const [i, use] of uses.entries()) {
    const auth = auths[i];
    const { session } = use;
    if (session === undefined || auth === undefined) continue;
    session.nonceTpm = auth.nonce;
    session.alive = auth.attributes.continueSession;
    const digest = createHash(session.hash)
      .update(u32(0))
      .update(u32(input.commandCode))
      .update(input.parameters)
      .digest();
    const nonces = Buffer.concat([session.nonceTpm, session.nonceCaller]);
    const expected = authHmac(use, { digest, nonces, attributes: auth.attributes });
    if (expected.length !== auth.hmac.length || !timingSafeEqual(expected, auth.hmac)) {
      throw new TpmError('protocol', 'the response was not made by the TPM this session is with');
    }
  }
}

function authHmac(
  { session, value, entity }: SessionUse,
  parts: {
    readonly digest: Uint8Array;
    readonly nonces: Uint8Array;
    readonly attributes: SessionAttributes;
  },
): Uint8Array {
  if (session === undefined) return none;
  const isBound =
    session.bound !== undefined && entity !== undefined && Buffer.compare(session.bound, entity) === 0;
  const usesValue = session.kind === 'policy' ? session.needsAuthValue : !isBound;
  const key = Buffer.concat([session.key, usesValue ? trimmedAuth(value) : none]);
  // A policy session without any secret has nothing to make an HMAC with (Part 1, section 19.6.5).
  if (session.kind === 'policy' && key.length === 0) return none;
  return createHmac(session.hash, key)
    .update(parts.digest)
    .update(parts.nonces)
    .update(Uint8Array.of(encodeSessionAttributes(parts.attributes)))
    .digest();
}

/** The first session vouches for the nonces of the sessions that encrypt (Part 1, section 19.6.5). */
function foreignNonces(uses: readonly SessionUse[]): Uint8Array {
  const decrypt = uses.findIndex(({ attributes }) => attributes.decrypt);
  const encrypt = uses.findIndex(({ attributes }) => attributes.encrypt);
  const parts: Uint8Array[] = [];
  if (decrypt > 0) parts.push(uses[decrypt]?.session?.nonceTpm ?? none);
  if (encrypt > 0 && encrypt !== decrypt) parts.push(uses[encrypt]?.session?.nonceTpm ?? none);
  return Buffer.concat(parts);
}

/** Encrypts the first parameter, a TPM2B, for the session that asks for it (Part 1, section 21.3). */
export function encryptParameter(uses: readonly SessionUse[], parameters: Uint8Array): Uint8Array {
  const use = uses.find(({ attributes }) => attributes.decrypt);
  if (use?.session === undefined) return parameters;
  const { nonceCaller, nonceTpm } = use.session;
  const { key, vector } = parameterKey(use, use.session, [nonceCaller, nonceTpm]);
  return changeFirst(parameters, (plain) =>
    createCipheriv(`aes-${use.session?.cipherBits ?? 128}-cfb`, key, vector).update(plain),
  );
}

/** Decrypts the first parameter of a response, after its HMAC was checked. */
export function decryptParameter(uses: readonly SessionUse[], parameters: Uint8Array): Uint8Array {
  const use = uses.find(({ attributes }) => attributes.encrypt);
  if (use?.session === undefined) return parameters;
  const { nonceCaller, nonceTpm } = use.session;
  const { key, vector } = parameterKey(use, use.session, [nonceTpm, nonceCaller]);
  return changeFirst(parameters, (sealed) =>
    createDecipheriv(`aes-${use.session?.cipherBits ?? 128}-cfb`, key, vector).update(sealed),
  );
}

function parameterKey(
  use: SessionUse,
  session: Session,
  [newer, older]: readonly [Uint8Array, Uint8Array],
): { readonly key: Uint8Array; readonly vector: Uint8Array } {
  const secret = Buffer.concat([session.key, trimmedAuth(use.value)]);
  const input = { hash: session.hash, key: secret, label: 'CFB', contextU: newer, contextV: older };
  const bytes = kdfa(input, session.cipherBits + 128);
  return {
    key: bytes.subarray(0, session.cipherBits / 8),
    vector: bytes.subarray(session.cipherBits / 8),
  };
}

function changeFirst(parameters: Uint8Array, change: (bytes: Uint8Array) => Uint8Array): Uint8Array {
  const size = new DataView(parameters.buffer, parameters.byteOffset).getUint16(0);
  const changed = Uint8Array.from(parameters);
  changed.set(change(parameters.subarray(2, 2 + size)), 2);
  return changed;
}

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}
