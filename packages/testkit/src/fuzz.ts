/**
 * Mutation fuzzing: take good inputs, break them, and demand that the parser either accepts the result or
 * throws its room's typed error. Anything else (RangeError, hang, memory) is a bug in the parser.
 */

import { FormatError } from '@osguard/formats/bytes';
import { mutate } from './mutate.ts';
import { seededRandom } from './random.ts';

export interface FuzzTarget {
  readonly name: string;
  /** Good inputs, made when the target runs (they may be large to build). */
  readonly seeds: () => readonly Uint8Array[];
  /** Parses, and reads whatever is lazily parsed; what it returns is ignored. */
  readonly run: (bytes: Uint8Array) => unknown;
  /** Typed errors of the room besides FormatError. */
  readonly accepts?: (error: unknown) => boolean;
}

export interface FuzzOptions {
  /** Wall time for this target. Milliseconds. */
  readonly milliseconds: number;
  readonly seed: number;
  /** One input may take this long. Milliseconds; 2000 unless told otherwise. */
  readonly slowest?: number;
  /** Told before each input: with the seed, its number is all that is needed to make it again. */
  readonly onInput?: (index: number) => void;
}

export interface FuzzReport {
  readonly inputs: number;
  readonly rejected: number;
}

export class FuzzFailure extends Error {
  override readonly name = 'FuzzFailure';
  readonly input: Uint8Array;

  constructor(target: string, input: Uint8Array, what: string, cause?: unknown) {
    super(`${target}: ${what}`, { cause });
    this.input = input;
  }
}

export function defineFuzz(target: FuzzTarget): FuzzTarget {
  return target;
}

/** The input with this number: first the seeds as they are, then broken ones, each from its own random state. */
export function fuzzInput(
  seeds: readonly Uint8Array[],
  { seed, index }: { readonly seed: number; readonly index: number },
): Uint8Array {
  const plain = seeds[index];
  if (plain !== undefined) return Uint8Array.from(plain);
  const random = seededRandom(Math.imul(seed ^ Math.imul(index, 0x9e37_79b1), 0x85eb_ca6b));
  const chosen = seeds[random.below(seeds.length)];
  if (chosen === undefined) throw new Error('a fuzz target without seeds');
  return mutate(chosen, random);
}

/** @throws FuzzFailure with the input that broke the parser. */
export function runFuzz(target: FuzzTarget, options: FuzzOptions): FuzzReport {
  const seeds = target.seeds();
  const end = performance.now() + options.milliseconds;
  let rejected = 0;
  let index = 0;
  for (; index < seeds.length || performance.now() < end; index += 1) {
    options.onInput?.(index);
    const input = fuzzInput(seeds, { seed: options.seed, index });
    if (!runOne(target, input, options.slowest ?? 2000)) rejected += 1;
  }
  return { inputs: index, rejected };
}

/** @returns whether the parser accepted the input. @throws FuzzFailure */
export function runOne(target: FuzzTarget, input: Uint8Array, slowest: number): boolean {
  // A slow run may be the machine's doing: it counts when the input is slow again.
  const first = timeOne(target, input);
  if (first.milliseconds > slowest) {
    const milliseconds = Math.min(first.milliseconds, timeOne(target, input).milliseconds);
    if (milliseconds > slowest)
      throw new FuzzFailure(target.name, input, `took ${Math.round(milliseconds)} ms`);
  }
  return first.accepted;
}

function timeOne(
  target: FuzzTarget,
  input: Uint8Array,
): { readonly accepted: boolean; readonly milliseconds: number } {
  const started = performance.now();
  let accepted = true;
  try {
    target.run(input);
  } catch (error) {
    if (!(error instanceof FormatError) && target.accepts?.(error) !== true) {
      throw new FuzzFailure(target.name, input, `threw ${describe(error)}`, error);
    }
    accepted = false;
  }
  return { accepted, milliseconds: performance.now() - started };
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? String(error)) : String(error);
}
