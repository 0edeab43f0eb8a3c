/**
 * The peripheral's side of getting links, of PNE and gateway alike: announces, admits whoever connects within what
 * strangers may have, as many links at a time as the port has, and announces anew when one is down. Must not know what a link is for.
 */
import { statusOfError } from '../base/errors.ts';
import type { Status } from '../base/statuses.ts';
import type { Clock } from '../base/time.ts';
import type { GattLink, Peripheral } from '../bluetooth/ports.ts';
import type { Announcement } from '../network/advertisement.ts';
import type { Primitives } from '../security/primitives.ts';
import { Announcer } from './announcer.ts';
import { StrangerGate } from './stranger-gate.ts';

export interface LinkTakerOptions {
  readonly peripheral: Peripheral;
  readonly primitives: Primitives;
  readonly clock: Clock;
  /** What there is to announce now. */
  readonly content: () => Omit<Announcement, 'turn'>;
  /**
   * A link has come. Settles when it is down.
   * @param proven to be called when its peer proved to be no stranger
   */
  readonly take: (gatt: GattLink, proven: () => void) => Promise<unknown>;
  readonly onProblem: (status: Status) => void;
}

export class LinkTaker {
  readonly #options: LinkTakerOptions;
  readonly #gate: StrangerGate;
  readonly #announcer: Announcer;
  #links = 0;
  #closed = false;

  constructor(options: LinkTakerOptions) {
    this.#options = options;
    const { peripheral, primitives, clock, content, onProblem } = options;
    this.#gate = new StrangerGate(clock);
    this.#announcer = new Announcer({
      ...{ peripheral, primitives, content, onProblem },
      gate: this.#gate,
      full: () => this.#isFull(),
    });
    peripheral.onLink = (gatt) => void this.#take(gatt);
  }

  /** Announces what holds now; to be called again when that changed. */
  announce(): Promise<void> {
    return this.#announcer.announce();
  }

  /** The same in the background. */
  reannounce(): void {
    this.#announcer.reannounce();
  }

  /** Announces and takes nothing any more; a link that is up is its owner's to end. */
  stop(): void {
    this.#closed = true;
    this.#announcer.close();
  }

  #isFull(): boolean {
    return this.#links >= this.#options.peripheral.maxLinks;
  }

  async #take(gatt: GattLink): Promise<void> {
    if (this.#closed || this.#isFull() || !this.#gate.admit()) {
      void gatt.close();
      return;
    }
    this.#links++;
    if (this.#isFull()) this.#announcer.pause();
    let isStranger = true;
    const proven = () => {
      if (isStranger) this.#gate.proven();
      isStranger = false;
    };
    try {
      await this.#options.take(gatt, proven);
    } catch (error) {
      // A disk that can't be read, say: this link is not served, and the next may be.
      void gatt.close();
      if (!this.#closed) this.#options.onProblem(statusOfError(error));
    } finally {
      this.#links--;
      this.#announcer.reannounce();
    }
  }
}
