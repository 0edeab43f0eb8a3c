/**
 * One link, whole: OPEN, keys, records, lanes, credits, keep-alive and end, composed from the files beside this one.
 * Sans-IO: segments and instants go in, segments and events come out; no timer, clock, randomness or promise.
 * Must not know any message but OPEN and Reject; what a type means is for whoever takes the events.
 * Source: docs/protocol.md §3, §5.1, §10.
 */
import { type Bytes, concat } from '../base/bytes.ts';
import { CpnsError, statusOfError } from '../base/errors.ts';
import type { Status } from '../base/statuses.ts';
import type { MonotonicMs } from '../base/time.ts';
import { Reject } from '../messages/link.ts';
import { epochKeys } from '../security/key-schedule.ts';
import type { Primitives } from '../security/primitives.ts';
import { ReceiveCredits, SendCredits } from './credits.ts';
import { DEFAULT_CREDITS, DEFAULT_QUEUE_BYTES, type LinkConfig, type LinkEvent } from './link-types.ts';
import { type Agreement, type LinkKind, OpenHandshake, ownSegmentBytes } from './open.ts';
import { Reassembler } from './reassembler.ts';
import { MAX_RECORDS, RECORD_OVERHEAD_BYTES, Records } from './records.ts';
import {
  type Epoch,
  encodeBare,
  epochOf,
  GRANT,
  isBare,
  type Lane,
  laneOf,
  MAX_CREDITS,
  MAX_MESSAGE_BYTES,
  MAX_SEGMENT_BYTES,
  violation,
} from './segment.ts';
import { Segmenter } from './segmenter.ts';

export type { LinkConfig, LinkEvent } from './link-types.ts';

const OPEN = 0;
const REJECT = 42;

const OPEN_LIMIT_BYTES = 128;
/** Receive limits before the owner sets one (§3.4): for a peer not yet authenticated, and one that knew RMS. */
const FIRST_LIMIT_BYTES = 2_048;
const RESUMED_LIMIT_BYTES = 8_192;

const OPEN_WITHIN_MS = 2_000;
const KEEP_ALIVE_AFTER_MS = 10_000;
const PEER_LOST_AFTER_MS = 30_000;
/** How long a last message may wait for credit before the link closes without it. */
const FAREWELL_WITHIN_MS = 1_000;

const NO_EVENTS: readonly LinkEvent[] = [];

/** `opening` until both OPENs are known; `leaving` while a last message goes out. */
type Phase = 'opening' | 'open' | 'leaving' | 'closed';

export class Link {
  readonly #role: 'pne' | 'gateway';
  readonly #primitives: Primitives;
  readonly #queueBytes: number;
  /** Holds the ephemeral; let go as soon as it was used. */
  #handshake: OpenHandshake | undefined;
  readonly #records: Records;
  readonly #sendCredits = new SendCredits();
  readonly #receiveCredits: ReceiveCredits;
  readonly #segmenter: Segmenter;
  readonly #reassembler: Reassembler;
  #phase: Phase = 'opening';
  #events: LinkEvent[] = [];
  #linkKind: LinkKind | undefined;
  #receiveLimitBytes = FIRST_LIMIT_BYTES;
  #incomingSegmentBytes = MAX_SEGMENT_BYTES;
  /** Whether a lane had a record queued since it was last drained; OPEN alone is no news to the owner. */
  readonly #hadRecord: [boolean, boolean] = [false, false];
  /** Whether the peer has begun a record: no Reject after it. */
  #peerSentRecord = false;
  /** Whether a record of the peer was opened. */
  #peerProven = false;
  #leaveStatus: Status = 'ok';
  #sentFarewell = false;
  /** End of the current phase, where it has one. */
  #phaseEndsAt: MonotonicMs;
  #sentAt: MonotonicMs;
  #receivedAt: MonotonicMs;
  #keepAliveDue = false;

