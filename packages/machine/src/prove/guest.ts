/**
 * A machine of the proof that can be waited for without ever hanging: it is given up when its serial lines are silent
 * for too long or the boot takes too long altogether. The guest is under attack and may do anything.
 */

import { join } from 'node:path';
import { MachineError } from '../error.ts';
import type { Machine } from '../vm/launch.ts';
import type { ConsoleLine, ConsoleMatch, LineStream, WaitOptions } from '../vm/line-stream.ts';
import { startMachine } from '../vm/machine.ts';
import type { DirectKernel, DiskOptions, UserNetwork } from '../vm/options.ts';
import type { BootLimits, ProofContext } from './context.ts';

export interface GuestOptions {
  /** Names the console's file. */
  readonly name: string;
  /** For people: what this boot is for. */
  readonly title: string;
  readonly disks: readonly DiskOptions[];
  readonly smbios?: readonly string[];
  readonly kernel?: DirectKernel;
  /** False: blank variable store, Secure Boot off. */
  readonly secureBoot?: boolean;
  readonly memoryMiB?: number;
  /** Default: none. */
  readonly network?: UserNetwork;
  /** Folder in which the TPM survives the boot; without it each boot has a new one. */
  readonly state?: string;
}

/** What a boot needs of the proof. */
export type GuestContext = Pick<
  ProofContext,
  'tools' | 'sink' | 'signal' | 'consoleFolder' | 'cpus' | 'memoryMiB' | 'variables' | 'limits'
>;

/** How often silence is looked for. Milliseconds. */
const tick = 1000;

export class Guest implements AsyncDisposable {
  readonly #machine: Machine;
  readonly #dead: Promise<never>;
  readonly #timer: NodeJS.Timeout;
  readonly #onStop: () => void;

  private constructor(machine: Machine, limits: BootLimits, onStop: () => void) {
    this.#machine = machine;
    this.#onStop = onStop;
    const { promise, reject } = Promise.withResolvers<never>();
    this.#dead = promise;
    promise.catch(() => undefined);
    let heard = 0;
    for (const serial of machine.serials) serial.onBytes(() => (heard = machine.elapsed()));
    this.#timer = setInterval(() => {
      const now = machine.elapsed();
      const quiet = now - heard > limits.silence;
      if (!quiet && now < limits.total) return;
      clearInterval(this.#timer);
      const why = quiet
        ? `the machine said nothing for ${Math.round((now - heard) / 1000)} s`
        : `the boot took longer than ${Math.round(limits.total / 1000)} s`;
      reject(new MachineError('timeout', why, { data: { lastLines: lastLines(machine.console) } }));
    }, tick).unref();
  }

  static async start(context: GuestContext, options: GuestOptions): Promise<Guest> {
    const { tools, sink, signal, consoleFolder, cpus } = context;
    const id = `boot-${options.name}`;
    const started = performance.now();
    const name = { type: 'step', id, title: options.title } as const;
    sink({ ...name, state: 'started' });
    const ended = (state: 'done' | 'failed'): void =>
      sink({ ...name, state, milliseconds: performance.now() - started });
    const starting = startMachine({
      tools,
      ...(options.secureBoot !== false && { variables: context.variables }),
      memoryMiB: options.memoryMiB ?? context.memoryMiB,
      cpus,
      serialLines: 2,
      disks: options.disks,
      smbios: options.smbios ?? [],
      onReset: 'exit',
      ...(options.network !== undefined && { network: options.network }),
      ...(options.state !== undefined && { state: options.state }),
      ...(options.kernel !== undefined && { kernel: options.kernel }),
      ...(consoleFolder !== undefined && { consoleLog: join(consoleFolder, `${options.name}.log`) }),
      ...(signal !== undefined && { signal }),
    });
    try {
      return new Guest(await starting, context.limits, () => ended('done'));
    } catch (error) {
      ended('failed');
      throw error;
    }
  }

  get console(): LineStream {
    return this.#machine.console;
  }

  get serials(): readonly LineStream[] {
    return this.#machine.serials;
  }

  get elapsed(): number {
    return this.#machine.elapsed();
  }

  /** The first such line of the console. @throws MachineError when it cannot come any more. */
  waitFor(pattern: RegExp, options: WaitOptions = {}): Promise<ConsoleMatch> {
    return this.alive(this.console.waitFor(pattern, { timeoutMs: longest, ...options }));
  }

  /** What `promise` settles with, unless the machine is given up before. */
  alive<T>(promise: Promise<T>): Promise<T> {
    // The loser of the race must not count as unhandled.
    promise.catch(() => undefined);
    return Promise.race([promise, this.#dead]);
  }

  /** Whether the machine stops within this time. */
  async stopsWithin(milliseconds: number): Promise<boolean> {
    const timer = Promise.withResolvers<false>();
    const handle = setTimeout(() => timer.resolve(false), milliseconds);
    const stopped = await Promise.race([this.#machine.exited.then(() => true), timer.promise]);
    clearTimeout(handle);
    return stopped;
  }

  /** Cuts the power: nothing is written any more, not even what the machine's disk was just told to write. */
  async kill(): Promise<void> {
    process.kill(this.#machine.pid, 'SIGKILL');
    await this.#machine.exited;
    await this.stop();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#machine.stop();
    this.#onStop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/** Milliseconds; the guest's own limits end every wait earlier. */
export const longest: number = 24 * 60 * 60_000;

export function lastLines(serial: LineStream, count = 12): readonly string[] {
  return serial.lines.slice(-count).map(({ text }: ConsoleLine) => text);
}
