/**
 * A random static address for a controller (Core Specification 5.4, Vol 6 Part B §1.3.2.1): making one, and rewriting
 * the three commands in which noble and bleno always say "public". Pure; the transport applies it.
 */
import { randomFillSync } from 'node:crypto';

export const LE_SET_RANDOM_ADDRESS = 0x2005;
const OWN_ADDRESS_RANDOM = 0x01;

/** Offset in the packet, type byte included, of own_address_type by opcode. */
const OWN_ADDRESS_TYPE_OFFSET: ReadonlyMap<number, number> = new Map([
  [0x2006, 4 + 5], // LE Set Advertising Parameters
  [0x200b, 4 + 5], // LE Set Scan Parameters
  [0x200d, 4 + 12], // LE Create Connection
]);

/** Six bytes, least significant first as HCI wants them; the two top bits are 11, the rest neither all 0 nor all 1. */
export function randomStaticAddress(
  fill: (bytes: Buffer) => void = (bytes) => randomFillSync(bytes),
): Buffer {
  const address = Buffer.alloc(6);
  for (;;) {
    fill(address);
    address[5] = (address[5] ?? 0) | 0xc0;
    const low = address.readUIntLE(0, 5);
    const top = (address[5] ?? 0) & 0x3f;
    if (!(low === 0 && top === 0) && !(low === 0xff_ffff_ffff && top === 0x3f)) return address;
  }
}

/** Changes the command in place to use the random address, when it is one of the three. */
export function useRandomAddress(command: Buffer): void {
  const offset = OWN_ADDRESS_TYPE_OFFSET.get(command.readUInt16LE(1));
  if (offset !== undefined && offset < command.length) command[offset] = OWN_ADDRESS_RANDOM;
}

/** `aa:bb:cc:dd:ee:ff` of six HCI bytes. */
export function formatAddress(bytes: Uint8Array): string {
  return Array.from(bytes.subarray(0, 6), (byte) => byte.toString(16).padStart(2, '0'))
    .reverse()
    .join(':');
}

/** Six HCI bytes of `aa:bb:cc:dd:ee:ff`. @throws TypeError */
export function parseAddress(text: string): Buffer {
  if (!/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i.test(text)) throw new TypeError('not a Bluetooth device address');
  return Buffer.from(text.split(':').reverse().join(''), 'hex');
}
