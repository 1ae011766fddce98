/** Starting and ending sessions (TPM 2.0 Library Part 3, section 11.1; Part 1, section 19.6). */

import type { TpmHash, TpmPublic } from '@osguard/formats/tpm2';
import {
  hashIds,
  hashSizes,
  kdfa,
  readSized,
  sized,
  tpmAlg,
  tpmHandle,
  tpmWriter,
  wrapSecret,
} from '@osguard/formats/tpm2';
import type { Session } from './authorization.ts';
import { trimmedAuth } from './authorization.ts';
import { flushContext } from './commands/context.ts';
import { TpmError } from './error.ts';
import type { Tpm } from './tpm.ts';

export interface SessionOptions {
  readonly kind: 'hmac' | 'policy';
  readonly hash?: TpmHash;
  /** A storage key of the TPM: only the TPM that holds it can then take part in the session. */
  readonly salt?: { readonly handle: number; readonly area: TpmPublic };
  /** An entity whose authorization value becomes part of the session's key. */
  readonly bind?: { readonly handle: number; readonly name: Uint8Array; readonly value: Uint8Array };
  /** Of AES-CFB for hidden parameters. */
  readonly cipherBits?: 128 | 256;
}

const kinds = { hmac: 0x00, policy: 0x01 } as const;

/** The session must be ended with `endSession`, unless a command was its last. */
export async function startSession(tpm: Tpm, options: SessionOptions): Promise<Session> {
  const { kind, hash = 'sha256', salt, bind, cipherBits = 128 } = options;
  const nonceCaller = tpm.random(hashSizes[hash]);
  const wrapped = salt === undefined ? undefined : wrapSalt(salt.area, tpm.random);
  const parameters = tpmWriter()
    .bytes(sized(nonceCaller))
    .bytes(wrapped?.encrypted ?? sized(new Uint8Array()))
    .u8(kinds[kind])
    .u16(tpmAlg.aes)
    .u16(cipherBits)
    .u16(tpmAlg.cfb)
    .u16(hashIds[hash])
    .finish();
  const { handle, parameters: answer } = await tpm.run('StartAuthSession', {
    entities: [{ handle: salt?.handle ?? tpmHandle.null }, { handle: bind?.handle ?? tpmHandle.null }],
    parameters,
    withHandle: true,
  });
  const nonceTpm = tpm.read('StartAuthSession', answer, (reader) => readSized(reader, 'nonce', 64));
  const secret = Buffer.concat([
    trimmedAuth(bind?.value ?? new Uint8Array()),
    wrapped?.secret ?? new Uint8Array(),
  ]);
  const derive = { hash, key: secret, label: 'ATH', contextU: nonceTpm, contextV: nonceCaller };
  return {
    handle: handle ?? 0,
    kind,
    hash,
    key: salt === undefined && bind === undefined ? new Uint8Array() : kdfa(derive, hashSizes[hash] * 8),
    bound: bind?.name,
    cipherBits,
    nonceTpm,
    nonceCaller,
    needsAuthValue: false,
    alive: true,
  };
}

function wrapSalt(area: TpmPublic, random: Tpm['random']): ReturnType<typeof wrapSecret> {
  if (area.type === 'keyedhash') throw new TpmError('protocol', 'a keyed hash object cannot take a salt');
  return wrapSecret(area, { label: 'SECRET', random });
}

export async function endSession(tpm: Tpm, session: Session): Promise<void> {
  if (!session.alive) return;
  session.alive = false;
  await flushContext(tpm, session.handle);
}

/** Runs `work` with a session that is gone afterwards, whatever happens. */
export async function withSession<T>(
  tpm: Tpm,
  options: SessionOptions,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const session = await startSession(tpm, options);
  try {
    return await work(session);
  } finally {
    await endSession(tpm, session);
  }
}
