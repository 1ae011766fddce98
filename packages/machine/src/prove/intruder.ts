/**
 * The line to the intruder inside the host: JSON requests and answers over the second serial port. The guest is
 * under attack and may say anything, so every answer is checked before it is believed.
 */

import { MachineError } from '../error.ts';
import type { LineStream } from '../vm/line-stream.ts';
import type { Guest } from './guest.ts';
import { lastLines, longest } from './guest.ts';
import type { Attempt, Observation } from './row.ts';

/** The serial port (of `serials`) the agent opens as /dev/ttyS1. */
export const intruderSerial = 1;

/** Lines of the console after which he will not get in any more. */
export const stopped: RegExp =
  /Kernel panic|osguard: boot refused|BdsDxe: No bootable option|Freezing execution/;

export interface AskOptions {
  readonly args?: Readonly<Record<string, unknown>>;
}

/** Attempts and kernel lines of one answer; more are nobody's evidence. */
const mostEntries = 200;

export class Intruder {
  readonly #guest: Guest;
  readonly #line: LineStream;
  #next = 1;

  constructor(guest: Guest) {
    const line = guest.serials[intruderSerial];
    if (line === undefined) throw new MachineError('bad-option', 'the machine has no second serial line');
    this.#guest = guest;
    this.#line = line;
  }

  /** Waits until he is in. @throws MachineError when the console says that he never will be. */
  async ready(): Promise<void> {
    const dead = this.#guest.waitFor(stopped).then((line) => {
      throw new MachineError('machine-stopped', `the intruder did not get in: ${line.text}`, {
        data: { lastLines: lastLines(this.#guest.console) },
      });
    });
    const ready = this.#line.waitFor(/^\{"ready":true.*\}$/, { timeoutMs: longest });
    ready.catch(() => undefined);
    await Promise.race([ready, dead]);
    dead.catch(() => undefined);
  }

  /** One attack; what he reports, or an error when he cannot make it. */
  async ask(attack: string, options: AskOptions = {}): Promise<Observation> {
    const id = this.#next;
    this.#next += 1;
    const after = this.#line.lines.at(-1);
    this.#line.write(`${JSON.stringify({ id, attack, args: options.args ?? {} })}\n`);
    const answer = this.#line.waitFor(new RegExp(`^\\{"id":${id},.*\\}$`), {
      timeoutMs: longest,
      ...(after !== undefined && { after }),
    });
    const { text } = await this.#guest.alive(answer);
    return parseObservation(attack, text);
  }
}

/** @throws MachineError (`control-failed`) when the answer is an error or not an answer at all. */
export function parseObservation(attack: string, text: string): Observation {
  const value = parseJson(text);
  if (!isRecord(value)) throw new MachineError('control-failed', `${attack}: the answer is no object`);
  if (typeof value['error'] === 'string')
    throw new MachineError('control-failed', `${attack}: ${value['error']}`);
  const { attempts, control, kernel, seconds } = value;
  if (!Array.isArray(attempts) || !Array.isArray(kernel) || typeof seconds !== 'number') {
    throw new MachineError('control-failed', `${attack}: the answer lacks attempts, kernel or seconds`);
  }
  return {
    attempts: attempts.slice(0, mostEntries).map((attempt) => parseAttempt(attack, attempt)),
    control: control === null ? null : parseAttempt(attack, control),
    kernel: kernel.slice(0, mostEntries).filter((line) => typeof line === 'string'),
    seconds,
  };
}

function parseAttempt(attack: string, value: unknown): Attempt {
  if (isRecord(value) && typeof value['succeeded'] === 'boolean' && typeof value['detail'] === 'string') {
    return { succeeded: value['succeeded'], detail: value['detail'] };
  }
  throw new MachineError('control-failed', `${attack}: an attempt without outcome or detail`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new MachineError('control-failed', 'the answer is not JSON', { cause: error });
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
