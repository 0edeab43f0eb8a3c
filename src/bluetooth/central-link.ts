/**
 * A GATT link seen from the central: how segments leave through noble's ACL queue and how PDUs of this link are told
 * apart. One instance per connection handle. Must not know scanning or connecting.
 */
import type { Bytes } from '../base/bytes.ts';
import {
  ATT_CID,
  ATT_NOTIFICATION,
  ATT_WRITE_COMMAND,
  AttClient,
  type ServiceHandles,
  valuePdu,
} from './att.ts';
import { MAX_SEGMENT_BYTES, MIN_SEGMENT_BYTES } from './gatt-service.ts';
import type { LibraryAclStream } from './guards/library.ts';
import type { NobleHci } from './guards/noble.ts';
import { SegmentLink } from './segment-link.ts';

const ATT_VALUE_HEADER_BYTES = 3;

export class CentralLink extends SegmentLink {
  readonly side = 'central';
  readonly peerAddress: string;
  readonly handle: number;
  readonly att: AttClient;
  maxSegmentBytes: number = MIN_SEGMENT_BYTES;
  readonly #hci: NobleHci;
  #upValue = 0;
  #downValue = 0;

  constructor(hci: NobleHci, aclStream: LibraryAclStream, handle: number, peerAddress: string) {
    super();
    this.#hci = hci;
    this.handle = handle;
    this.peerAddress = peerAddress;
    this.att = new AttClient((pdu) => hci.writeAclDataPkt(handle, ATT_CID, pdu));
    const toLibrary = aclStream.push;
    // What is ours goes straight to its owner, whole and once; what is not (requests of the peer, SMP, signalling) and
    // the end of the stream stay the library's business.
    aclStream.push = (cid, data) => {
      if (cid === ATT_CID && data !== null && this.#take(data)) return;
      toLibrary.call(aclStream, cid, data);
    };
  }

  opened({ mtu, upValue, downValue }: ServiceHandles): void {
    this.#upValue = upValue;
    this.#downValue = downValue;
    this.maxSegmentBytes = Math.min(MAX_SEGMENT_BYTES, mtu - ATT_VALUE_HEADER_BYTES);
  }

  send(segment: Bytes): void {
    // GUARD(N7): noble sends any length as it is, and the peer cuts it or drops the link.
    if (segment.length > this.maxSegmentBytes || segment.length === 0) {
      throw new RangeError(`a segment has 1 to ${this.maxSegmentBytes} bytes, not ${segment.length}`);
    }
    if (this.ended) return;
    this.#hci.writeAclDataPkt(this.handle, ATT_CID, valuePdu(ATT_WRITE_COMMAND, this.#upValue, segment));
  }

  protected disconnect(): void {
    this.#hci.disconnect(this.handle);
  }

  #take(pdu: Buffer): boolean {
    if (pdu[0] === ATT_NOTIFICATION && pdu.length >= ATT_VALUE_HEADER_BYTES) {
      const handle = (pdu[1] ?? 0) | ((pdu[2] ?? 0) << 8);
      // Before `opened` there is one subscription under way, so a notification can only be its first segment.
      if (handle === this.#downValue || this.#downValue === 0) {
        this.deliver(pdu.subarray(ATT_VALUE_HEADER_BYTES));
        return true;
      }
    }
    return this.att.take(pdu);
  }
}
