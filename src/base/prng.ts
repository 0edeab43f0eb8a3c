/**
 * A small seeded generator of pseudo-random numbers, for faults and simulations that must repeat exactly.
 * Never for keys, nonces or addresses: those come from the RandomBytes port. Mulberry32, public domain.
 */

export class Prng {
  #state: number;

  /** @param seed any integer; equal seeds give equal sequences */
  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** The next number, 0 ≤ n < 1, with 32 bits of resolution. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 0x1_0000_0000;
  }

  /** True with the given probability, 0 to 1. Draws one number whatever the probability, so that sequences stay aligned. */
  chance(probability: number): boolean {
    return this.next() < probability;
  }
}
