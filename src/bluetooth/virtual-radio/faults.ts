/**
 * What can go wrong on the virtual air, and the seeded dice that decide when. Equal seeds and equal traffic give equal
 * faults. Owns the decisions; link.ts and advertising.ts carry them out.
 */
import { Prng } from '../../base/prng.ts';

export interface Faults {
  /** Probability, 0 to 1, that one scanner misses one advertising event. */
  readonly advertLossProbability?: number | undefined;
  /** Probability, 0 to 1, per data packet, that the link is lost with it. */
  readonly linkLossProbability?: number | undefined;
  /** The link is lost in place of its n-th data packet (from 1, both directions counted together). */
  readonly dropLinkAtPacket?: number | undefined;
  /** Before its n-th data packet a link carries nothing for `durationMs`; past the supervision timeout it is lost. */
  readonly stallAtPacket?: { readonly packet: number; readonly durationMs: number } | undefined;
  /** Added to every data packet's way, order kept. */
  readonly extraLatencyMs?: number | undefined;
  /** No controller takes more data packets than this per second from one link. */
  readonly slowPeerPacketsPerSecond?: number | undefined;
  /**
   * Largest ATT MTU that two hosts can agree on, 23 to 517. CHOICE: done by rewriting the value in the Exchange MTU
   * PDUs as they cross, so that it acts on any host and on each link alone; ACL buffers stay as they are.
   */
  readonly maxAttMtu?: number | undefined;
  /** So many attribute values, from now on, arrive twice: as from a relay that plays back what it has just heard. */
  readonly repeatValues?: number | undefined;
  /** LE Set Advertising Enable answers Command Disallowed, as adapters do that another program uses. */
  readonly refuseAdvertising?: boolean | undefined;
  /** A scan is over so long after its host enabled it, and the host is not told, as controllers do after connects. */
  readonly scanEndsAfterMs?: number | undefined;
}

export type DataFault = 'none' | 'drop-link' | { readonly stallMs: number };

export class FaultDice {
  faults: Faults;
  readonly #prng: Prng;

  constructor(seed: number, faults: Faults) {
    this.#prng = new Prng(seed);
    this.faults = faults;
  }

  losesAdvert(): boolean {
    const probability = this.faults.advertLossProbability ?? 0;
    return probability > 0 && this.#prng.chance(probability);
  }

  /** What happens to the n-th data packet of a link, n from 1. */
  onData(n: number): DataFault {
    const { dropLinkAtPacket, linkLossProbability, stallAtPacket } = this.faults;
    if (dropLinkAtPacket === n) return 'drop-link';
    if (linkLossProbability !== undefined && this.#prng.chance(linkLossProbability)) return 'drop-link';
    if (stallAtPacket?.packet === n) return { stallMs: stallAtPacket.durationMs };
    return 'none';
  }

  /** Whether this data packet arrives a second time. */
  repeats(packet: Buffer): boolean {
    const { repeatValues = 0 } = this.faults;
    if (repeatValues === 0 || !carriesValue(packet)) return false;
    this.faults = { ...this.faults, repeatValues: repeatValues - 1 };
    return true;
  }
}

const ATT_CID = 0x0004;
const EXCHANGE_MTU_REQUEST = 0x02;
const EXCHANGE_MTU_RESPONSE = 0x03;
const HANDLE_VALUE_NOTIFICATION = 0x1b;
const WRITE_COMMAND = 0x52;

/** A write without response or a notification: what segments travel in. */
function carriesValue(packet: Buffer): boolean {
  const starts = (((packet[2] ?? 0) >> 4) & 0b11) !== 0b01;
  if (!starts || packet.length < 10 || packet.readUInt16LE(7) !== ATT_CID) return false;
  return packet[9] === HANDLE_VALUE_NOTIFICATION || packet[9] === WRITE_COMMAND;
}

/** Lowers the MTU of an Exchange MTU PDU in place; any other ACL packet stays as it is. */
export function limitAttMtu(packet: Buffer, maxAttMtu: number): void {
  if (packet.length !== 12 || packet.readUInt16LE(7) !== ATT_CID) return;
  const opcode = packet[9];
  if (opcode !== EXCHANGE_MTU_REQUEST && opcode !== EXCHANGE_MTU_RESPONSE) return;
  packet.writeUInt16LE(Math.min(packet.readUInt16LE(10), maxAttMtu), 10);
}
