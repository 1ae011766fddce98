/** A small seeded generator, so that a fuzz failure can be run again from its seed. */

export interface Random {
  /** An integer in [0, bound). */
  below(bound: number): number;
}

/** mulberry32: 32 bits of state are plenty for choosing mutations; not for anything secret. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return {
    below(bound) {
      state = (state + 0x6d2b79f5) >>> 0;
      let mixed = Math.imul(state ^ (state >>> 15), state | 1);
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
      return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000) * bound);
    },
  };
}
