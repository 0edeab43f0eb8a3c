/**
 * Reads a btsnoop file of HCI UART (H4) packets, of ours and of `btmon -w`'s H4 kind. Owns the file format; what a packet
 * means is the next one's business. Tolerates a last record that was cut off, as a killed process leaves it.
 * Source: Wireshark wiretap/btsnoop.c.
 */
import { BTSNOOP_DATALINK_H4 } from './btsnoop.ts';

const FILE_HEADER_BYTES = 16;
const RECORD_HEADER_BYTES = 24;
/** Microseconds from 0000-01-01 to 1970-01-01. */
const EPOCH_OFFSET_US = 0x00dcddb30f2f8000n;
const FLAG_RECEIVED = 1;
const MAX_PACKET_BYTES = 65_536;

/** The file is no capture, or a damaged one. */
export class BtsnoopError extends Error {
  override readonly name = 'BtsnoopError';
}

export interface CapturedPacket {
  /** From 1, as Wireshark counts. */
  readonly number: number;
  /** Milliseconds since 1970, fractions of a microsecond's worth. */
  readonly atMs: number;
  /** Controller to host. */
  readonly received: boolean;
  /** H4 type byte first. */
  readonly packet: Buffer;
}

/** @throws BtsnoopError when it is no btsnoop file of H4 */
export function* readBtsnoop(file: Buffer): Generator<CapturedPacket> {
  if (file.length < FILE_HEADER_BYTES || file.toString('latin1', 0, 8) !== 'btsnoop\0') {
    throw new BtsnoopError('not a btsnoop file; make one with `--capture FILE` or `cpns demo --keep DIR`');
  }
  const datalink = file.readUInt32BE(12);
  if (datalink !== BTSNOOP_DATALINK_H4) {
    throw new BtsnoopError(`btsnoop of datalink ${datalink}; only 1002 (HCI UART, H4) is read`);
  }
  let at = FILE_HEADER_BYTES;
  for (let number = 1; at + RECORD_HEADER_BYTES <= file.length; number++) {
    const length = file.readUInt32BE(at + 4);
    const end = at + RECORD_HEADER_BYTES + length;
    if (length > MAX_PACKET_BYTES)
      throw new BtsnoopError(`record ${number} says ${length} bytes; the file is damaged`);
    if (end > file.length) return;
    yield {
      number,
      atMs: Number(file.readBigInt64BE(at + 16) - EPOCH_OFFSET_US) / 1000,
      received: (file.readUInt32BE(at + 8) & FLAG_RECEIVED) !== 0,
      packet: file.subarray(at + RECORD_HEADER_BYTES, end),
    };
    at = end;
  }
}
