/**
 * The point that every visible effect of a party passes while one move is made: writes to its disk, words to others. It
 * counts them, and can let the party die after any one of them or let its disk refuse any one write. That is how a crash
 * in the middle of a step and a full disk are explored without the parties knowing.
 */
import { CpnsError } from '../../src/base/errors.ts';

/** The party is dead: nothing it would have done after this happens. */
export class Crash extends Error {}

export interface GatePlan {
  /** Die when so many effects are done. */
  readonly crashAfter?: number;
  /** Refuse the write that would be so many-th, from 1. */
  readonly refuseWrite?: number;
}

export class Gate {
  readonly #plan: GatePlan;
  /** Effects done, writes among them. */
  effects = 0;
  writes = 0;
  dead = false;

  constructor(plan: GatePlan = {}) {
    this.#plan = plan;
  }

  /** Something others can see, not yet done. @throws Crash when the party died before */
  pass<T>(effect: () => T): T {
    if (this.dead || this.effects === this.#plan.crashAfter) {
      this.dead = true;
      throw new Crash();
    }
    const result = effect();
    this.effects++;
    return result;
  }

  /** One durable transaction. @throws CpnsError cannot-persist when it is the one that is refused */
  write<T>(change: () => T): T {
    if (!this.dead && this.effects !== this.#plan.crashAfter && ++this.writes === this.#plan.refuseWrite)
      throw new CpnsError('cannot-persist', 'the disk is full');
    return this.pass(change);
  }
}
