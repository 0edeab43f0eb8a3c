/**
 * Cuts queued messages into segments: control before data, data going on where it was interrupted, grants riding on
 * segments that have a byte to spare. Owns the outgoing queues, their bound and the outgoing sequence number.
 * Must not know records or time; a message is bytes as carried. Source: docs/protocol.md §3.1 and §3.2 (a).
 */
import type { Bytes } from '../base/bytes.ts';
import type { ReceiveCredits, SendCredits } from './credits.ts';
import { END, EPOCH, type Epoch, GRANT, LANE, type Lane, SEQ, START } from './segment.ts';

interface Outgoing {
  readonly bytes: Bytes;
  readonly epoch: Epoch;
  /** A plaintext message (OPEN, Reject) needs no credit. */
  readonly free: boolean;
}

/** One lane: messages waiting, and how far the first of them was cut. */
class OutgoingLane {
  readonly bit: number;
  readonly waiting: Outgoing[] = [];
  bytes = 0;
  offset = 0;
  /** Bytes left free in the last segment of the message being cut: as many grants fit at no cost. */
  spare = 0;

  constructor(lane: Lane) {
    this.bit = lane === 1 ? LANE : 0;
  }
}

export class Segmenter {
  readonly #credits: SendCredits;
  readonly #owed: ReceiveCredits;
  readonly #lanes = [new OutgoingLane(0), new OutgoingLane(1)] as const;
  #seq = 0;
  /** Largest segment, 20 to 244 bytes; changes only between messages. */
  segmentBytes: number;

  constructor(segmentBytes: number, credits: SendCredits, owed: ReceiveCredits) {
    this.segmentBytes = segmentBytes;
    this.#credits = credits;
    this.#owed = owed;
  }

  /** Queues a message as carried, 1 to 65,535 bytes; its bytes must not change afterwards. */
  push(bytes: Bytes, lane: Lane, epoch: Epoch, free: boolean): void {
    const queue = this.#lanes[lane];
    queue.waiting.push({ bytes, epoch, free });
    queue.bytes += bytes.length;
  }

  /** Bytes of messages not yet cut into segments. */
  queuedBytes(lane: Lane): number {
    const queue = this.#lanes[lane];
    return queue.bytes - queue.offset;
  }

  /** The lane whose message a payload segment would be cut from now; undefined when none waits or credit is lacking. */
  ready(): Lane | undefined {
    const control = this.#lanes[0].waiting[0];
    if (control && (control.free || this.#credits.available > 0)) return 0;
    if (this.#lanes[1].waiting.length > 0 && this.#credits.available > 0) return 1;
    return undefined;
  }

  /** True when the next segment of this lane can carry a grant at no cost. */
  carriesGrant(lane: Lane): boolean {
    const queue = this.#lanes[lane];
    if (queue.offset === 0) this.#measure(queue);
    return queue.spare > 0;
  }

  /** Cuts the next segment of a lane that is {@link ready}. */
  cut(lane: Lane): Bytes {
    const queue = this.#lanes[lane];
    const message = queue.waiting[0];
    if (!message) throw new Error('no message waits on this lane');
    const { bytes, epoch, free } = message;
    const { offset } = queue;
    if (offset === 0) this.#measure(queue);

    let header = queue.bit | this.#seq | (epoch === 1 ? EPOCH : 0);
    let headerBytes = 1;
    const grants = queue.spare > 0 && this.#owed.owed > 0;
    if (grants) {
      header |= GRANT;
      headerBytes = 2;
      queue.spare--;
    }
    const left = bytes.length - offset;
    let first = 0;
    if (offset === 0) {
      header |= START;
      // The length field of a first segment; a message that fits whole has none.
      if (headerBytes + left > this.segmentBytes) first = 2;
    }
    let payload = this.segmentBytes - headerBytes - first;
    if (payload >= left) {
      payload = left;
      header |= END;
    }

    let segment: Bytes;
    if (offset >= headerBytes && first === 0) {
      // One copy and no view: take the bytes in front along, the header then overwrites them.
      segment = bytes.slice(offset - headerBytes, offset + payload);
    } else {
      segment = new Uint8Array(headerBytes + first + payload);
      segment.set(bytes.subarray(offset, offset + payload), headerBytes + first);
    }
    segment[0] = header;
    if (grants) segment[1] = this.#owed.grant();
    if (first > 0) {
      segment[headerBytes] = bytes.length >> 8;
      segment[headerBytes + 1] = bytes.length & 0xff;
    }
    this.#seq = (this.#seq + 1) & SEQ;
    if (!free) this.#credits.spend();
    this.#advance(queue, payload, bytes.length);
    return segment;
  }

  /** Drops everything that waits on a lane. */
  clear(lane: Lane): void {
    const queue = this.#lanes[lane];
    for (const { bytes } of queue.waiting) bytes.fill(0);
    queue.waiting.length = 0;
    queue.bytes = 0;
    queue.offset = 0;
  }

  #advance(queue: OutgoingLane, payload: number, length: number): void {
    queue.offset += payload;
    if (queue.offset < length) return;
    queue.waiting.shift();
    queue.bytes -= length;
    queue.offset = 0;
  }

  /** How many grant bytes the message at the head of the queue can take without needing one segment more. */
  #measure(queue: OutgoingLane): void {
    const length = queue.waiting[0]?.bytes.length ?? 0;
    const room = this.segmentBytes - 1;
    if (length <= room) {
      queue.spare = room - length;
      return;
    }
    const beyondFirst = length - (room - 2);
    const full = Math.ceil(beyondFirst / room);
    queue.spare = full * room - beyondFirst;
  }
}
