/**
 * The HCI events of the virtual controller as bytes (Core Specification 5.4, Vol 4 Part E §7.7). Pure encoders, no state.
 */
import { H4_EVENT } from '../hci/h4.ts';

export const STATUS = {
  success: 0x00,
  unknownCommand: 0x01,
  unknownConnection: 0x02,
  authenticationFailure: 0x05,
  keyMissing: 0x06,
  connectionTimeout: 0x08,
  connectionLimit: 0x09,
  alreadyConnected: 0x0b,
  commandDisallowed: 0x0c,
  invalidParameters: 0x12,
  userEnded: 0x13,
  endedByHost: 0x16,
  micFailure: 0x3d,
} as const;

/** Commands that a host may have outstanding; more than one, as real controllers allow. */
const COMMAND_CREDITS = 2;

export function event(code: number, ...parts: readonly Uint8Array[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  return Buffer.concat([Buffer.from([H4_EVENT, code, length]), ...parts]);
}

export function commandComplete(opcode: number, returnParameters: Uint8Array): Buffer {
  return event(0x0e, Buffer.from([COMMAND_CREDITS, opcode & 0xff, opcode >> 8]), returnParameters);
}

export function commandStatus(opcode: number, status: number): Buffer {
  return event(0x0f, Buffer.from([status, COMMAND_CREDITS, opcode & 0xff, opcode >> 8]));
}

export function le(subevent: number, ...parts: readonly Uint8Array[]): Buffer {
  return event(0x3e, Buffer.from([subevent]), ...parts);
}

export interface ConnectionCompleteFields {
  readonly status: number;
  readonly handle: number;
  readonly role: 0 | 1;
  readonly peerAddressType: number;
  readonly peerAddress: Uint8Array;
  /** Units of 1.25 ms. */
  readonly interval: number;
  readonly latency: number;
  /** Units of 10 ms. */
  readonly timeout: number;
}

export function connectionComplete(fields: ConnectionCompleteFields): Buffer {
  const bytes = Buffer.alloc(18);
  bytes[0] = fields.status;
  bytes.writeUInt16LE(fields.handle, 1);
  bytes[3] = fields.role;
  bytes[4] = fields.peerAddressType;
  bytes.set(fields.peerAddress, 5);
  bytes.writeUInt16LE(fields.interval, 11);
  bytes.writeUInt16LE(fields.latency, 13);
  bytes.writeUInt16LE(fields.timeout, 15);
  return le(0x01, bytes);
}

export function disconnectionComplete(handle: number, reason: number): Buffer {
  return event(0x05, Buffer.from([STATUS.success, handle & 0xff, handle >> 8, reason]));
}

export function numberOfCompletedPackets(handle: number, count: number): Buffer {
  return event(0x13, Buffer.from([1, handle & 0xff, handle >> 8, count & 0xff, count >> 8]));
}

export function dataBufferOverflow(): Buffer {
  return event(0x1a, Buffer.from([0x01]));
}

export function encryptionChange(handle: number, status: number): Buffer {
  return event(0x08, Buffer.from([status, handle & 0xff, handle >> 8, status === 0 ? 1 : 0]));
}

export function advertisingReport(
  type: number,
  addressType: number,
  address: Uint8Array,
  data: Uint8Array,
  rssi: number,
): Buffer {
  return le(
    0x02,
    Buffer.from([1, type, addressType]),
    address,
    Buffer.from([data.length]),
    data,
    Buffer.from([rssi & 0xff]),
  );
}

export function uint16(value: number): Buffer {
  return Buffer.from([value & 0xff, value >> 8]);
}
