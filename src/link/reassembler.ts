/**
 * Puts segments together again, each lane for itself. Owns the incoming sequence number and at most one buffer a lane,
 * allocated once the length is known and admitted. Must not know what a message means or holds.
 * Source: docs/protocol.md §3.1.
 */
import type { Bytes } from '../base/bytes.ts';
import type { ReceiveCredits } from './credits.ts';
import {
  END,
  type Epoch,
  epochOf,
  type Lane,
  laneOf,
  messageLength,
  payloadOffset,
  SEQ,
  START,
  violation,
} from './segment.ts';

/**
 * Asked once for each message, at its first segment and before anything is allocated for it.
 * @returns whether its segments need credit
 * @throws CpnsError when no such message may come now, or none so long
 */
export type Admission = (lane: Lane, epoch: Epoch, length: number) => boolean;

class IncomingLane {
  /** The message being put together; undefined between messages. */
  buffer: Bytes | undefined;
  filled = 0;
  epoch: Epoch = 0;
  needsCredit = true;
}

export class Reassembler {
  readonly #admit: Admission;
  readonly #credits: ReceiveCredits;
  readonly #lanes = [new IncomingLane(), new IncomingLane()] as const;
  #seq = 0;

  constructor(admit: Admission, credits: ReceiveCredits) {
    this.#admit = admit;
    this.#credits = credits;
  }

  /** True while a message of either lane has begun and not ended. */
  get incomplete(): boolean {
    return this.#lanes[0].buffer !== undefined || this.#lanes[1].buffer !== undefined;
  }

  /**
   * Takes one segment that is not bare.
   * @returns the whole message when this segment ends it (of the segment's lane and epoch); for a message of one
   * segment a view of it
   * @throws CpnsError link-violation, or what the admission throws
   */
  push(segment: Bytes): Bytes | undefined {
    const offset = payloadOffset(segment);
    const header = segment[0] ?? 0;
    if ((header & SEQ) !== this.#seq) violation('unexpected sequence number');
    const lane = this.#lanes[laneOf(header)];
    const starts = (header & START) !== 0;
    if (starts === (lane.buffer !== undefined))
      violation(starts ? 'message within a message' : 'no message open');
    const message = starts
      ? this.#start(lane, segment, header, offset)
      : this.#goOn(lane, segment, header, offset);
    this.#seq = (this.#seq + 1) & SEQ;
    return message;
  }

  /** Forgets what was gathered. */
  clear(): void {
    for (const lane of this.#lanes) {
      lane.buffer?.fill(0);
      lane.buffer = undefined;
    }
  }

  #start(lane: IncomingLane, segment: Bytes, header: number, offset: number): Bytes | undefined {
    const length = messageLength(segment, offset);
    const epoch = epochOf(header);
    const needsCredit = this.#admit(laneOf(header), epoch, length);
    if (needsCredit) this.#credits.consume();
    const payload = segment.subarray(offset);
    if (header & END) return payload;
    lane.buffer = new Uint8Array(length);
    lane.buffer.set(payload);
    lane.filled = payload.length;
    lane.epoch = epoch;
    lane.needsCredit = needsCredit;
    return undefined;
  }

  #goOn(lane: IncomingLane, segment: Bytes, header: number, offset: number): Bytes | undefined {
    const buffer = lane.buffer ?? violation('no message open');
    if (epochOf(header) !== lane.epoch) violation('epoch changes within a message');
    if (lane.needsCredit) this.#credits.consume();
    const filled = lane.filled + segment.length - offset;
    const ends = (header & END) !== 0;
    // Full without END is as wrong as END without being full: the one more segment would have nothing to carry.
    if (filled > buffer.length || (filled === buffer.length) !== ends)
      violation('payloads do not sum to the length');
    buffer.set(segment.subarray(offset), lane.filled);
    lane.filled = filled;
    if (!ends) return undefined;
    lane.buffer = undefined;
    return buffer;
  }
}