  /**
   * @param nowMs the instant of the subscription; the peer's OPEN is due 2 s later
   * @throws TypeError when a number of the configuration is out of its bounds
   */
  constructor(config: LinkConfig, nowMs: MonotonicMs) {
    const { side, role, primitives, credits = DEFAULT_CREDITS } = config;
    if (!Number.isInteger(credits) || credits < 1 || credits > MAX_CREDITS)
      throw new TypeError('first credits');
    const recordLimit = config.recordLimit ?? MAX_RECORDS;
    if (!(recordLimit >= 1 && recordLimit <= MAX_RECORDS)) throw new TypeError('record limit');
    const segmentBytes = ownSegmentBytes(config.transportSegmentBytes);
    this.#role = role;
    this.#primitives = primitives;
    this.#queueBytes = Math.max(config.queueBytes ?? DEFAULT_QUEUE_BYTES, MAX_MESSAGE_BYTES);
    const handshake = new OpenHandshake({ ...config, segmentBytes, credits });
    this.#handshake = handshake;
    this.#records = new Records(primitives, recordLimit);
    this.#receiveCredits = new ReceiveCredits(credits);
    this.#segmenter = new Segmenter(segmentBytes, this.#sendCredits, this.#receiveCredits);
    this.#reassembler = new Reassembler(
      (lane, epoch, length) => this.#admit(lane, epoch, length),
      this.#receiveCredits,
    );
    this.#sentAt = nowMs;
    this.#receivedAt = nowMs;
    this.#phaseEndsAt = nowMs + OPEN_WITHIN_MS;
    if (side === 'peripheral') this.#queueOpen(handshake.first());
  }

  get closed(): boolean {
    return this.#phase === 'closed';
  }

  /** True when a last message was sent that the peer should have time to read: let it disconnect, for half a second. */
  get farewell(): boolean {
    return this.#sentFarewell;
  }

  /** Largest segment in use, 20 to 244 bytes. */
  get segmentBytes(): number {
    return this.#segmenter.segmentBytes;
  }

  /** Records that the keys still allow; when few are left, resume on a new link. */
  get recordsLeft(): number {
    return this.#records.left;
  }

  /** Bytes queued on a lane, as carried, and not yet cut into segments. */
  queuedBytes(lane: Lane): number {
    return this.#segmenter.queuedBytes(lane);
  }

  /** When {@link handleTimeout} is next due; undefined once closed. */
  get deadlineAt(): MonotonicMs | undefined {
    switch (this.#phase) {
      case 'closed':
        return undefined;
      case 'open': {
        const lostAt = this.#receivedAt + PEER_LOST_AFTER_MS;
        return this.#keepAliveDue ? lostAt : Math.min(lostAt, this.#sentAt + KEEP_ALIVE_AFTER_MS);
      }
      default:
        return this.#phaseEndsAt;
    }
  }

  /** Tells the time; without effect before {@link deadlineAt}. Ask for {@link nextSegment} after. */
  handleTimeout(nowMs: MonotonicMs): void {
    if (this.#phase === 'closed') return;
    if (this.#phase === 'open') {
      if (nowMs >= this.#receivedAt + PEER_LOST_AFTER_MS) this.#end('peer-lost', 'us');
      else if (nowMs >= this.#sentAt + KEEP_ALIVE_AFTER_MS) this.#keepAliveDue = true;
    } else if (nowMs >= this.#phaseEndsAt) {
      this.#end(this.#phase === 'leaving' ? this.#leaveStatus : 'timeout', 'us');
    }
  }

  /** What happened since the last call, in order. */
  takeEvents(): readonly LinkEvent[] {
    if (this.#events.length === 0) return NO_EVENTS;
    const events = this.#events;
    this.#events = [];
    return events;
  }

  /**
   * Queues one message as a record, protected with the keys of this moment. Ignored once the link is closing or closed.
   * @param type 1 to 255, but no OPEN or Reject
   * @param body at most 65,518 bytes; copied
   * @param padTo bytes of body and zeros together, for the one padded message
   * @throws TypeError before `opened`, for a type or length out of bounds, or when the lane's queue has no room
   */
  send(type: number, body: Bytes, lane: Lane = 0, { padTo }: { readonly padTo?: number } = {}): void {
    if (this.#phase === 'leaving' || this.#phase === 'closed') return;
    if (this.#phase === 'opening') throw new TypeError('the link is not open yet');
    if (!Number.isInteger(type) || type <= OPEN || type > 255 || type === REJECT)
      throw new TypeError('a type that no record has');
    const carriedBytes = Math.max(body.length, padTo ?? 0) + RECORD_OVERHEAD_BYTES;
    if (carriedBytes > MAX_MESSAGE_BYTES) throw new TypeError('message longer than 65,535 bytes as carried');
    if (this.queuedBytes(lane) + carriedBytes > this.#queueBytes)
      throw new TypeError('the queue of the lane is full');
    try {
      const record = this.#records.seal(type, body, lane, padTo);
      this.#segmenter.push(record, lane, this.#records.sendEpoch, false);
      this.#hadRecord[lane] = true;
    } catch (error) {
      this.#fail(error);
    }
  }

  /** The next segment that may be sent now, a fresh array; undefined when there is none. */
  nextSegment(nowMs: MonotonicMs): Bytes | undefined {
    if (this.#phase === 'closed') return undefined;
    const lane = this.#segmenter.ready();
    const { due } = this.#receiveCredits;
    let segment: Bytes;
    if (lane !== undefined && !(due && !this.#segmenter.carriesGrant(lane))) {
      segment = this.#segmenter.cut(lane);
      if (this.#segmenter.queuedBytes(lane) === 0) this.#drained(lane);
    } else if (due || this.#keepAliveDue) {
      segment = encodeBare(this.#receiveCredits.grant());
    } else {
      return undefined;
    }
    this.#sentAt = nowMs;
    this.#keepAliveDue = false;
    return segment;
  }

  /** Takes one segment from the transport; its bytes are not kept. Never throws for what a peer can send. */
  receive(segment: Bytes, nowMs: MonotonicMs): void {
    if (this.#phase === 'closed') return;
    this.#receivedAt = nowMs;
    try {
      if (this.#phase === 'leaving') this.#takeGrant(segment);
      else this.#take(segment);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** To be called once after a burst of segments was received: a grant may be due. */
  endOfBurst(): void {
    if (this.#phase === 'open') this.#receiveCredits.endOfBurst(this.#reassembler.incomplete);
  }

  /**
   * Installs the traffic keys: every message sent from now on is of epoch 1; records of epoch 0 are still opened until
   * the peer's first of epoch 1.
   * @param prk2 32 bytes, not kept
   * @throws TypeError on a link that is not an open one of kind establish, or a second time
   */
  advance(prk2: Bytes): void {
    if (this.#phase === 'leaving' || this.#phase === 'closed') return;
    if (this.#phase !== 'open' || this.#linkKind !== 'establish' || this.#records.sendEpoch === 1)
      throw new TypeError('only an establishment advances, and once');
    this.#install(1, 'ap', prk2);
  }

  /**
   * Sets how long a message may be as carried, 17 to 65,535 bytes; those that have begun are not judged again.
   * @throws TypeError out of bounds
   */
  setReceiveLimit(bytes: number): void {
    if (!Number.isInteger(bytes) || bytes < RECORD_OVERHEAD_BYTES || bytes > MAX_MESSAGE_BYTES)
      throw new TypeError('receive limit');
    this.#receiveLimitBytes = bytes;
  }

  /** Closes at once; keys, queues and buffers are erased. Without effect when closed. */
  close(status: Status): void {
    this.#end(status, 'us');
  }

  /**
   * Closes when the control messages queued before (an Abort, say) are sent, at the latest after a second. Nothing that
   * is received meanwhile becomes an event. Without effect when closing or closed.
   */
  closeAfterSending(status: Status, nowMs: MonotonicMs): void {
    if (this.#phase === 'opening') this.#end(status, 'us');
    else if (this.#phase === 'open') this.#leave(status, nowMs);
  }

  /** Judges a message at its first segment; says whether its segments need credit. */
  #admit(lane: Lane, epoch: Epoch, length: number): boolean {
    if (this.#phase === 'opening') {
      if (lane !== 0 || epoch !== 0) violation('the first message is OPEN');
      if (length > OPEN_LIMIT_BYTES) violation('OPEN longer than its limit');
      return false;
    }
    if (length < RECORD_OVERHEAD_BYTES) {
      if (lane !== 0 || epoch !== 0 || this.#peerSentRecord) violation('too short for a record');
      return false;
    }
    if (length > this.#receiveLimitBytes) violation('message longer than its limit');
    if (!this.#records.canOpen(epoch)) throw new CpnsError('record-failed', 'no keys of this epoch');
    this.#peerSentRecord = true;
    return true;
  }

  #take(segment: Bytes): void {
    if (segment.length > this.#incomingSegmentBytes) violation('segment longer than agreed');
    this.#takeGrant(segment);
    if (isBare(segment)) return;
    const message = this.#reassembler.push(segment);
    if (!message) return;
    const header = segment[0] ?? 0;
    if (this.#phase === 'opening') this.#takeFirst(message);
    else if (message.length < RECORD_OVERHEAD_BYTES) this.#takeReject(message);
    else this.#takeRecord(epochOf(header), laneOf(header), message);
  }

  /** A grant that has no payload behind it where there must be one is found out by whoever looks for the payload. */
  #takeGrant(segment: Bytes): void {
    if ((segment[0] ?? 0) & GRANT) this.#sendCredits.add(segment[1] ?? 0);
  }

  #takeRecord(epoch: Epoch, lane: Lane, record: Bytes): void {
    const plaintext = this.#records.open(epoch, lane, record);
    // Opening the first record of a resumption proves what step 2 proves in an establishment.
    if (this.#linkKind === 'resume' && !this.#peerProven)
      this.#receiveLimitBytes = Math.max(this.#receiveLimitBytes, RESUMED_LIMIT_BYTES);
    this.#peerProven = true;
    this.#events.push({ kind: 'message', type: plaintext[0] ?? 0, lane, body: plaintext.subarray(1) });
  }

  #takeFirst(message: Bytes): void {
    const handshake = this.#handshake;
    if (message[0] !== OPEN || !handshake) {
      this.#takeReject(message);
      return;
    }
    try {
      const { agreement, answer } = handshake.take(message.slice(1));
      if (answer) this.#queueOpen(answer);
      this.#opened(agreement);
    } catch (error) {
      if (!(error instanceof CpnsError)) throw error;
      this.#push(REJECT, Reject.encode({ status: error.status === 'ok' ? 'internal' : error.status }));
      this.#leave(error.status, this.#receivedAt);
    }
  }

  #takeReject(message: Bytes): void {
    if (message[0] !== REJECT)
      throw new CpnsError('unexpected-message', 'plaintext that is neither OPEN nor Reject');
    this.#end(Reject.decode(message.subarray(1)).status, 'peer');
  }

  #opened({ linkKind, th1, openG, openP, prk1, sessionRef, segmentBytes, credits }: Agreement): void {
    this.#phase = 'open';
    this.#linkKind = linkKind;
    this.#segmenter.segmentBytes = segmentBytes;
    this.#incomingSegmentBytes = segmentBytes;
    this.#sendCredits.add(credits);
    this.#handshake = undefined;
    if (linkKind === 'resume') this.#install(1, 'ap', prk1);
    else this.#install(0, 'hs', prk1);
    this.#events.push({ kind: 'opened', linkKind, th1, openG, openP, prk1, sessionRef });
  }

  #install(epoch: Epoch, phase: 'hs' | 'ap', prk: Bytes): void {
    const { g2p, p2g } = epochKeys(this.#primitives, prk, phase);
    const [send, receive] = this.#role === 'gateway' ? [g2p, p2g] : [p2g, g2p];
    this.#records.install(epoch, { send, receive });
  }

  #queueOpen(body: Bytes): void {
    this.#push(OPEN, body);
    this.#receiveCredits.begin();
  }

  /** Queues a plaintext message. */
  #push(type: number, body: Bytes): void {
    this.#segmenter.push(concat(Uint8Array.of(type), body), 0, 0, true);
  }

  #drained(lane: Lane): void {
    if (this.#phase === 'leaving') this.#end(this.#leaveStatus, 'us');
    else if (this.#hadRecord[lane]) {
      this.#hadRecord[lane] = false;
      this.#events.push({ kind: 'drained', lane });
    }
  }

  /** Lets the control lane run empty, then ends. */
  #leave(status: Status, nowMs: MonotonicMs): void {
    if (this.queuedBytes(0) === 0) {
      // What was sent last may still be in the controller: the peer is to have it before the disconnection.
      this.#sentFarewell = this.#sentAt >= this.#receivedAt;
      this.#end(status, 'us');
      return;
    }
    this.#phase = 'leaving';
    this.#leaveStatus = status;
    this.#sentFarewell = true;
    this.#phaseEndsAt = nowMs + FAREWELL_WITHIN_MS;
    this.#segmenter.clear(1);
  }

  #fail(error: unknown): void {
    this.#end(statusOfError(error), 'us');
  }

  #end(status: Status, by: 'us' | 'peer'): void {
    if (this.#phase === 'closed') return;
    this.#phase = 'closed';
    this.#records.erase();
    this.#segmenter.clear(0);
    this.#segmenter.clear(1);
    this.#reassembler.clear();
    this.#handshake = undefined;
    this.#events.push({ kind: 'closed', status, by });
  }
}
