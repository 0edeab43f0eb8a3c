/**
 * From the segments of one connection to its messages: both directions put together, the OPENs read, the records opened
 * where the key log has the link. Owns one connection; never guesses: what can't be opened is shown as a record.
 * Source: docs/protocol.md §3, §5.
 */
import { type Bytes, toHex } from '../../base/bytes.ts';
import { Records } from '../../link/records.ts';
import { type Epoch, type Lane, parseSegment } from '../../link/segment.ts';
import { LINK_KINDS, type LinkKind, Open } from '../../messages/link.ts';
import { messageName, messageType } from '../../messages/types.ts';
import { epochKeys, type RecordKeys, transcript1 } from '../../security/key-schedule.ts';
import type { Primitives } from '../../security/primitives.ts';
import type { CapturedSegment } from './gatt-capture.ts';
import type { LinkSecrets } from './key-log.ts';

export interface DecodedMessage {
  readonly atMs: number;
  readonly connection: number;
  readonly peer: string;
  readonly from: 'gateway' | 'pne' | 'central' | 'peripheral';
  /** First 8 bytes of th1 in hex; empty before both OPENs. */
  readonly link: string;
  readonly linkKind: LinkKind | undefined;
  readonly lane: Lane;
  readonly epoch: Epoch;
  /** Bytes as carried. */
  readonly bytes: number;
  readonly segments: number;
  /** `record` when it stays closed, with why. */
  readonly name: string;
  readonly body: Bytes | undefined;
  readonly problem: string | undefined;
}

type Side = CapturedSegment['from'];

interface Incoming {
  readonly parts: Bytes[];
  filled: number;
  length: number;
  segments: number;
}

class Direction {
  readonly lanes: [Incoming | undefined, Incoming | undefined] = [undefined, undefined];
  open: Bytes | undefined;
  records: Records | undefined;
}

/** An epoch-0 message this short is no record but a Reject. */
const SHORTEST_RECORD = 17;

export class LinkDecoder {
  readonly #primitives: Primitives;
  readonly #keys: ReadonlyMap<string, LinkSecrets>;
  readonly #sides: Readonly<Record<Side, Direction>> = {
    central: new Direction(),
    peripheral: new Direction(),
  };
  #gateway: Side | undefined;
  #link = '';
  #kind: LinkKind | undefined;

  constructor(primitives: Primitives, keys: ReadonlyMap<string, LinkSecrets>) {
    this.#primitives = primitives;
    this.#keys = keys;
  }

  /** The message that a segment completes, if it does. */
  push(captured: CapturedSegment): DecodedMessage | undefined {
    const direction = this.#sides[captured.from];
    const { bare, start, end, lane, epoch, length, payload } = parseSegment(captured.segment);
    if (bare) return undefined;
    if (start) {
      direction.lanes[lane] = { parts: [], filled: 0, length: length ?? payload.length, segments: 0 };
    }
    const incoming = direction.lanes[lane];
    // The capture began within a message.
    if (!incoming) return undefined;
    incoming.parts.push(payload);
    incoming.filled += payload.length;
    incoming.segments++;
    if (!end) return undefined;
    direction.lanes[lane] = undefined;
    const carried = new Uint8Array(Buffer.concat(incoming.parts));
    const whole = incoming.filled === incoming.length;
    const opened = whole
      ? this.#open(captured.from, direction, lane, epoch, carried)
      : closed('segments are missing');
    return {
      atMs: captured.atMs,
      connection: captured.connection,
      peer: captured.peer,
      from: this.#partyOf(captured.from),
      link: this.#link,
      linkKind: this.#kind,
      ...{ lane, epoch, bytes: carried.length, segments: incoming.segments },
      ...opened,
    };
  }

  #partyOf(side: Side): DecodedMessage['from'] {
    if (this.#gateway === undefined) return side;
    return this.#gateway === side ? 'gateway' : 'pne';
  }

  #open(side: Side, direction: Direction, lane: Lane, epoch: Epoch, carried: Bytes): Opened {
    if (direction.open === undefined && carried[0] === messageType('Open')) {
      direction.open = carried.slice(1);
      this.#transcript();
      return { name: 'Open', body: direction.open, problem: undefined };
    }
    if (epoch === 0 && carried.length < SHORTEST_RECORD) {
      return {
        name: messageName(carried[0] ?? 255) ?? 'unknown',
        body: carried.slice(1),
        problem: undefined,
      };
    }
    if (this.#link === '') return closed('the OPENs are not in the capture');
    const records = direction.records ?? this.#keysOf(side);
    if (!records) return closed('not in the key log');
    direction.records = records;
    try {
      const plain = records.open(epoch, lane, carried);
      return {
        name: messageName(plain[0] ?? 255) ?? `type ${plain[0]}`,
        body: plain.slice(1),
        problem: undefined,
      };
    } catch (error) {
      return closed(error instanceof Error ? error.message : String(error));
    }
  }

  /** Names the link once both OPENs are there. */
  #transcript(): void {
    const { central, peripheral } = this.#sides;
    if (!central.open || !peripheral.open) return;
    try {
      const { role, kind = 'establish' } = Open.decode(central.open);
      this.#gateway = role === 'gateway' ? 'central' : 'peripheral';
      this.#kind = kind;
      const [openG, openP] =
        this.#gateway === 'central' ? [central.open, peripheral.open] : [peripheral.open, central.open];
      this.#th1 = toHex(transcript1(this.#primitives, LINK_KINDS[kind], openG, openP));
      this.#link = this.#th1.slice(0, 16);
    } catch {
      // An OPEN that is no OPEN: the messages after it stay closed.
    }
  }
  #th1 = '';

  #keysOf(side: Side): Records | undefined {
    const { prk1, prk2 } = this.#keys.get(this.#th1) ?? {};
    if (!prk1) return undefined;
    const direction = this.#gateway === side ? 'g2p' : 'p2g';
    const records = new Records(this.#primitives);
    const install = (epoch: Epoch, prk: Bytes, phase: 'hs' | 'ap') => {
      const receive = epochKeys(this.#primitives, prk, phase)[direction];
      records.install(epoch, { send: unused(), receive });
    };
    if (this.#kind === 'resume') install(1, prk1, 'ap');
    else {
      install(0, prk1, 'hs');
      if (prk2) install(1, prk2, 'ap');
    }
    return records;
  }
}

interface Opened {
  readonly name: string;
  readonly body: Bytes | undefined;
  readonly problem: string | undefined;
}

const closed = (problem: string): Opened => ({ name: 'record', body: undefined, problem });

/** A reader of captures sends nothing. */
const unused = (): RecordKeys => ({ key: new Uint8Array(16), iv: new Uint8Array(12) });
