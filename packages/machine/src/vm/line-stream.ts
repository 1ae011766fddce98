/**
 * A serial line of the guest as lines of text with the time each was complete. The guest is not trusted: lines and the
 * whole record are bounded, terminal escape sequences (ECMA-48) are taken out before anybody sees or matches them.
 */

import type { Duplex } from 'node:stream';

import { MachineError } from '../error.ts';

export interface ConsoleLine {
  /** Milliseconds since the machine was started. */
  readonly at: number;
  readonly text: string;
  /** Counts from 0 and never restarts. */
  readonly number: number;
}

export interface ConsoleMatch extends ConsoleLine {
  /** What the pattern's groups matched; element 0 is the whole match. */
  readonly groups: readonly string[];
}

export interface WaitOptions {
  /** Default 120,000. */
  readonly timeoutMs?: number;
  /** Only lines after this one count; without it everything since the start does. */
  readonly after?: ConsoleLine;
  /** A line that means waiting is in vain, for example a kernel panic. */
  readonly unless?: RegExp;
}

/** Characters after which a line is cut, so that one without end cannot fill the memory. */
const longestLine = 1024 * 1024;
/** When the record has grown beyond this many characters (lines count 64 more each), its older half is dropped. */
const mostCharacters = 64 * 1024 * 1024;
/** Text without a line feed counts as a prompt when nothing followed it for this long. */
const promptMs = 200;
// oxlint-disable-next-line no-control-regex
const escapes = /\x1b(?:\[[0-?]*[ -/]*[@-~]?|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~]?)/g;
// oxlint-disable-next-line no-control-regex
const controls = /[\x00-\x08\x0b-\x1f\x7f]/g;

/** The text as a person would read it: no escape sequences, no control characters but the tab. */
export function plainText(raw: string): string {
  return raw.replace(escapes, '').replace(controls, '');
}

interface Waiter {
  look(line: ConsoleLine): void;
  end(error: MachineError): void;
}

export class LineStream implements AsyncIterable<ConsoleLine> {
  readonly #duplex: Duplex;
  readonly #clock: () => number;
  readonly #decoder = new TextDecoder();
  readonly #lines: ConsoleLine[] = [];
  readonly #waiters = new Set<Waiter>();
  readonly #listeners = new Set<(bytes: Uint8Array) => void>();
  #characters = 0;
  #dropped = 0;
  #pending = '';
  #quiet: NodeJS.Timeout | undefined;
  #ended: string | undefined;

