/**
 * What a GATT peripheral has on the air, PNE or gateway: announces under a fresh salt, anew when its time is over, silent
 * while strangers have used up their places or there is no link left. Owns the salt's life; what is announced is its owner's.
 * Source: docs/protocol.md §2.2, §10.
 */
import { statusOfError } from '../base/errors.ts';
import type { Status } from '../base/statuses.ts';
import type { Peripheral } from '../bluetooth/ports.ts';
import { ADVERTISED_TAGS, type Announcement, encodeAnnouncement } from '../network/advertisement.ts';
import type { Primitives } from '../security/primitives.ts';
import type { StrangerGate } from './stranger-gate.ts';

const SALT_LIFE_MS = 15 * 60_000;
const CROWDED_SALT_LIFE_MS = 30_000;
const AGAIN_MS = 5_000;

export interface AnnouncerOptions {
  readonly peripheral: Peripheral;
  readonly primitives: Primitives;
  readonly gate: StrangerGate;
  /** What holds now. */
  readonly content: () => Omit<Announcement, 'turn'>;
  /** Whether there are as many links as there may be, which is time for silence. */
  readonly full: () => boolean;
  readonly onProblem: (status: Status) => void;
}

export class Announcer {
  readonly #options: AnnouncerOptions;
  #turn = 0;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: AnnouncerOptions) {
    this.#options = options;
  }

  /** Advertises what holds now. */
  async announce(): Promise<void> {
    const { peripheral, primitives, gate, content, full } = this.#options;
    if (this.#closed || full()) return;
    clearTimeout(this.#timer);
    const fullForMs = gate.fullForMs();
    if (fullForMs > 0) {
      // Silent meanwhile: whoever connects most often would take the next place, too, if it were always in the race.
      this.#timer = setTimeout(() => this.reannounce(), fullForMs);
      await peripheral.stopAdvertising();
      return;
    }
    const announcement = content();
    const serviceData = encodeAnnouncement(primitives, { ...announcement, turn: this.#turn++ });
    const crowded = announcement.secrets.length > ADVERTISED_TAGS;
    this.#timer = setTimeout(() => this.reannounce(), crowded ? CROWDED_SALT_LIFE_MS : SALT_LIFE_MS);
    await peripheral.startAdvertising({ serviceData });
  }

  /** Announces anew in the background; a controller that refuses now is asked again. */
  reannounce(): void {
    this.announce().catch((error) => {
      if (this.#closed) return;
      this.#options.onProblem(statusOfError(error));
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.reannounce(), AGAIN_MS);
    });
  }

  /**
   * The last link has come. Otherwise the controller would resume with what was announced before, under an address that the next
   * announcement changes at once: a peer would connect to nobody.
   */
  pause(): void {
    this.#options.peripheral.stopAdvertising().catch(() => {});
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }
}
