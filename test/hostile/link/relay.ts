/**
 * Somebody between a PNE and a gateway that do not hear each other: two radios, a central on the PNE's and a peripheral on
 * the gateway's. Each segment is carried over as it is, or as the test changes it.
 */
import type { Bytes } from '../../../src/base/bytes.ts';
import { openCentral } from '../../../src/bluetooth/open.ts';
import type { Central, GattLink } from '../../../src/bluetooth/ports.ts';
import type { VirtualRadio } from '../../../src/bluetooth/virtual-radio/server.ts';
import { RoguePne } from './rogue-pne.ts';

export type Direction = 'to-gateway' | 'to-pne';

export interface Carried {
  readonly direction: Direction;
  readonly segment: Bytes;
}

/** What goes on in the place of a segment; `index` counts this direction from 0, which is the OPEN. */
export type Change = (segment: Bytes, direction: Direction, index: number) => Bytes;

export class Relay {
  readonly #central: Central;
  readonly #peripheral: RoguePne;
  readonly #pneAddress: string;

  private constructor(central: Central, peripheral: RoguePne, pneAddress: string) {
    this.#central = central;
    this.#peripheral = peripheral;
    this.#pneAddress = pneAddress;
  }

  static async open(pneRadio: VirtualRadio, gatewayRadio: VirtualRadio, pneAddress: string): Promise<Relay> {
    const central = await openCentral(pneRadio.moniker);
    return new Relay(central, await RoguePne.open(gatewayRadio), pneAddress);
  }

  /** Both ends of the next attempt: the gateway's link is up, the PNE has subscribed us. */
  async ends(): Promise<{ readonly gateway: GattLink; readonly pne: GattLink }> {
    await this.#peripheral.advertise();
    const gateway = await this.#peripheral.nextLink();
    // Whatever else wants the PNE may have it for the moment.
    for (let tries = 1; ; tries++) {
      try {
        return { gateway, pne: await this.#central.connect(this.#pneAddress, { deadlineMs: 1_500 }) };
      } catch (error) {
        if (tries >= 5) throw error;
      }
    }
  }

  /** Carries one whole link. @returns what crossed, once both ends are down */
  async carry(change: Change = (segment) => segment): Promise<readonly Carried[]> {
    const { gateway, pne } = await this.ends();
    const carried: Carried[] = [];
    const pass = (from: GattLink, to: GattLink, direction: Direction) => {
      let index = 0;
      from.onSegment = (segment) => {
        carried.push({ direction, segment: segment.slice() });
        to.send(change(segment.slice(), direction, index++));
      };
      return new Promise<void>((resolve) => {
        from.onClose = () => {
          resolve();
          void to.close();
        };
      });
    };
    await Promise.all([pass(gateway, pne, 'to-pne'), pass(pne, gateway, 'to-gateway')]);
    return carried;
  }

  async close(): Promise<void> {
    await this.#peripheral.close();
    await this.#central.close();
  }
}
