/**
 * Checks the L2CAP framing of inbound ACL packets before noble and bleno see them. Both append continuation fragments
 * without comparing with the announced length, so that a peer could make them hold bytes without end (named X4 here),
 * and both read a start header that may not be there. Owns one counter per link; copies nothing.
 */

/** Longest L2CAP payload we ever need: ATT MTU 247, SMP 65, LE signalling 23. */
const MAX_L2CAP_PAYLOAD_BYTES = 512;
const L2CAP_HEADER_BYTES = 4;
const PB_CONTINUATION = 0b01;

export type L2capVerdict = 'pass' | 'drop' | 'violation';

export class L2capGuard {
  /** Bytes still to come by connection handle. */
  readonly #missing = new Map<number, number>();

  /** @param packet an ACL packet to the host, H4 type byte first */
  check(packet: Buffer): L2capVerdict {
    const length = packet.length - 5;
    if (length < 0) return 'drop';
    const word = (packet[1] ?? 0) | ((packet[2] ?? 0) << 8);
    const handle = word & 0x0fff;
    if (((word >> 12) & 0b11) === PB_CONTINUATION) {
      const missing = this.#missing.get(handle);
      if (missing === undefined || length > missing) return 'violation';
      if (length === missing) this.#missing.delete(handle);
      else this.#missing.set(handle, missing - length);
      return 'pass';
    }
    if (length < L2CAP_HEADER_BYTES || this.#missing.delete(handle)) return 'violation';
    const payload = (packet[5] ?? 0) | ((packet[6] ?? 0) << 8);
    if (payload > MAX_L2CAP_PAYLOAD_BYTES) return 'violation';
    const missing = payload + L2CAP_HEADER_BYTES - length;
    if (missing < 0) return 'violation';
    if (missing > 0) this.#missing.set(handle, missing);
    return 'pass';
  }

  forget(handle: number): void {
    this.#missing.delete(handle);
  }
}
