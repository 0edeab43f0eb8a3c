/**
 * The part of the Attribute Protocol that a CPNS central needs (Core Specification 5.4, Vol 3 Part F §3.4): four
 * requests, each with one checked answer. noble's own client loops for ever on a zero-length entry, never settles on an
 * ATT error (N2) and has no time limit (N8). Owns one outstanding request; sends through whoever made it.
 */
import { CpnsError } from '../base/errors.ts';

export const ATT_CID = 0x0004;
export const ATT_WRITE_COMMAND = 0x52;
export const ATT_NOTIFICATION = 0x1b;
/** What we offer: 244 bytes of value in one 251-byte link-layer packet. */
export const OUR_ATT_MTU = 247;
const DEFAULT_ATT_MTU = 23;

const ERROR_RESPONSE = 0x01;
const EXCHANGE_MTU = 0x02;
const FIND_INFORMATION = 0x04;
const FIND_BY_TYPE_VALUE = 0x06;
const READ_BY_TYPE = 0x08;
const WRITE = 0x12;
const ATTRIBUTE_NOT_FOUND = 0x0a;
const PRIMARY_SERVICE = 0x2800;
const CHARACTERISTIC = 0x2803;
const CLIENT_CONFIGURATION = 0x2902;
const PROPERTY_WRITE_WITHOUT_RESPONSE = 0x04;
const PROPERTY_NOTIFY = 0x10;
/** A service of two characteristics needs no more, at any MTU. */
const MAX_ROUNDS = 8;

/** The peer answered with an ATT error code. */
class AttRefusal extends Error {
  readonly code: number;
  constructor(code: number) {
    super(`ATT error 0x${code.toString(16)}`);
    this.code = code;
  }
}

interface Pending {
  readonly requestOpcode: number;
  readonly resolve: (response: Buffer) => void;
  readonly reject: (error: Error) => void;
}

export class AttClient {
  readonly #send: (pdu: Buffer) => void;
  #pending: Pending | undefined;
  #endedWith: Error | undefined;

  constructor(send: (pdu: Buffer) => void) {
    this.#send = send;
  }

