/** The packets of a btsnoop file, type byte first, for looking at what was really sent. */
import { readFileSync } from 'node:fs';

const FILE_HEADER_BYTES = 16;
const RECORD_HEADER_BYTES = 24;

export function btsnoopPackets(path: string): readonly Buffer[] {
  const file = readFileSync(path);
  const packets: Buffer[] = [];
  for (let at = FILE_HEADER_BYTES; at < file.length; ) {
    const length = file.readUInt32BE(at);
    at += RECORD_HEADER_BYTES;
    packets.push(file.subarray(at, at + length));
    at += length;
  }
  return packets;
}
