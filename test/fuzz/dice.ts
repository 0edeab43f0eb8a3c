/** A seeded generator with the few questions that a mutator asks. Owns no state but the seed's. */
import { Prng } from '../../src/base/prng.ts';

export class Dice extends Prng {
  /** An integer from 0 to `limit` − 1. */
  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  pick<T>(list: readonly T[]): T {
    const one = list[this.below(list.length)];
    if (one === undefined) throw new TypeError('nothing to choose from');
    return one;
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.below(256));
  }
}