  /** @param clock milliseconds since the machine was started */
  constructor(duplex: Duplex, clock: () => number) {
    this.#duplex = duplex;
    this.#clock = clock;
    duplex.on('data', (bytes: Uint8Array) => this.#take(bytes));
    // The other end closes when the machine stops; `end()` tells the waiters why.
    duplex.on('error', () => undefined);
  }

  /** The lines so far, oldest first; of an endless console the last tens of megabytes. */
  get lines(): readonly ConsoleLine[] {
    return this.#lines;
  }

  /** What came after the last line feed, such as a prompt. */
  get partial(): string {
    return plainText(this.#pending);
  }

  /** Sends text or bytes to the guest. */
  write(input: string | Uint8Array): void {
    this.#duplex.write(input);
  }

  /** Calls the listener with the bytes as they come, escape sequences and all; returns how to stop that. */
  onBytes(listener: (bytes: Uint8Array) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The first line that matches, as soon as it has come; a prompt without line feed counts too, once nothing follows it. */
  waitFor(pattern: RegExp | string, options: WaitOptions = {}): Promise<ConsoleMatch> {
    const { promise, resolve, reject } = Promise.withResolvers<ConsoleMatch>();
    const timeoutMs = options.timeoutMs ?? 120_000;
    const from = options.after === undefined ? 0 : options.after.number + 1;
    const fail = (code: 'timeout' | 'machine-stopped', message: string): MachineError =>
      new MachineError(code, message, {
        data: { lastLines: [...this.#lines.slice(-20).map((line) => line.text), this.partial] },
      });
    const finish = (settle: () => void): void => {
      clearTimeout(timer);
      this.#waiters.delete(waiter);
      settle();
    };
    const waiter: Waiter = {
      look: (line) => {
        if (line.number < from) return;
        const groups = matchText(pattern, line.text);
        if (groups !== undefined) finish(() => resolve({ ...line, groups }));
        else if (options.unless?.test(line.text) === true)
          finish(() =>
            reject(
              fail('machine-stopped', `waited for ${String(pattern)}, but the guest said: ${line.text}`),
            ),
          );
      },
      end: (error) => finish(() => reject(error)),
    };
    const timer = setTimeout(() => {
      const last = this.#lines.at(-1)?.text ?? '(nothing)';
      const message = `${String(pattern)} did not appear on the console within ${timeoutMs} ms; last line: ${last}`;
      finish(() => reject(fail('timeout', message)));
    }, timeoutMs);
    this.#waiters.add(waiter);
    for (const line of this.#lines.slice(Math.max(0, from - this.#dropped))) {
      if (!this.#waiters.has(waiter)) break;
      waiter.look(line);
    }
    this.#awaitQuiet();
    if (this.#waiters.has(waiter) && this.#ended !== undefined)
      waiter.end(fail('machine-stopped', `${this.#ended} before ${String(pattern)} appeared on the console`));
    return promise;
  }

  /** No more output will come; everybody who waits is told why. */
  end(why: string): void {
    if (this.#ended !== undefined) return;
    this.#take(this.#decoder.decode());
    clearTimeout(this.#quiet);
    if (this.#pending !== '') this.#complete('');
    this.#ended = why;
    const lastLines = this.#lines.slice(-20).map((line) => line.text);
    for (const waiter of this.#waiters)
      waiter.end(
        new MachineError('machine-stopped', `${why} while a line was awaited`, { data: { lastLines } }),
      );
  }

  /** All lines from the start, then the new ones as they come, until the machine stops. */
  async *[Symbol.asyncIterator](): AsyncIterator<ConsoleLine> {
    let next = 0;
    for (;;) {
      const line = this.#lines[Math.max(0, next - this.#dropped)];
      if (line !== undefined) {
        next = line.number + 1;
        yield line;
      } else if (this.#ended === undefined) {
        await new Promise<void>((resolve) => {
          const waiter: Waiter = {
            look: (seen) => {
              // A partial line has the number the complete one will have: wait for that.
              if (seen.number >= this.#dropped + this.#lines.length) return;
              this.#waiters.delete(waiter);
              resolve();
            },
            end: () => {
              this.#waiters.delete(waiter);
              resolve();
            },
          };
          this.#waiters.add(waiter);
        });
      } else return;
    }
  }

  #take(input: Uint8Array | string): void {
    if (typeof input !== 'string') for (const listener of this.#listeners) listener(input);
    const parts = (typeof input === 'string' ? input : this.#decoder.decode(input, { stream: true })).split(
      '\n',
    );
    for (const [index, part] of parts.entries()) {
      this.#pending += part;
      if (index < parts.length - 1) this.#complete('');
      while (this.#pending.length > longestLine) this.#complete(this.#pending.slice(longestLine));
    }
    this.#awaitQuiet();
  }

  #awaitQuiet(): void {
    clearTimeout(this.#quiet);
    if (this.#pending === '') return;
    this.#quiet = setTimeout(() => {
      if (this.#pending !== '') this.#show(this.#partialLine());
    }, promptMs);
  }

  #partialLine(): ConsoleLine {
    return { at: this.#clock(), text: this.partial, number: this.#dropped + this.#lines.length };
  }

  #complete(rest: string): void {
    const text = plainText(this.#pending.slice(0, longestLine));
    const line = { at: this.#clock(), text, number: this.#dropped + this.#lines.length };
    this.#pending = rest;
    this.#lines.push(line);
    this.#characters += text.length + 64;
    if (this.#characters > mostCharacters) this.#forget();
    this.#show(line);
  }

  #forget(): void {
    const half = Math.ceil(this.#lines.length / 2);
    for (const line of this.#lines.splice(0, half)) this.#characters -= line.text.length + 64;
    this.#dropped += half;
  }

  #show(line: ConsoleLine): void {
    for (const waiter of this.#waiters) waiter.look(line);
  }
}

function matchText(pattern: RegExp | string, text: string): readonly string[] | undefined {
  if (typeof pattern === 'string') return text.includes(pattern) ? [pattern] : undefined;
  pattern.lastIndex = 0;
  const match = pattern.exec(text);
  return match === null ? undefined : [...match].map((group) => group ?? '');
}
