/**
 * Which of the joins that a central remembers an announcement belongs to (docs/protocol.md §2.2). Anybody can fill the
 * air with announcements, each of which has to be compared with every join: the work is bounded per second, and what
 * stays on the air is looked at before what shows up once. Keeps the advertising keys, not the joins.
 */
import { type Bytes, toHex } from '../base/bytes.ts';
import type { JoinId } from '../base/ids.ts';
import type { MonotonicMs } from '../base/time.ts';
import { type Announced, showsTag } from '../network/advertisement.ts';
import { deriveAdvertisingKey } from '../security/key-schedule.ts';
import type { Primitives } from '../security/primitives.ts';
import type { NetworkStore } from '../store/gateway-networks.ts';
import { WorkBudget } from './work-budget.ts';

/** Tags compared per second, 3 µs each: of 512 joins 39 announcements a second, of a few joins more than a radio hears. */
const TAGS_PER_SECOND = 20_000;
/** Left for announcements that were heard before. */
const KEPT_FOR_REPEATED = TAGS_PER_SECOND / 2;

/** What is remembered, oldest first; `revision` differs when that is another than before. */
export type Remembered = Pick<NetworkStore, 'resumable' | 'revision'>;

interface Known {
  readonly joinId: JoinId;
  readonly advertisingKey: Bytes;
}

export class Recognition {
  readonly #networks: Remembered;
  readonly #primitives: Primitives;
  readonly #budget = new WorkBudget(TAGS_PER_SECOND);
  #known: readonly Known[] = [];
  #revision: string | undefined;

  constructor(networks: Remembered, primitives: Primitives) {
    this.#networks = networks;
    this.#primitives = primitives;
  }

  /**
   * The join whose tag is shown; of several the newest, which may have overtaken the others.
   * @param repeated these very bytes were heard from this address before
   * @returns `later` when there is no time for it now: ask when it is heard again
   */
  joinOf(announced: Announced, repeated: boolean, nowMs: MonotonicMs): JoinId | 'later' | undefined {
    const known = this.#joins();
    const reserve = repeated ? 0 : KEPT_FOR_REPEATED;
    if (!this.#budget.take(known.length, nowMs, reserve)) return 'later';
    return known.findLast(({ advertisingKey }) => showsTag(this.#primitives, announced, advertisingKey))
      ?.joinId;
  }

  /** Oldest first; read anew only after the store was written. */
  #joins(): readonly Known[] {
    const revision = this.#networks.revision();
    if (revision !== this.#revision) {
      const before = new Map(this.#known.map((known) => [toHex(known.joinId), known]));
      this.#known = this.#networks.resumable().map(
        ({ joinId, rms }) =>
          before.get(toHex(joinId)) ?? {
            joinId,
            advertisingKey: deriveAdvertisingKey(this.#primitives, rms),
          },
      );
      this.#revision = revision;
    }
    return this.#known;
  }
}
