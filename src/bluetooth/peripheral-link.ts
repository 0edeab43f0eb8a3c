/**
 * A GATT link seen from the peripheral: how segments leave through bleno's ACL queue as notifications and how the
 * central's Write Commands are told apart. One instance per subscription.
 */
import type { Bytes } from '../base/bytes.ts';
import { ATT_CID, ATT_NOTIFICATION, ATT_WRITE_COMMAND, valuePdu } from './att.ts';
import { MAX_SEGMENT_BYTES } from './gatt-service.ts';
import type { BlenoHci } from './guards/bleno.ts';
import type { LibraryAclStream } from './guards/library.ts';
import { type HciTransport, REASON_USER_ENDED } from './hci/transport.ts';
import { SegmentLink } from './segment-link.ts';

/** Handles of the two characteristic values in our attribute table. */
export interface ValueHandles {
  readonly up: number;
  readonly down: number;
}

const ATT_VALUE_HEADER_BYTES = 3;

export class PeripheralLink extends SegmentLink {
  readonly side = 'peripheral';
  readonly peerAddress: string;
  readonly maxSegmentBytes: number;
  readonly #hci: BlenoHci;
  readonly #transport: HciTransport;
  readonly #handle: number;
  readonly #downValue: number;

  constructor(
    hci: BlenoHci,
    transport: HciTransport,
    handle: number,
    peerAddress: string,
    maxValueBytes: number,
    downValue: number,
  ) {
    super();
    this.#hci = hci;
    this.#transport = transport;
    this.#handle = handle;
    this.peerAddress = peerAddress;
    this.maxSegmentBytes = Math.min(MAX_SEGMENT_BYTES, maxValueBytes);
    this.#downValue = downValue;
  }

  /** Routes Write Commands to our value past bleno, which makes three closures and a hex string of each. */
  static takeSegments(
    stream: LibraryAclStream,
    upValue: number,
    link: () => PeripheralLink | undefined,
  ): void {
    const toLibrary = stream.push;
    stream.push = (cid, data) => {
      if (
        cid === ATT_CID &&
        data !== null &&
        data[0] === ATT_WRITE_COMMAND &&
        data.length > ATT_VALUE_HEADER_BYTES &&
        ((data[1] ?? 0) | ((data[2] ?? 0) << 8)) === upValue
      ) {
        link()?.deliver(data.subarray(ATT_VALUE_HEADER_BYTES));
        return;
      }
      toLibrary.call(stream, cid, data);
    };
  }

  send(segment: Bytes): void {
    // GUARD(B5): bleno cuts a longer value without a word.
    if (segment.length > this.maxSegmentBytes || segment.length === 0) {
      throw new RangeError(`a segment has 1 to ${this.maxSegmentBytes} bytes, not ${segment.length}`);
    }
    if (this.ended) return;
    this.#hci.queueAclDataPkt(this.#handle, ATT_CID, valuePdu(ATT_NOTIFICATION, this.#downValue, segment));
  }

  protected disconnect(): void {
    this.#transport.disconnectHandle(this.#handle, REASON_USER_ENDED);
  }
}