  /** Sends a request; settles at its answer or at `end`. @throws AttRefusal, or the error given to `end` */
  request(pdu: Buffer): Promise<Buffer> {
    if (this.#endedWith !== undefined) return Promise.reject(this.#endedWith);
    if (this.#pending !== undefined) throw new Error('ATT has one outstanding request');
    return new Promise((resolve, reject) => {
      this.#pending = { requestOpcode: pdu[0] ?? 0, resolve, reject };
      this.#send(pdu);
    });
  }

  /** Offers an inbound PDU. @returns whether it answered the outstanding request */
  take(pdu: Buffer): boolean {
    const pending = this.#pending;
    if (pending === undefined) return false;
    if (pdu[0] === pending.requestOpcode + 1) {
      this.#pending = undefined;
      pending.resolve(pdu);
      return true;
    }
    if (pdu[0] === ERROR_RESPONSE && pdu.length >= 5 && pdu[1] === pending.requestOpcode) {
      this.#pending = undefined;
      pending.reject(new AttRefusal(pdu[4] ?? 0));
      return true;
    }
    return false;
  }

  /** Rejects what is outstanding and all that comes later. */
  end(error: Error): void {
    this.#endedWith ??= error;
    const pending = this.#pending;
    this.#pending = undefined;
    pending?.reject(error);
  }
}

export interface ServiceHandles {
  /** min(offer, answer), 23 to 247. */
  readonly mtu: number;
  readonly upValue: number;
  readonly downValue: number;
}

interface ServiceShape {
  readonly service: string;
  readonly up: string;
  readonly down: string;
}

/**
 * From a bare link to notifications on, in four round trips where the service is laid out as usual.
 * @throws CpnsError `not-found` without the service or a characteristic, `link-lost` when the peer answers nonsense
 */
export async function openService(att: AttClient, uuids: ServiceShape): Promise<ServiceHandles> {
  try {
    const mtu = await exchangeMtu(att);
    const [first, last] = await findService(att, attUuid(uuids.service));
    const found = await findCharacteristics(att, first, last);
    const up = found.find((each) => each.uuid === attUuid(uuids.up).toString('hex'));
    const down = found.find((each) => each.uuid === attUuid(uuids.down).toString('hex'));
    if (
      !up ||
      !down ||
      !(up.properties & PROPERTY_WRITE_WITHOUT_RESPONSE) ||
      !(down.properties & PROPERTY_NOTIFY)
    ) {
      throw new CpnsError('not-found', 'the peer has no CPNS characteristics');
    }
    const next = found.find((each) => each.declaration > down.value);
    const configuration = await findConfiguration(att, down.value, next ? next.declaration - 1 : last);
    await att.request(Buffer.from([WRITE, configuration & 0xff, configuration >> 8, 0x01, 0x00]));
    return { mtu, upValue: up.value, downValue: down.value };
  } catch (error) {
    if (error instanceof AttRefusal) {
      throw new CpnsError(error.code === ATTRIBUTE_NOT_FOUND ? 'not-found' : 'link-lost', error.message);
    }
    if (error instanceof RangeError) throw new CpnsError('link-lost', 'a malformed ATT answer');
    throw error;
  }
}

async function exchangeMtu(att: AttClient): Promise<number> {
  try {
    const answer = await att.request(Buffer.from([EXCHANGE_MTU, OUR_ATT_MTU, 0]));
    // GUARD(N5): the smaller of the two, whatever the peer answers; noble takes the peer's as it is.
    return Math.max(DEFAULT_ATT_MTU, Math.min(OUR_ATT_MTU, answer.readUInt16LE(1)));
  } catch (error) {
    if (error instanceof AttRefusal) return DEFAULT_ATT_MTU;
    throw error;
  }
}

async function findService(att: AttClient, uuid: Buffer): Promise<readonly [number, number]> {
  const request = Buffer.concat([rangeRequest(FIND_BY_TYPE_VALUE, 1, 0xffff, PRIMARY_SERVICE), uuid]);
  const answer = await att.request(request);
  return [answer.readUInt16LE(1), answer.readUInt16LE(3)];
}

interface Characteristic {
  readonly declaration: number;
  readonly properties: number;
  readonly value: number;
  /** Little-endian hex. */
  readonly uuid: string;
}

async function findCharacteristics(att: AttClient, first: number, last: number): Promise<Characteristic[]> {
  const found: Characteristic[] = [];
  let from = first;
  for (let round = 0; round < MAX_ROUNDS && from <= last; round++) {
    const answer = await unlessNotFound(att.request(rangeRequest(READ_BY_TYPE, from, last, CHARACTERISTIC)));
    if (answer === undefined) break;
    const size = answer.readUInt8(1);
    if (size < 7) throw new RangeError('characteristic declaration too short');
    for (let at = 2; at + size <= answer.length; at += size) {
      const declaration = answer.readUInt16LE(at);
      if (declaration < from) throw new RangeError('handles go back');
      const value = answer.readUInt16LE(at + 3);
      found.push({
        declaration,
        properties: answer.readUInt8(at + 2),
        value,
        uuid: answer.toString('hex', at + 5, at + size),
      });
      from = Math.max(declaration, value) + 1;
    }
  }
  return found;
}

/** The handle of the client characteristic configuration among the descriptors after `value`. */
async function findConfiguration(att: AttClient, value: number, last: number): Promise<number> {
  // A characteristic that notifies has this descriptor; where there is room for one only, this is it.
  if (last === value + 1) return last;
  let from = value + 1;
  for (let round = 0; round < MAX_ROUNDS && from <= last; round++) {
    const answer = await unlessNotFound(att.request(rangeRequest(FIND_INFORMATION, from, last)));
    if (answer === undefined) break;
    const size = answer.readUInt8(1) === 1 ? 4 : 18;
    for (let at = 2; at + size <= answer.length; at += size) {
      const handle = answer.readUInt16LE(at);
      if (handle < from) throw new RangeError('handles go back');
      if (size === 4 && answer.readUInt16LE(at + 2) === CLIENT_CONFIGURATION) return handle;
      from = handle + 1;
    }
  }
  throw new CpnsError('not-found', 'the downward characteristic can not be subscribed');
}

async function unlessNotFound(answer: Promise<Buffer>): Promise<Buffer | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof AttRefusal && error.code === ATTRIBUTE_NOT_FOUND) return undefined;
    throw error;
  }
}

function rangeRequest(opcode: number, first: number, last: number, type?: number): Buffer {
  const pdu = Buffer.alloc(type === undefined ? 5 : 7);
  pdu[0] = opcode;
  pdu.writeUInt16LE(first, 1);
  pdu.writeUInt16LE(last, 3);
  if (type !== undefined) pdu.writeUInt16LE(type, 5);
  return pdu;
}

/** 16 bytes, least significant first, of a UUID with dashes. */
export function attUuid(uuid: string): Buffer {
  return Buffer.from(uuid.replaceAll('-', ''), 'hex').reverse();
}

/** One value PDU (Write Command or Notification): opcode, handle, value. */
export function valuePdu(opcode: number, handle: number, value: Uint8Array): Buffer {
  const pdu = Buffer.allocUnsafe(3 + value.length);
  pdu[0] = opcode;
  pdu[1] = handle & 0xff;
  pdu[2] = handle >> 8;
  pdu.set(value, 3);
  return pdu;
}
