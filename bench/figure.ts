/** What a figure is: one number about osguard, most often beside the same number of a peer. */

import type { Bench } from './measure.ts';

/** What the number must be; a ratio is ours divided by the peer's. Without a target the number is only shown. */
export type Target = { readonly ratio: number } | { readonly atMost: number } | { readonly atLeast: number };

export interface Measurement {
  /** Ours, in the figure's unit. */
  readonly value: number;
  /** The peer and its version, for example `veritysetup 2.6.1`. */
  readonly peer?: string;
  /** The peer's number, in the same unit. */
  readonly peerValue?: number;
  /** Whatever helps to understand the number: processor seconds, memory, number of samples. */
  readonly notes?: Readonly<Record<string, number | string>>;
}

export interface Figure {
  /** Unique and stable, for example `verity-format`. */
  readonly id: string;
  readonly title: string;
  readonly unit: string;
  readonly target?: Target;
  readonly measure: (bench: Bench) => Promise<Measurement>;
}

/** A file `bench/<group>/<name>.ts` exports `figures`, an array of these. */
export function defineFigure(figure: Figure): Figure {
  return figure;
}
