/** QEMU's control connection: JSON commands, answers and events, one a line (docs/interop/qmp-spec of QEMU). */

import type { Duplex } from 'node:stream';

import { MachineError } from '../error.ts';
import { isRecord } from '../json.ts';

export interface QmpEvent {
  /** For example SHUTDOWN, RESET, STOP, GUEST_PANICKED. */
  readonly name: string;
  readonly data: Readonly<Record<string, unknown>>;
}

interface Pending {
  readonly command: string;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: MachineError) => void;
}

export class Qmp {
  readonly #duplex: Duplex;
  readonly #pending = new Map<number, Pending>();
  readonly #listeners = new Set<(event: QmpEvent) => void>();
  readonly #ready = Promise.withResolvers<void>();
  #text = '';
  #next = 1;
  #ended: string | undefined;

  constructor(duplex: Duplex) {
    this.#duplex = duplex;
    this.#ready.promise.catch(() => undefined);
    const decoder = new TextDecoder();
    duplex.on('data', (bytes: Uint8Array) => {
      const lines = (this.#text + decoder.decode(bytes, { stream: true })).split('\n');
      this.#text = lines.pop() ?? '';
      for (const line of lines) if (line.trim() !== '') this.#take(line);
    });
    duplex.on('error', () => undefined);
  }

  /** Settles when QEMU has set up the machine and takes commands. */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  /** Runs one command; throws `control-failed` with QEMU's own words, `machine-stopped` when QEMU is gone. */
  execute(command: string, parameters: Readonly<Record<string, unknown>> = {}): Promise<unknown> {
    if (this.#ended !== undefined)
      return Promise.reject(new MachineError('machine-stopped', `${this.#ended}: ${command} cannot be sent`));
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const id = this.#next++;
    this.#pending.set(id, { command, resolve, reject });
    this.#duplex.write(`${JSON.stringify({ execute: command, arguments: parameters, id })}\n`);
    return promise;
  }

  /** Calls the listener with every event from now on; returns how to stop that. */
  onEvent(listener: (event: QmpEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  end(why: string): void {
    if (this.#ended !== undefined) return;
    this.#ended = why;
    this.#ready.reject(new MachineError('machine-stopped', why));
    for (const { command, reject } of this.#pending.values())
      reject(new MachineError('machine-stopped', `${why} before it answered ${command}`));
    this.#pending.clear();
  }

  #take(line: string): void {
    let message: unknown;
    try {
      message = JSON.parse(line);
    } catch {
      return;
    }
    if (!isRecord(message)) return;
    if ('QMP' in message) {
      this.execute('qmp_capabilities').then(
        () => this.#ready.resolve(),
        (error: unknown) => this.#ready.reject(error),
      );
    } else if (typeof message['event'] === 'string') {
      const data = isRecord(message['data']) ? message['data'] : {};
      for (const listener of this.#listeners) listener({ name: message['event'], data });
    } else if (typeof message['id'] === 'number') {
      const pending = this.#pending.get(message['id']);
      this.#pending.delete(message['id']);
      const error = message['error'];
      if (isRecord(error))
        pending?.reject(
          new MachineError('control-failed', `QEMU refused ${pending.command}: ${String(error['desc'])}`),
        );
      else pending?.resolve(message['return']);
    }
  }
}
