/**
 * What happened in a run, in order and by one clock, and waiting for what is to happen next. Owns deadlines and the end of
 * patience; knows no phase.
 */
import { CpnsError } from '../base/errors.ts';

export interface Happening {
  /** By `performance.now()` of the runner. */
  readonly atMs: number;
  readonly side: 'gateway' | 'pne';
  readonly kind: string;
  readonly state?: 'up' | 'down' | undefined;
  readonly status?: string | undefined;
  /** Of a Bluetooth link: the peer's address. */
  readonly address?: string | undefined;
  readonly what?: string | undefined;
}

type Test = (happening: Happening) => boolean;

export interface Wait {
  readonly what: string;
  readonly limitMs: number;
  /** Only what came after so many. */
  readonly from?: number;
  /** What makes it hopeless. */
  readonly unless?: Test;
  readonly signal: AbortSignal;
}

export class Happenings {
  readonly all: Happening[] = [];
  readonly #watchers = new Set<() => void>();
  #broken: Error | undefined;

  /** So many there are: what comes later is new. */
  get mark(): number {
    return this.all.length;
  }

  push(happening: Happening): void {
    this.all.push(happening);
    for (const watcher of [...this.#watchers]) watcher();
  }

  /** Nothing more will happen: whoever waits is told why. */
  break(error: Error): void {
    this.#broken ??= error;
    for (const watcher of [...this.#watchers]) watcher();
  }

  /** @throws CpnsError timeout; link-lost or another status with what made it hopeless; the signal's reason */
  first(wanted: Test, { what, limitMs, from = 0, unless = () => false, signal }: Wait): Promise<Happening> {
    return new Promise((resolve, reject) => {
      let seen = from;
      const settle = (act: () => void): void => {
        clearTimeout(timer);
        this.#watchers.delete(look);
        signal.removeEventListener('abort', look);
        act();
      };
      const look = (): void => {
        for (; seen < this.all.length; seen++) {
          const happening = this.all[seen];
          if (happening === undefined) continue;
          if (wanted(happening)) settle(() => resolve(happening));
          else if (unless(happening)) settle(() => reject(new RunBroken(happening, what)));
          else continue;
          return;
        }
        if (signal.aborted) settle(() => reject(signal.reason));
        else if (this.#broken) {
          const error = this.#broken;
          settle(() => reject(error));
        }
      };
      const late = () => reject(new CpnsError('timeout', `${what}: not within ${limitMs / 1000} s`));
      const timer = setTimeout(() => settle(late), limitMs);
      this.#watchers.add(look);
      signal.addEventListener('abort', look);
      look();
    });
  }
}

/** Something happened after which what was waited for can't come. */
export class RunBroken extends Error {
  override readonly name = 'RunBroken';
  readonly status: string;

  constructor({ side, kind, state, status = 'internal', what }: Happening, during: string) {
    super(`${during}: ${side} says ${[kind, what, state, status].filter(Boolean).join(' ')}`);
    this.status = status;
  }
}
