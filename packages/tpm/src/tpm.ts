/** A TPM one can ask: commands with their authorizations in, checked answers out. */

import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { FormatError } from '@osguard/formats/bytes';
import type { ByteReader } from '@osguard/formats/bytes';
import type { CommandName } from '@osguard/formats/tpm2';
import {
  commandCodes,
  describeResponseCode,
  encodeCommand,
  handleName,
  parseResponse,
  tpmReader,
} from '@osguard/formats/tpm2';
import type { Authorization, Session, SessionUse } from './authorization.ts';
import {
  checkResponseAuths,
  commandAuths,
  decryptParameter,
  encryptParameter,
  rollNonces,
} from './authorization.ts';
import { refusal, TpmError } from './error.ts';
import type { TpmTransport } from './transport.ts';

/** An entity a command is about. */
export interface Entity {
  readonly handle: number;
  /** Its Name; needed when a session proves something about the command. Permanent handles are their own Name. */
  readonly name?: Uint8Array;
  /** Present for every handle that needs authorization, in the order of the command. */
  readonly auth?: Authorization;
}

export interface Call {
  readonly entities?: readonly Entity[];
  readonly parameters?: Uint8Array;
  /** The command gives back a handle. */
  readonly withHandle?: boolean;
  /** A session that authorizes nothing and only hides parameters. */
  readonly cover?: Session;
  /** Hide the first parameter of the command, of the response; needs a session among the authorizations or a cover. */
  readonly hide?: { readonly command?: boolean; readonly response?: boolean };
  /** Do not keep the sessions after this command. */
  readonly last?: boolean;
}

export interface Answer {
  readonly handle: number | undefined;
  readonly parameters: Uint8Array;
}

export interface TpmOptions {
  /** Source of nonces. */
  readonly random?: (size: number) => Uint8Array;
  /** Waits before a command is tried again. Milliseconds. */
  readonly wait?: (milliseconds: number) => Promise<void>;
}

const mostAttempts = 8;
/** The TPM was busy with something else, and did nothing (TPM 2.0 Library Part 2, section 6.6.3). */
const tryAgain = new Set(['RETRY', 'YIELDED', 'TESTING', 'NV_RATE', 'CANCELED']);

export class Tpm implements AsyncDisposable {
  readonly #transport: TpmTransport;
  readonly random: (size: number) => Uint8Array;
  readonly #wait: (milliseconds: number) => Promise<void>;

  constructor(transport: TpmTransport, options: TpmOptions = {}) {
    this.#transport = transport;
    this.random = options.random ?? randomBytes;
    this.#wait = options.wait ?? (async (milliseconds) => sleep(milliseconds));
  }

  /** @throws TpmError: `refused` with the response code, `protocol` when the answer is not a right one. */
  async run(command: CommandName, call: Call = {}): Promise<Answer> {
    for (let attempt = 1; ; attempt += 1) {
      const outcome = await this.#once(command, call);
      if (typeof outcome !== 'number') return outcome;
      if (!tryAgain.has(describeResponseCode(outcome).name) || attempt === mostAttempts) {
        throw refusal(command, outcome);
      }
      await this.#wait(10 * 2 ** attempt);
    }
  }

  /** Like {@link run}, with the parameters of the answer read to their end. */
  async ask<T>(command: CommandName, call: Call, read: (reader: ByteReader) => T): Promise<T> {
    const { parameters } = await this.run(command, call);
    return this.read(command, parameters, read);
  }

  /** @throws TpmError (`protocol`) unless `read` understands all of `parameters`. */
  read<T>(command: CommandName, parameters: Uint8Array, read: (reader: ByteReader) => T): T {
    try {
      const reader = tpmReader(parameters);
      const value = read(reader);
      reader.end(`answer to ${command}`);
      return value;
    } catch (cause) {
      if (!(cause instanceof FormatError)) throw cause;
      throw new TpmError('protocol', `the answer to ${command} is broken: ${cause.message}`, { cause });
    }
  }

  async close(): Promise<void> {
    await this.#transport.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** The answer, or the response code with which the TPM refused. */
  async #once(command: CommandName, call: Call): Promise<Answer | number> {
    const code = commandCodes[command];
    const { entities = [], parameters: plain = new Uint8Array(), withHandle = false } = call;
    const uses = sessionUses(call);
    rollNonces(uses, this.random);
    const parameters = encryptParameter(uses, plain);
    const names = entities.map(({ handle, name }) => name ?? handleName(handle));
    const bytes = encodeCommand({
      code,
      handles: entities.map(({ handle }) => handle),
      auths: commandAuths(uses, { commandCode: code, names, parameters }),
      parameters,
    });
    const response = this.#parse(command, await this.#transport.send(bytes), withHandle);
    if (response.code !== 0) return response.code;
    if (uses.length > 0) {
      checkResponseAuths(uses, response.auths, { commandCode: code, parameters: response.parameters });
    }
    return { handle: response.handle, parameters: decryptParameter(uses, response.parameters) };
  }

  #parse(command: CommandName, bytes: Uint8Array, withHandle: boolean): ReturnType<typeof parseResponse> {
    try {
      return parseResponse(bytes, { withHandle });
    } catch (cause) {
      throw new TpmError('protocol', `the answer to ${command} is no TPM response`, { cause });
    }
  }
}

/** The sessions of a call in their order: one for each authorized handle, then the cover. */
function sessionUses({ entities = [], cover, hide = {}, last = false }: Call): SessionUse[] {
  const plain = { continueSession: !last, decrypt: false, encrypt: false };
  const uses: SessionUse[] = entities
    .filter(({ auth }) => auth !== undefined)
    .map(({ auth, handle, name }) => ({
      session: auth?.session,
      value: auth?.value ?? new Uint8Array(),
      entity: name ?? handleName(handle),
      attributes: plain,
    }));
  if (cover !== undefined) {
    uses.push({ session: cover, value: new Uint8Array(), entity: undefined, attributes: plain });
  }
  if (hide.command !== true && hide.response !== true) return uses;
  const at = uses.findLastIndex(({ session }) => session !== undefined);
  const hiding = uses[at];
  if (hiding === undefined) throw new TpmError('protocol', 'hiding parameters needs a session');
  const attributes = { ...plain, decrypt: hide.command ?? false, encrypt: hide.response ?? false };
  return uses.with(at, { ...hiding, attributes });
}
