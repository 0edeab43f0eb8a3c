/**
 * Listens on the virtual radio from within its process: for every CPNS segment the connection event before which a host
 * handed it over and the one in which it crossed, gathered into messages. Reads segment headers only
 * (docs/protocol.md §3.1); what is inside stays sealed. Must not change what the radio does.
 */
import type { VirtualRadio } from '../../src/bluetooth/open.ts';
import { type Direction, TappedLink } from './tapped-link.ts';

const H4_ACL = 0x02;
const ATT_CID = 4;
const ATT_WRITE_COMMAND = 0x52;
const ATT_NOTIFICATION = 0x1b;
/** H4 type, handle and flags, ACL length, L2CAP length and channel, ATT opcode and handle. */
const SEGMENT_AT = 12;

type Attach = VirtualRadio['radio']['attach'];
type Controller = ReturnType<Attach>;
type AirLink = NonNullable<ReturnType<Controller['links']['get']>>['link'];

export class RadioTap {
  readonly #links = new Map<AirLink, TappedLink>();

  /** To be made before any host connects to the radio. */
  constructor({ radio }: VirtualRadio) {
    const attach = radio.attach.bind(radio);
    radio.attach = (host) => {
      const controller: Controller = attach({
        send: (packet) => {
          this.#note(controller, packet, 'crossed');
          return host.send(packet);
        },
        close: () => host.close(),
      });
      const receive = controller.receive.bind(controller);
      controller.receive = (packet) => {
        this.#note(controller, packet, 'handed');
        receive(packet);
      };
      return controller;
    };
  }

  /** Links that carried a segment since {@link clear}, oldest first. */
  get links(): readonly TappedLink[] {
    return [...this.#links.values()];
  }

  clear(): void {
    this.#links.clear();
  }

  #note(controller: Controller, packet: Buffer, what: 'handed' | 'crossed'): void {
    const direction = directionOf(packet);
    if (direction === undefined) return;
    const air = controller.links.get(packet.readUInt16LE(1) & 0x0fff)?.link;
    if (air === undefined) return;
    let link = this.#links.get(air);
    if (link === undefined) {
      link = new TappedLink(() => air.counters());
      this.#links.set(air, link);
    }
    if (what === 'handed') link.handed(direction, packet.subarray(SEGMENT_AT));
    else link.crossed(direction);
  }
}

/** Of a packet that carries a CPNS segment. The project writes nothing else without a response, and notifies nothing else. */
function directionOf(packet: Buffer): Direction | undefined {
  if (packet[0] !== H4_ACL || packet.length <= SEGMENT_AT || packet.readUInt16LE(7) !== ATT_CID)
    return undefined;
  if (packet[9] === ATT_WRITE_COMMAND) return 'up';
  return packet[9] === ATT_NOTIFICATION ? 'down' : undefined;
}
