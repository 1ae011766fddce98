/**
 * The line to the intruder inside the host: JSON requests and answers over the second serial port. The guest is
 * under attack and may say anything, so every answer is checked before it is believed.
 */

import { MachineError } from '../error.ts';
import type { Machine } from '../vm/launch.ts';
import type { Attempt, Observation } from './row.ts';

/** The serial port (of `serials`) the agent opens as /dev/ttyS1. */
export const intruderSerial = 1;

export interface IntruderReady {
  readonly attacks: readonly string[];
}

export interface AskOptions {
  readonly args?: Readonly<Record<string, unknown>>;
  /** Milliseconds; 60,000 unless told otherwise. */
  readonly timeoutMs?: number;
}

export class Intruder {
  readonly #machine: Machine;
  #next = 1;

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  /** Waits until he is in. */
  async ready(timeoutMs: number): Promise<IntruderReady> {
    const line = await this.#line.waitFor(/^\{"ready":true.*\}$/, { timeoutMs });
    const value: unknown = JSON.parse(line.text);
    const attacks = isRecord(value) && Array.isArray(value['attacks']) ? value['attacks'] : [];
    return { attacks: attacks.filter((name) => typeof name === 'string') };
  }

  /** One attack; what he reports, or an error when he cannot make it. */
  async ask(attack: string, options: AskOptions = {}): Promise<Observation> {
    const id = this.#next;
    this.#next += 1;
    const after = this.#line.lines.at(-1);
    this.#line.write(`${JSON.stringify({ id, attack, args: options.args ?? {} })}\n`);
    const answer = await this.#line.waitFor(new RegExp(`^\\{"id":${id},.*\\}$`), {
      timeoutMs: options.timeoutMs ?? 60_000,
      ...(after !== undefined && { after }),
    });
    return parseObservation(attack, answer.text);
  }

  get #line(): Machine['console'] {
    const line = this.#machine.serials[intruderSerial];
    if (line === undefined) throw new MachineError('bad-option', 'the machine has no second serial line');
    return line;
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
    attempts: attempts.map((attempt) => parseAttempt(attack, attempt)),
    control: control === null ? null : parseAttempt(attack, control),
    kernel: kernel.filter((line) => typeof line === 'string'),
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
