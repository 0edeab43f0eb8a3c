/**
 * The server's idea of the date, and its doubts about it. Every statement the server signs carries a time that PNEs take
 * for the lower bound of theirs, so a wrong clock would do lasting harm: nothing is signed under a clock that is behind
 * the last time on disk or has leapt, until an operator says that it is right (`cpns server clock accept`).
 * Source: docs/protocol.md §4.3, protocol-core §7.
 */
import { CpnsError } from '../../base/errors.ts';
import type { Clock, ServerSeconds } from '../../base/time.ts';
import type { ServerStore } from '../../store/server-store.ts';

/** How far behind the last stored time the clock may be, seconds. */
export const MAX_BEHIND_SECONDS = 300;
/** How far ahead while running: the stored time is never older than a minute then. */
export const MAX_LEAP_SECONDS = 86_400;
/** How far ahead at a start: how long a server may have been off. */
export const MAX_OFF_SECONDS = 90 * 86_400;
/** The stored time follows the clock at this distance. */
const STORE_EVERY_SECONDS = 30;

export class TrustedClock {
  readonly #clock: Pick<Clock, 'wallSeconds'>;
  readonly #store: ServerStore;
  #started = false;

  constructor(clock: Pick<Clock, 'wallSeconds'>, store: ServerStore) {
    this.#clock = clock;
    this.#store = store;
  }

  /** @throws CpnsError clock-implausible, cannot-persist */
  now(): ServerSeconds {
    const wall = this.#clock.wallSeconds();
    const sure = this.#store.highWater;
    const maxAhead = this.#started ? MAX_LEAP_SECONDS : MAX_OFF_SECONDS;
    if (wall < sure - MAX_BEHIND_SECONDS || wall > sure + maxAhead) throw new CpnsError('clock-implausible');
    if (!this.#started || wall >= sure + STORE_EVERY_SECONDS) this.#store.raiseHighWater(wall);
    this.#started = true;
    return wall;
  }

  /** The time, believed or not: for a log line and for what nobody signs. */
  wallSeconds(): ServerSeconds {
    return this.#clock.wallSeconds();
  }
}
