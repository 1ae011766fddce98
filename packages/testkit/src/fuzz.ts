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
  /** One input may take this long. Milliseconds. */
  readonly slowest?: number;
}

export interface FuzzReport {
  readonly inputs: number;
  readonly rejected: number;
}

export class FuzzFailure extends Error {
  override readonly name = 'FuzzFailure';
  readonly input: Uint8Array;

  constructor(target: string, input: Uint8Array, what: string, cause?: unknown) {
    super(`${target}: ${what}; input (base64): ${Buffer.from(input).toString('base64').slice(0, 4096)}`, {
      cause,
    });
    this.input = input;
  }
}

export function defineFuzz(target: FuzzTarget): FuzzTarget {
  return target;
}

export function runFuzz(target: FuzzTarget, options: FuzzOptions): FuzzReport {
  const random = seededRandom(options.seed);
  const seeds = target.seeds();
  const end = performance.now() + options.milliseconds;
  let inputs = 0;
  let rejected = 0;
  while (performance.now() < end) {
    const seed = seeds[random.below(seeds.length)];
    if (seed === undefined) throw new Error(`${target.name} has no seeds`);
    const input = inputs < seeds.length ? (seeds[inputs] ?? seed) : mutate(seed, random);
    const started = performance.now();
    try {
      target.run(input);
    } catch (error) {
      if (!(error instanceof FormatError) && target.accepts?.(error) !== true) {
        throw new FuzzFailure(target.name, input, `threw ${String(error)}`, error);
      }
      rejected += 1;
    }
    const took = performance.now() - started;
    if (took > (options.slowest ?? 2000)) {
      throw new FuzzFailure(target.name, input, `took ${Math.round(took)} ms`);
    }
    inputs += 1;
  }
  return { inputs, rejected };
}
