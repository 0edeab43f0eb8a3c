/**
 * H4 framing of HCI packets (Core Specification 5.4, Vol 4 Part A §2): one type byte, then the packet with its own
 * length field. Incremental and bounded; a packet that lies whole in a chunk is handed out as a view of it.
 * Must not know what any packet means.
 */

export const H4_COMMAND = 0x01;
export const H4_ACL = 0x02;
export const H4_SCO = 0x03;
export const H4_EVENT = 0x04;
export const H4_ISO = 0x05;

/** Longest packet that is taken, type byte and header included. LE controllers use 251 to 1,021 bytes of payload. */
export const MAX_H4_PACKET_BYTES = 2048;

/** Which way the packets of one framer travel; a type that can't travel that way means that framing is lost. */
export type H4Direction = 'to-host' | 'to-controller';

/** The stream is no longer (or never was) H4; nothing after this point can be trusted. */
export class H4FramingError extends Error {
  override readonly name = 'H4FramingError';
}

/** Header length by type byte, the type byte included; 0 for a type that does not exist. */
const HEADER_BYTES = [0, 4, 5, 4, 3, 5];

/**
 * Length of the packet at `offset`, or 0 when its header has not arrived whole.
 * @throws H4FramingError on an unknown type, a type of the wrong direction, or a length over the bound
 */
export function h4PacketLength(bytes: Uint8Array, offset: number, direction: H4Direction): number {
  const available = bytes.length - offset;
  if (available < 1) return 0;
  const type = bytes[offset] ?? 0;
  const header = HEADER_BYTES[type] ?? 0;
  const wrongWay = type === (direction === 'to-host' ? H4_COMMAND : H4_EVENT);
  if (header === 0 || wrongWay) throw new H4FramingError(`H4 framing lost: type 0x${type.toString(16)}`);
  if (available < header) return 0;
  let payload: number;
  if (type === H4_EVENT) payload = bytes[offset + 2] ?? 0;
  else if (type === H4_COMMAND || type === H4_SCO) payload = bytes[offset + 3] ?? 0;
  else payload = (bytes[offset + 3] ?? 0) | ((bytes[offset + 4] ?? 0) << 8);
  if (type === H4_ISO) payload &= 0x3fff;
  const length = header + payload;
  if (length > MAX_H4_PACKET_BYTES)
    throw new H4FramingError(`H4 packet of ${length} bytes is over the bound`);
  return length;
}

/** Cuts a byte stream into H4 packets; holds at most one unfinished packet. */
export class H4Framer {
  readonly #direction: H4Direction;
  #rest: Buffer | undefined;

  constructor(direction: H4Direction) {
    this.#direction = direction;
  }

  /**
   * Takes the next bytes and calls back once per whole packet, type byte first. The packet may be a view of `chunk`.
   * @throws H4FramingError; the framer is then spent
   */
  push(chunk: Buffer, onPacket: (packet: Buffer) => void): void {
    const bytes = this.#rest === undefined ? chunk : Buffer.concat([this.#rest, chunk]);
    this.#rest = undefined;
    let offset = 0;
    for (;;) {
      const length = h4PacketLength(bytes, offset, this.#direction);
      if (length === 0 || offset + length > bytes.length) break;
      onPacket(bytes.subarray(offset, offset + length));
      offset += length;
    }
    // A copy, so that a few bytes of an unfinished packet do not keep a whole chunk alive.
    if (offset < bytes.length) this.#rest = Buffer.from(bytes.subarray(offset));
  }
}
