/**
 * From HCI packets to the segments of the CPNS characteristics: connections, ACL fragments put together, ATT, the handles
 * learnt from discovery. Where a capture began after discovery every Write Command and Notification is tried.
 * Owns that chain; must not know segments. Source: Core Specification 5.4, Vol 3 Parts A, F, G; Vol 4 Part E.
 */
import { CPNS_DOWN_UUID, CPNS_UP_UUID } from '../../bluetooth/gatt-service.ts';
import type { CapturedPacket } from '../../bluetooth/hci/btsnoop-reader.ts';
import { H4_ACL, H4_EVENT } from '../../bluetooth/hci/h4.ts';

export interface CapturedSegment {
  readonly number: number;
  readonly atMs: number;
  /** Counts the connections of the capture, from 1. */
  readonly connection: number;
  readonly peer: string;
  readonly from: 'central' | 'peripheral';
  readonly segment: Buffer;
}

const ATT_CID = 4;
const READ_BY_TYPE_RESPONSE = 0x09;
const WRITE_COMMAND = 0x52;
const NOTIFICATION = 0x1b;
const EVENT_DISCONNECTION_COMPLETE = 0x05;
const EVENT_LE_META = 0x3e;
const CONNECTION_COMPLETE = new Set([0x01, 0x0a]);
/** Handle of the declaration, properties, handle of the value, 128-bit UUID. */
const CHARACTERISTIC_BYTES = 21;
const FIRST_FRAGMENT = new Set([0, 2]);
const MAX_L2CAP_BYTES = 65_535 + 4;

const wireUuid = (uuid: string): string =>
  Buffer.from(uuid.replaceAll('-', ''), 'hex').reverse().toString('hex');
const UP = wireUuid(CPNS_UP_UUID);
const DOWN = wireUuid(CPNS_DOWN_UUID);

interface Connection {
  readonly number: number;
  readonly peer: string;
  up: number | undefined;
  down: number | undefined;
  /** Fragments of the L2CAP packet that is coming, by direction. */
  readonly partial: Map<boolean, Buffer>;
}

export class GattCapture {
  readonly #connections = new Map<number, Connection>();
  #count = 0;

  /** The segments that one packet completes: none or one. */
  push(captured: CapturedPacket): CapturedSegment | undefined {
    const { packet } = captured;
    if (packet[0] === H4_EVENT) this.#event(packet);
    return packet[0] === H4_ACL && packet.length >= 5 ? this.#acl(captured) : undefined;
  }

  #event(packet: Buffer): void {
    if (packet[1] === EVENT_DISCONNECTION_COMPLETE && packet.length >= 6) {
      this.#connections.delete(packet.readUInt16LE(4) & 0xfff);
    }
    const connected =
      packet[1] === EVENT_LE_META && packet.length >= 15 && CONNECTION_COMPLETE.has(packet[3] ?? 0);
    if (connected && packet[4] === 0)
      this.#open(packet.readUInt16LE(5) & 0xfff, addressText(packet.subarray(9, 15)));
  }

  #open(handle: number, peer: string): Connection {
    const connection = { number: ++this.#count, peer, up: undefined, down: undefined, partial: new Map() };
    this.#connections.set(handle, connection);
    return connection;
  }

  #acl(captured: CapturedPacket): CapturedSegment | undefined {
    const { packet, received } = captured;
    const word = packet.readUInt16LE(1);
    const handle = word & 0xfff;
    const connection = this.#connections.get(handle) ?? this.#open(handle, 'unknown');
    const data = packet.subarray(5);
    const before = FIRST_FRAGMENT.has((word >> 12) & 3) ? undefined : connection.partial.get(received);
    const whole = before ? Buffer.concat([before, data]) : data;
    if (whole.length < 4 || (whole.length < 4 + whole.readUInt16LE(0) && whole.length < MAX_L2CAP_BYTES)) {
      connection.partial.set(received, whole);
      return undefined;
    }
    connection.partial.delete(received);
    const end = 4 + whole.readUInt16LE(0);
    if (whole.readUInt16LE(2) !== ATT_CID) return undefined;
    return this.#att(captured, connection, whole.subarray(4, end));
  }

  #att(captured: CapturedPacket, connection: Connection, pdu: Buffer): CapturedSegment | undefined {
    const opcode = pdu[0];
    if (opcode === READ_BY_TYPE_RESPONSE) this.#learn(connection, pdu);
    if ((opcode !== WRITE_COMMAND && opcode !== NOTIFICATION) || pdu.length < 4) return undefined;
    const wanted = opcode === WRITE_COMMAND ? connection.up : connection.down;
    if (wanted !== undefined && wanted !== pdu.readUInt16LE(1)) return undefined;
    const { number, atMs } = captured;
    return {
      ...{ number, atMs, connection: connection.number, peer: connection.peer },
      from: opcode === WRITE_COMMAND ? 'central' : 'peripheral',
      segment: Buffer.from(pdu.subarray(3)),
    };
  }

  #learn(connection: Connection, pdu: Buffer): void {
    if (pdu[1] !== CHARACTERISTIC_BYTES) return;
    for (let at = 2; at + CHARACTERISTIC_BYTES <= pdu.length; at += CHARACTERISTIC_BYTES) {
      const uuid = pdu.toString('hex', at + 5, at + CHARACTERISTIC_BYTES);
      if (uuid === UP) connection.up = pdu.readUInt16LE(at + 3);
      if (uuid === DOWN) connection.down = pdu.readUInt16LE(at + 3);
    }
  }
}

function addressText(bytes: Buffer): string {
  return (Buffer.from(bytes).reverse().toString('hex').match(/../g) ?? []).join(':');
}
