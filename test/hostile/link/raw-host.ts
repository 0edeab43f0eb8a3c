/**
 * A host without a stack on the virtual air: HCI commands, advertising of any bytes from any address, connections, and ATT
 * PDUs as they come to the attacker's mind. In process, so that it can stop taking packets and go on sending.
 */
import type { Controller } from '../../../src/bluetooth/virtual-radio/controller.ts';
import type { VirtualRadio } from '../../../src/bluetooth/virtual-radio/server.ts';
import type { HostPort } from '../../../src/bluetooth/virtual-radio/shapes.ts';

const SET_RANDOM_ADDRESS = 0x2005;
const SET_ADVERTISING_PARAMETERS = 0x2006;
const SET_ADVERTISING_DATA = 0x2008;
const SET_SCAN_RESPONSE = 0x2009;
const ADVERTISE = 0x200a;
const CREATE_CONNECTION = 0x200d;
const DISCONNECT = 0x0406;
const ATT_CID = 4;
const RANDOM = 1;

export interface Connection {
  readonly handle: number;
  readonly peer: string;
}

export class RawHost implements HostPort {
  /** Takes nothing more from the air: what the peer sends waits in the peer's controller. */
  deaf = false;
  /** ATT PDUs received, oldest first. */
  readonly pdus: Buffer[] = [];
  onPdu: (pdu: Buffer, connection: Connection) => void = () => {};
  onConnected: (connection: Connection) => void = () => {};
  onDisconnected: (reason: number) => void = () => {};
  connection: Connection | undefined;
  readonly #radio: VirtualRadio;
  readonly #controller: Controller;

  constructor(radio: VirtualRadio) {
    this.#radio = radio;
    this.#controller = radio.radio.attach(this);
  }

  close(): void {
    this.#radio.radio.detach(this.#controller);
  }

  /** Takes again what waited. */
  listen(): void {
    this.deaf = false;
    this.#controller.hostReady();
  }

  /** An advertiser at this random address, 6 bytes as on the air, until told otherwise. */
  advertise(address: Uint8Array, data: Uint8Array, scanResponse: Uint8Array): void {
    this.silent();
    this.#command(SET_RANDOM_ADDRESS, address);
    const parameters = Buffer.alloc(15);
    parameters[5] = RANDOM;
    this.#command(SET_ADVERTISING_PARAMETERS, parameters);
    this.#command(
      SET_ADVERTISING_DATA,
      Buffer.concat([Buffer.from([data.length]), data, Buffer.alloc(31 - data.length)]),
    );
    const padding = Buffer.alloc(31 - scanResponse.length);
    this.#command(
      SET_SCAN_RESPONSE,
      Buffer.concat([Buffer.from([scanResponse.length]), scanResponse, padding]),
    );
    this.#command(ADVERTISE, Buffer.of(1));
  }

  silent(): void {
    this.#command(ADVERTISE, Buffer.of(0));
  }

  /** Begins to connect to a public address, as soon as it advertises. */
  connect(address: string): void {
    const parameters = Buffer.alloc(25);
    Buffer.from(address.replaceAll(':', ''), 'hex').reverse().copy(parameters, 6);
    parameters.writeUInt16LE(6, 13);
    parameters.writeUInt16LE(6, 15);
    parameters.writeUInt16LE(200, 19);
    this.#command(CREATE_CONNECTION, parameters);
  }

  /** Connected by the peer or by us. */
  connected(): Promise<Connection> {
    if (this.connection) return Promise.resolve(this.connection);
    return new Promise((resolve) => {
      this.onConnected = resolve;
    });
  }

  /** @returns the HCI reason with which the link went down */
  disconnected(): Promise<number> {
    return new Promise((resolve) => {
      this.onDisconnected = resolve;
    });
  }

  disconnect(): void {
    if (this.connection)
      this.#command(DISCONNECT, Buffer.of(this.connection.handle & 0xff, this.connection.handle >> 8, 0x13));
  }

  /** One ATT PDU, however long, in one packet. */
  att(...pdu: number[]): void {
    this.l2cap(ATT_CID, Buffer.from(pdu));
  }

  l2cap(cid: number, payload: Uint8Array): void {
    if (!this.connection) return;
    const { handle } = this.connection;
    const packet = Buffer.alloc(9 + payload.length);
    packet[0] = 2;
    packet.writeUInt16LE(handle, 1);
    packet.writeUInt16LE(4 + payload.length, 3);
    packet.writeUInt16LE(payload.length, 5);
    packet.writeUInt16LE(cid, 7);
    packet.set(payload, 9);
    this.#controller.receive(packet);
  }

  /** A request and what answers it. */
  async ask(...pdu: number[]): Promise<Buffer> {
    const answer = new Promise<Buffer>((resolve) => {
      this.onPdu = (received) => {
        if (received[0] !== 0x1b) resolve(received);
      };
    });
    this.att(...pdu);
    return answer;
  }

  send(packet: Buffer): boolean {
    if (packet[0] === 2) this.#data(packet);
    else if (packet[1] === 0x05) this.#ended(packet[6] ?? 0);
    else if (packet[1] === 0x3e && packet[3] === 1 && packet[4] === 0) this.#begun(packet);
    return !this.deaf;
  }

  #data(packet: Buffer): void {
    if (packet.readUInt16LE(7) !== ATT_CID || !this.connection) return;
    const pdu = packet.subarray(9);
    this.pdus.push(pdu);
    this.onPdu(pdu, this.connection);
  }

  #begun(packet: Buffer): void {
    const peer = (Buffer.from(packet.subarray(9, 15)).reverse().toString('hex').match(/../g) ?? []).join(':');
    this.connection = { handle: packet.readUInt16LE(5), peer };
    this.onConnected(this.connection);
  }

  #ended(reason: number): void {
    this.connection = undefined;
    this.onDisconnected(reason);
  }

  #command(opcode: number, parameters: Uint8Array): void {
    this.#controller.receive(
      Buffer.concat([Buffer.of(1, opcode & 0xff, opcode >> 8, parameters.length), parameters]),
    );
  }
}

/** A static random address that tells a number, as on the air. */
export function randomAddress(n: number): Uint8Array {
  return Uint8Array.of(n & 0xff, (n >> 8) & 0xff, (n >> 16) & 0xff, 0x5a, 0xa5, 0xc6);
}
