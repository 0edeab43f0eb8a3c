/**
 * A gateway's HTTPS legs in the virtual world: requests with latency and loss, repeated with back-off as
 * src/https/server-client-retry.ts does; and channel frames, of which a lost one means that the channel is dialled anew.
 */
import { CpnsError, statusOfError } from '../../src/base/errors.ts';
import { STATUSES, type Status } from '../../src/base/statuses.ts';
import type { Timer, VirtualWorld } from './virtual-world.ts';

const ANSWER_WITHIN_MS = 10_000;
const BROKEN_MS = [50, 2_000] as const;
const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 30_000;

export type Answer<T> = { readonly value: T } | { readonly status: Status };

export interface Repeating {
  /** Attempts in all; 1 by default. Only silence is repeated then, not a word of the server. */
  readonly attempts?: number;
  /** Until there is an answer that will not change. */
  readonly forEver?: boolean;
}

export class VirtualCalls {
  readonly #world: VirtualWorld;
  readonly #who: string;
  readonly #timers = new Set<Timer>();
  #dead = false;

  constructor(world: VirtualWorld, who: string) {
    this.#world = world;
    this.#who = who;
  }

  kill(): void {
    this.#dead = true;
    for (const timer of this.#timers) timer.cancel();
  }

  request<T>(what: string, perform: () => T, repeating: Repeating, done: (answer: Answer<T>) => void): void {
    this.#attempt(what, perform, repeating, 1, done);
  }

  /** A frame from the server; `handled` once it is durable, `again` when the channel broke and was dialled anew. */
  frame(handle: () => void, handled: () => void, again: () => void): void {
    const { faults, shape } = this.#world;
    if (this.#world.chance(faults.httpsLoss)) {
      this.#later(this.#world.between([1_000, 5_000]), 'dial again', again);
      return;
    }
    this.#later(this.#world.between(shape.httpsLatencyMs), 'channel frame', () => {
      try {
        handle();
      } catch (error) {
        if (!(error instanceof CpnsError)) throw error;
        this.#later(5_000, 'dial again', again);
        return;
      }
      if (this.#world.chance(this.#world.faults.httpsLoss)) this.#later(2_000, 'dial again', again);
      // What left this gateway arrives even if it is killed meanwhile.
      else this.#world.after(this.#world.between(shape.httpsLatencyMs), 'channel ack', handled);
    });
  }

  #attempt<T>(
    what: string,
    perform: () => T,
    repeating: Repeating,
    attempt: number,
    done: (answer: Answer<T>) => void,
  ): void {
    const { shape } = this.#world;
    const answered = { yet: false };
    const finish = (answer: Answer<T>) => {
      if (answered.yet) return;
      answered.yet = true;
      timeout.cancel();
      this.#timers.delete(timeout);
      const silent = 'status' in answer && answer.status === 'server-unreachable';
      const retryable = 'status' in answer && STATUSES[answer.status].retryable;
      const again = repeating.forEver ? retryable : silent && attempt < (repeating.attempts ?? 1);
      if (!again) {
        done(answer);
        return;
      }
      const endMs = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** (attempt - 1));
      this.#later(this.#world.between([endMs / 2, endMs]), what, () =>
        this.#attempt(what, perform, repeating, attempt + 1, done),
      );
    };
    const unanswered = () => finish({ status: 'server-unreachable' });
    const timeout = this.#later(ANSWER_WITHIN_MS, `${what}: no answer`, unanswered);
    // A connection that breaks is noticed sooner than an answer that never comes.
    const broken = () =>
      this.#later(this.#world.between(BROKEN_MS), `${what}: connection broken`, unanswered);
    if (this.#lost()) {
      broken();
      return;
    }
    this.#world.after(this.#world.between(shape.httpsLatencyMs), what, () => {
      const answer = answerOf(perform);
      this.#world.changed();
      if (this.#lost()) broken();
      else this.#later(this.#world.between(shape.httpsLatencyMs), `${what}: answer`, () => finish(answer));
    });
  }

  #lost(): boolean {
    return this.#world.chance(this.#world.faults.httpsLoss);
  }

  #later(afterMs: number, what: string, run: () => void): Timer {
    const timer = this.#world.after(afterMs, `${this.#who}: ${what}`, () => {
      this.#timers.delete(timer);
      if (!this.#dead) run();
    });
    this.#timers.add(timer);
    return timer;
  }
}

function answerOf<T>(perform: () => T): Answer<T> {
  try {
    return { value: perform() };
  } catch (error) {
    if (!(error instanceof CpnsError)) throw error;
    return { status: statusOfError(error) };
  }
}
