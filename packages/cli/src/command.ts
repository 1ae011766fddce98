/** How a command describes itself: its words, typed options and arguments, and what it returns instead of printing. */

import type { EventSink } from '@osguard/events';
import type { Io } from './io.ts';
import type { Paint } from './render/paint.ts';

/** An option or an argument; `T` is what the command receives. */
export interface Parameter<T> {
  /** As shown in the help: `--dir <folder>` or `<policy>`. */
  readonly flags: string;
  readonly help: string;
  readonly kind: 'flag' | 'value' | 'list';
  readonly required: boolean;
  readonly fallback?: T;
  readonly choices?: readonly string[];
  /** Throws an Error whose message says what was expected. */
  readonly parse: (text: string) => unknown;
  /** Never set: carries the type. */
  readonly type?: T;
}

export type Parameters = Readonly<Record<string, Parameter<unknown>>>;
export type Values<P extends Parameters> = {
  readonly [Name in keyof P]: P[Name] extends Parameter<infer T> ? T : never;
};

const asIs = (input: string): string => input;

export function flag(flags: string, help: string): Parameter<boolean> {
  return { flags, help, kind: 'flag', required: false, fallback: false, parse: asIs };
}

export function text(flags: string, help: string): Parameter<string | undefined> {
  return { flags, help, kind: 'value', required: false, parse: asIs };
}

export function textOr(flags: string, help: string, fallback: string): Parameter<string> {
  return { flags, help, kind: 'value', required: false, fallback, parse: asIs };
}

export function needed(flags: string, help: string): Parameter<string> {
  return { flags, help, kind: 'value', required: true, parse: asIs };
}

/** May be given several times. */
export function list(flags: string, help: string): Parameter<readonly string[]> {
  return { flags, help, kind: 'list', required: false, fallback: [], parse: asIs };
}

export function choice<const C extends string>(
  flags: string,
  help: string,
  choices: readonly C[],
): Parameter<C | undefined> {
  return { flags, help, kind: 'value', required: false, choices, parse: asIs };
}

export function choiceOr<const C extends string>(
  flags: string,
  help: string,
  { choices, fallback }: { readonly choices: readonly C[]; readonly fallback: NoInfer<C> },
): Parameter<C> {
  return { flags, help, kind: 'value', required: false, fallback, choices, parse: asIs };
}

export function neededChoice<const C extends string>(
  flags: string,
  help: string,
  choices: readonly C[],
): Parameter<C> {
  return { flags, help, kind: 'value', required: true, choices, parse: asIs };
}

export interface IntegerBounds {
  readonly min: number;
  readonly max?: number;
}

export function integer(flags: string, help: string, bounds: IntegerBounds): Parameter<number | undefined> {
  return { flags, help, kind: 'value', required: false, parse: integerWithin(bounds) };
}

export function integerOr(
  flags: string,
  help: string,
  bounds: IntegerBounds & { readonly fallback: number },
): Parameter<number> {
  const { fallback } = bounds;
  return { flags, help, kind: 'value', required: false, fallback, parse: integerWithin(bounds) };
}

function integerWithin({ min, max = Number.MAX_SAFE_INTEGER }: IntegerBounds): (text: string) => number {
  return (input) => {
    const value = Number(input);
    if (/^\d+$/.test(input) && Number.isSafeInteger(value) && value >= min && value <= max) return value;
    const upper = max === Number.MAX_SAFE_INTEGER ? ' or more' : ` to ${max}`;
    throw new Error(`expected a whole number, ${min}${upper}`);
  };
}

export interface CommandContext {
  readonly io: Io;
  readonly signal: AbortSignal;
  readonly sink: EventSink;
  /** True when the result is printed as JSON. */
  readonly json: boolean;
  /**
   * One line of a result that comes bit by bit, such as a machine's console: on stdout for people, on stderr when
   * stdout is kept for the JSON document.
   */
  readonly live: (line: string) => void;
  /** For live lines. */
  readonly paint: Paint;
}

/** What a command found out. It never prints: that keeps `--json` pure. */
export interface Outcome {
  /** 1 when the answer is no. */
  readonly exitCode?: 0 | 1;
  /** Must survive JSON; byte arrays become hex, big integers decimal strings. */
  readonly json: unknown;
  /** For people; without the last newline. */
  text(paint: Paint): string | Promise<string>;
}

/** A line of the table of contents. */
export interface CommandEntry {
  /** For example `['keys', 'init']`. */
  readonly path: readonly string[];
  readonly summary: string;
  readonly load: () => Promise<Command>;
}

export interface Command {
  /** Paragraphs below the summary in the command's own help. */
  readonly description?: string;
  readonly options: Parameters;
  readonly args: Parameters;
  readonly examples: readonly Example[];
  run(values: Readonly<Record<string, unknown>>, context: CommandContext): Promise<Outcome>;
}

export interface Example {
  readonly line: string;
  readonly does: string;
}

export interface CommandSpec<O extends Parameters, A extends Parameters> {
  readonly description?: string;
  readonly options: O;
  readonly args: A;
  readonly examples: readonly Example[];
  run(values: Values<O> & Values<A>, context: CommandContext): Promise<Outcome>;
}

export function defineCommand<O extends Parameters, A extends Parameters>(spec: CommandSpec<O, A>): Command {
  return {
    ...spec,
    // The program reads exactly the parameters named in the spec, through their own parsers.
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion
    run: (values, context) => spec.run(values as Values<O> & Values<A>, context),
  };
}
