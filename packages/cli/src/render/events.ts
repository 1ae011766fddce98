/**
 * Progress on stderr: on a terminal one live line for what runs now and one finished line per step; elsewhere one
 * plain line when a step begins and one when it ends.
 */

import type { EventSink, OsguardEvent, Progress, StepEnded, StepStarted, Warning } from '@osguard/events';
import type { Io, OutputStream } from '../io.ts';
import { formatBytes, formatDuration } from './format.ts';
import type { Paint } from './paint.ts';
import { paintFor, printable } from './paint.ts';

export interface EventRenderer {
  readonly sink: EventSink;
  /** Prints a line of the result without disturbing the progress. */
  print(line: string): void;
  /** Clears the live line and stops the timer: call before anything else is printed, and at the end. */
  close(): void;
}

export interface EventOptions {
  /** Also print the lines of tools. */
  readonly verbose: boolean;
  /** Where `print` writes. */
  readonly target: OutputStream;
  readonly now?: () => number;
}

export function renderEvents(io: Io, options: EventOptions): EventRenderer {
  return io.stderr.isTTY === true && io.env['TERM'] !== 'dumb'
    ? new LiveRenderer(io, options)
    : new PlainRenderer(io, options);
}

const redrawEvery = 100;
const plainProgressEvery = 15_000;

class PlainRenderer implements EventRenderer {
  readonly #io: Io;
  readonly #paint: Paint;
  readonly #verbose: boolean;
  readonly #now: () => number;
  readonly #target: OutputStream;
  #lastProgress: number;

  constructor(io: Io, { verbose, target, now = () => performance.now() }: EventOptions) {
    this.#io = io;
    this.#paint = paintFor(io, io.stderr);
    this.#verbose = verbose;
    this.#now = now;
    this.#target = target;
    this.#lastProgress = now();
  }

  print(line: string): void {
    this.#target.write(`${line}\n`);
  }

  readonly sink: EventSink = (event) => {
    const line = this.#line(event);
    if (line !== undefined) this.#io.stderr.write(`${line}\n`);
  };

  close(): void {
    // Nothing is kept back.
  }

  #line(event: OsguardEvent): string | undefined {
    switch (event.type) {
      case 'step':
        if (event.state === 'started') this.#lastProgress = this.#now();
        return event.state === 'started' ? `${printable(event.title)} ...` : ended(event, this.#paint);
      case 'progress':
        if (this.#now() - this.#lastProgress < plainProgressEvery) return undefined;
        this.#lastProgress = this.#now();
        return `  ${amount(event)}`;
      default:
        return otherLine(event, { paint: this.#paint, verbose: this.#verbose });
    }
  }
}

class LiveRenderer implements EventRenderer {
  readonly #io: Io;
  readonly #paint: Paint;
  readonly #verbose: boolean;
  readonly #now: () => number;
  readonly #running = new Map<string, { step: StepStarted; since: number; progress?: Progress }>();
  readonly #target: OutputStream;
  #timer: NodeJS.Timeout | undefined;
  #shown = false;

  constructor(io: Io, { verbose, target, now = () => performance.now() }: EventOptions) {
    this.#io = io;
    this.#paint = paintFor(io, io.stderr);
    this.#verbose = verbose;
    this.#now = now;
    this.#target = target;
  }

  print(line: string): void {
    this.#erase();
    this.#target.write(`${line}\n`);
    this.#draw();
  }

  readonly sink: EventSink = (event) => {
    if (event.type === 'progress') {
      const running = this.#running.get(event.id);
      if (running !== undefined) running.progress = event;
      return;
    }
    if (event.type === 'step' && event.state === 'started') {
      this.#running.set(event.id, { step: event, since: this.#now() });
      this.#timer ??= setInterval(() => this.#draw(), redrawEvery).unref();
      this.#draw();
      return;
    }
    if (event.type === 'step') this.#running.delete(event.id);
    const line =
      event.type === 'step'
        ? ended(event, this.#paint)
        : otherLine(event, { paint: this.#paint, verbose: this.#verbose });
    if (line !== undefined) {
      this.#erase();
      this.#io.stderr.write(`${line}\n`);
    }
    this.#draw();
  };

  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#running.clear();
    this.#erase();
  }

  #erase(): void {
    if (this.#shown) this.#io.stderr.write('\r\u001b[2K');
    this.#shown = false;
  }

  #draw(): void {
    const running = [...this.#running.values()].at(-1);
    if (running === undefined) {
      this.#erase();
      return;
    }
    const frames = this.#paint.unicode ? ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧'] : ['|', '/', '-', '\\'];
    const elapsed = this.#now() - running.since;
    const frame = frames[Math.floor(elapsed / redrawEvery) % frames.length] ?? '';
    const more = running.progress === undefined ? '' : `  ${amount(running.progress)}`;
    const time = elapsed < 1000 ? '' : `  ${formatDuration(elapsed)}`;
    const width = Math.max(20, (this.#io.stderr.columns ?? 80) - 1);
    const line = `${frame} ${printable(running.step.title)}${more}${time}`.slice(0, width);
    this.#io.stderr.write(`\r\u001b[2K${this.#paint.cyan(line)}`);
    this.#shown = true;
  }
}

function ended(event: StepEnded, paint: Paint): string {
  const marks = {
    done: paint.green(paint.unicode ? '✓' : 'ok'),
    cached: paint.green(paint.unicode ? '✓' : 'ok'),
    failed: paint.red(paint.unicode ? '✗' : 'FAILED'),
    cancelled: paint.yellow(paint.unicode ? '✗' : 'cancelled'),
  };
  const notes = [
    event.state === 'cached' ? 'was ready' : formatDuration(event.milliseconds),
    ...(event.detail === undefined ? [] : [printable(event.detail)]),
  ];
  return `${marks[event.state]} ${printable(event.title)}  ${paint.dim(notes.join(', '))}`;
}

function otherLine(
  event: Exclude<OsguardEvent, StepStarted | StepEnded | Progress>,
  { paint, verbose }: { paint: Paint; verbose: boolean },
): string | undefined {
  if (event.type === 'warning') return warningLine(event, paint);
  if (event.type === 'note') return printable(event.message);
  if (!verbose) return undefined;
  return `${paint.dim(`${printable(event.source)}:`)} ${printable(event.line)}`;
}

function warningLine(event: Warning, paint: Paint): string {
  const hint = event.hint === undefined ? '' : `\n  ${paint.cyan('hint')}: ${printable(event.hint)}`;
  return `${paint.yellow(paint.bold('warning'))}: ${printable(event.message)}${hint}`;
}

function amount({ done, total, unit }: Progress): string {
  const show = (value: number): string => (unit === 'bytes' ? formatBytes(value) : String(value));
  const of = total === undefined ? '' : ` of ${show(total)}`;
  const percent = total === undefined || total === 0 ? '' : ` (${Math.floor((done / total) * 100)} %)`;
  return `${show(done)}${of}${unit === 'bytes' ? '' : ` ${unit}`}${percent}`;
}
