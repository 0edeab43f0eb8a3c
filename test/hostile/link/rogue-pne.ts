/**
 * A peripheral that looks like a PNE: it advertises what it is told to and hands out each link that a gateway opens. What
 * it says on one is the test's business. Not the project's PNE machine, which would not do what is tried here.
 */
import { openPeripheral } from '../../../src/bluetooth/open.ts';
import type { GattLink, Peripheral } from '../../../src/bluetooth/ports.ts';
import type { VirtualRadio } from '../../../src/bluetooth/virtual-radio/server.ts';
import { primitives } from '../../support/join.ts';
import { Dialogue, type DialogueOptions } from './dialogue.ts';

/** Version 1, mode PNE, JOIN. */
const JOINING = 0b0010_1010;

/** 13 bytes of a PNE that nobody knows and that would join. */
export function joiningAnnouncement(): Uint8Array {
  const serviceData = primitives.randomBytes(13);
  serviceData[0] = JOINING;
  return serviceData;
}

export class RoguePne {
  readonly peripheral: Peripheral;
  links = 0;
  readonly #links: GattLink[] = [];
  #waiting: ((link: GattLink) => void)[] = [];

  private constructor(peripheral: Peripheral) {
    this.peripheral = peripheral;
    peripheral.onLink = (link) => {
      this.links++;
      const waiting = this.#waiting.shift();
      if (waiting) waiting(link);
      else this.#links.push(link);
    };
  }

  static async open(radio: VirtualRadio, randomAddress = true): Promise<RoguePne> {
    return new RoguePne(await openPeripheral(radio.moniker, { randomAddress }));
  }

  async advertise(serviceData = joiningAnnouncement()): Promise<void> {
    await this.peripheral.startAdvertising({ serviceData });
  }

  /** The next link that a gateway opened. */
  nextLink(): Promise<GattLink> {
    const link = this.#links.shift();
    return link ? Promise.resolve(link) : new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** The same, with our OPEN sent. */
  async next(options: DialogueOptions = {}): Promise<Dialogue> {
    return Dialogue.peripheral(await this.nextLink(), { establish: true, sessions: [] }, options);
  }

  close(): Promise<void> {
    return this.peripheral.close();
  }
}
