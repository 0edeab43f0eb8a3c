/**
 * What passed between host and controller in one run, read off its capture: when a connection was asked for, made and
 * lost, under which parameters, and how loud the peer was heard. Pure; the same for a real adapter and a virtual one. Source: Core Specification 5.4, Vol 4 Part E §7.3, §7.7, §7.8.
 */
import { type CapturedPacket, readBtsnoop } from '../bluetooth/hci/btsnoop-reader.ts';
import { H4_ACL, H4_COMMAND, H4_EVENT } from '../bluetooth/hci/h4.ts';
import { formatAddress } from '../bluetooth/hci/own-address.ts';

export interface RadioLinkInstants {
  /** Milliseconds since 1970, as in the capture. */
  readonly upAtMs: number;
  readonly peer: string;
  readonly intervalMs: number;
  readonly latency: number;
  readonly supervisionMs: number;
  /** As exchanged; null when it was not. */
  mtu: number | null;
  /** Bytes of a link-layer packet, when the controller said that they changed. */
  packetBytes: number | null;
  downAtMs: number | null;
  /** HCI error code. */
  reason: number | null;
}

export interface Instants {
  /** Public address of the adapter, when it was asked for; the kernel shows it nowhere. */
  readonly ownAddress: string | null;
  /** Each LE Create Connection, milliseconds since 1970. */
  readonly askedAtMs: readonly number[];
  readonly links: readonly RadioLinkInstants[];
  /** dBm of each advertisement, by address. */
  readonly heard: ReadonlyMap<string, readonly number[]>;
}

const LE_CREATE_CONNECTION = 0x200d;
const LE_EXTENDED_CREATE_CONNECTION = 0x2043;
const READ_BD_ADDR = 0x1009;
const EVENT_DISCONNECTION_COMPLETE = 0x05;
const EVENT_COMMAND_COMPLETE = 0x0e;
const EVENT_LE_META = 0x3e;
const META_CONNECTION_COMPLETE = 0x01;
const META_ADVERTISING_REPORT = 0x02;
const META_DATA_LENGTH_CHANGE = 0x07;
const META_ENHANCED_CONNECTION_COMPLETE = 0x0a;
const META_EXTENDED_ADVERTISING_REPORT = 0x0d;
const ATT_CID = 4;
const ATT_MTU_REQUEST = 0x02;
const ATT_MTU_RESPONSE = 0x03;
/** In place of a strength: the controller has none. */
const NO_RSSI = 127;

/** @throws BtsnoopError when the file is no capture; a record that was cut off ends it */
export function readInstants(capture: Buffer): Instants {
  const reader = new Reader();
  for (const packet of readBtsnoop(capture)) reader.take(packet);
  return reader;
}

class Reader implements Instants {
  ownAddress: string | null = null;
  readonly askedAtMs: number[] = [];
  readonly links: RadioLinkInstants[] = [];
  readonly heard = new Map<string, number[]>();
  readonly #open = new Map<number, RadioLinkInstants>();

  take({ packet, received, atMs }: CapturedPacket): void {
    const type = packet[0];
    if (type === H4_COMMAND && !received && packet.length >= 4) this.#command(packet, atMs);
    else if (type === H4_EVENT && received && packet.length >= 4) this.#event(packet, atMs);
    else if (type === H4_ACL && packet.length >= 12) this.#data(packet);
  }

  #command(packet: Buffer, atMs: number): void {
    const opcode = packet.readUInt16LE(1);
    if (opcode === LE_CREATE_CONNECTION || opcode === LE_EXTENDED_CREATE_CONNECTION)
      this.askedAtMs.push(atMs);
  }

  #event(packet: Buffer, atMs: number): void {
    const code = packet[1];
    if (code === EVENT_COMMAND_COMPLETE) this.#answered(packet);
    else if (code === EVENT_LE_META) this.#meta(packet, atMs);
    else if (code === EVENT_DISCONNECTION_COMPLETE && packet.length >= 7 && packet[3] === 0) {
      const link = this.#open.get(packet.readUInt16LE(4));
      if (link === undefined) return;
      this.#open.delete(packet.readUInt16LE(4));
      link.downAtMs = atMs;
      link.reason = packet[6] ?? null;
    }
  }

  #answered(packet: Buffer): void {
    if (packet.length >= 13 && packet.readUInt16LE(4) === READ_BD_ADDR && packet[6] === 0)
      this.ownAddress = formatAddress(packet.subarray(7, 13));
  }

  #meta(packet: Buffer, atMs: number): void {
    const sub = packet[3];
    if (sub === META_CONNECTION_COMPLETE && packet.length >= 21) this.#connected(packet, 15, atMs);
    else if (sub === META_ENHANCED_CONNECTION_COMPLETE && packet.length >= 33)
      this.#connected(packet, 27, atMs);
    else if (sub === META_DATA_LENGTH_CHANGE && packet.length >= 8) {
      const link = this.#open.get(packet.readUInt16LE(4));
      if (link) link.packetBytes = packet.readUInt16LE(6);
    } else if (sub === META_ADVERTISING_REPORT) this.#reports(packet);
    else if (sub === META_EXTENDED_ADVERTISING_REPORT) this.#extendedReports(packet);
  }

  #connected(packet: Buffer, parametersAt: number, atMs: number): void {
    if (packet[4] !== 0) return;
    const link: RadioLinkInstants = {
      upAtMs: atMs,
      peer: formatAddress(packet.subarray(9, 15)),
      intervalMs: packet.readUInt16LE(parametersAt) * 1.25,
      latency: packet.readUInt16LE(parametersAt + 2),
      supervisionMs: packet.readUInt16LE(parametersAt + 4) * 10,
      ...{ mtu: null, packetBytes: null, downAtMs: null, reason: null },
    };
    this.links.push(link);
    this.#open.set(packet.readUInt16LE(5), link);
  }

  #reports(packet: Buffer): void {
    let at = 5;
    for (let left = packet[4] ?? 0; left > 0 && at + 9 <= packet.length; left--) {
      const end = at + 9 + (packet[at + 8] ?? 0);
      if (end >= packet.length) return;
      this.#hear(packet.subarray(at + 2, at + 8), packet.readInt8(end));
      at = end + 1;
    }
  }

  #extendedReports(packet: Buffer): void {
    let at = 5;
    for (let left = packet[4] ?? 0; left > 0 && at + 24 <= packet.length; left--) {
      this.#hear(packet.subarray(at + 3, at + 9), packet.readInt8(at + 13));
      at += 24 + (packet[at + 23] ?? 0);
    }
  }

  #hear(address: Buffer, rssi: number): void {
    if (rssi === NO_RSSI) return;
    const name = formatAddress(address);
    const known = this.heard.get(name);
    if (known) known.push(rssi);
    else this.heard.set(name, [rssi]);
  }

  #data(packet: Buffer): void {
    if (packet.readUInt16LE(7) !== ATT_CID) return;
    const opcode = packet[9];
    if (opcode !== ATT_MTU_REQUEST && opcode !== ATT_MTU_RESPONSE) return;
    const link = this.#open.get(packet.readUInt16LE(1) & 0x0fff);
    // Both sides state what they take; the smaller one holds.
    if (link) link.mtu = Math.min(link.mtu ?? Number.POSITIVE_INFINITY, packet.readUInt16LE(10));
  }
}
