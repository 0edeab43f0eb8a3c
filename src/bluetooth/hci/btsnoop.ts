/**
 * Writes what passes between host and controller as a btsnoop file (RFC 1761 layout, datalink 1002 = HCI UART, H4),
 * which Wireshark and `btmon -r` open. Owns the file; a full disk ends the capture, never the connection.
 * Source: Wireshark wiretap/btsnoop.c; Fluke/Symbian btsnoop 1.
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import { H4_COMMAND, H4_EVENT } from './h4.ts';

export const BTSNOOP_DATALINK_H4 = 1002;

/** Microseconds from 0000-01-01 to 1970-01-01, the offset every btsnoop reader uses. */
const EPOCH_OFFSET_US = 0x00dcddb30f2f8000n;
const FLAG_RECEIVED = 1;
const FLAG_COMMAND_OR_EVENT = 2;
const RECORD_HEADER_BYTES = 24;
const BUFFER_BYTES = 64 * 1024;
const FLUSH_INTERVAL_MS = 250;

/** The 16 bytes every file begins with. */
export function btsnoopFileHeader(): Buffer {
  const header = Buffer.alloc(16);
  header.write('btsnoop\0', 0, 'latin1');
  header.writeUInt32BE(1, 8);
  header.writeUInt32BE(BTSNOOP_DATALINK_H4, 12);
  return header;
}

/**
 * The 24 bytes before one packet.
 * @param packet with its H4 type byte
 * @param unixUs microseconds since 1970 UTC
 */
export function btsnoopRecordHeader(packet: Uint8Array, received: boolean, unixUs: bigint): Buffer {
  const header = Buffer.allocUnsafe(RECORD_HEADER_BYTES);
  const type = packet[0];
  const control = type === H4_COMMAND || type === H4_EVENT ? FLAG_COMMAND_OR_EVENT : 0;
  header.writeUInt32BE(packet.length, 0);
  header.writeUInt32BE(packet.length, 4);
  header.writeUInt32BE((received ? FLAG_RECEIVED : 0) | control, 8);
  header.writeUInt32BE(0, 12);
  header.writeBigInt64BE(unixUs + EPOCH_OFFSET_US, 16);
  return header;
}

/** One capture file, buffered; what is buffered reaches the disk within 250 ms, at close and at process exit. */
export class BtsnoopWriter {
  #descriptor: number | undefined;
  readonly #buffer = Buffer.allocUnsafe(BUFFER_BYTES);
  #used = 0;
  readonly #flushTimer: NodeJS.Timeout;
  readonly #flushAtExit = (): void => this.#flush();

  /**
   * @param append goes on in a file of an earlier writer
   * @throws the file system's error when the file can't be created
   */
  constructor(path: string, append = false) {
    this.#descriptor = openSync(path, append ? 'a' : 'w', 0o600);
    if (!append) this.#append(btsnoopFileHeader());
    this.#flushTimer = setInterval(() => this.#flush(), FLUSH_INTERVAL_MS).unref();
    process.on('exit', this.#flushAtExit);
  }

  /** @param received true for controller to host */
  record(packet: Uint8Array, received: boolean): void {
    if (this.#descriptor === undefined) return;
    const nowUs = BigInt(Math.round((performance.timeOrigin + performance.now()) * 1000));
    this.#append(btsnoopRecordHeader(packet, received, nowUs));
    this.#append(packet);
  }

  close(): void {
    this.#flush();
    clearInterval(this.#flushTimer);
    process.off('exit', this.#flushAtExit);
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }

  #append(bytes: Uint8Array): void {
    if (this.#used + bytes.length > BUFFER_BYTES) this.#flush();
    this.#buffer.set(bytes, this.#used);
    this.#used += bytes.length;
  }

  #flush(): void {
    if (this.#descriptor === undefined || this.#used === 0) return;
    const bytes = this.#buffer.subarray(0, this.#used);
    this.#used = 0;
    try {
      let written = 0;
      while (written < bytes.length) written += writeSync(this.#descriptor, bytes, written);
    } catch {
      // A capture is a diagnosis; it must not end what it looks at. The file just stops here.
      closeSync(this.#descriptor);
      this.#descriptor = undefined;
    }
  }
}
