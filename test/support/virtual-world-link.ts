/**
 * A Bluetooth link in the virtual world: a pipe each way with latency, a segment size and a place where it breaks; on each
 * end a real Link with a machine on it, driven as src/nodes/link-driver.ts and link-session.ts do.
 */
import type { Bytes } from '../../src/base/bytes.ts';
import type { Status } from '../../src/base/statuses.ts';
import { Link, type LinkEvent } from '../../src/link/link.ts';
import type { LinkConfig } from '../../src/link/link-types.ts';
import { Abort } from '../../src/messages/setup.ts';
import { MESSAGE_TYPES, type MessageName, messageName } from '../../src/messages/types.ts';
import type { LinkOutputs, Opened } from '../../src/nodes/link-session.ts';
import type { SoftwareSigner } from '../../src/security/keystore.ts';
import type { Timer, VirtualWorld } from './virtual-world.ts';

const FAREWELL_MS = 500;

/** One end of a pipe. */
export class VirtualGatt {
  readonly world: VirtualWorld;
  readonly segmentBytes: number;
  peer: VirtualGatt | undefined;
  onSegment: (segment: Bytes) => void = () => {};
  onClose: () => void = () => {};
  /** Segments that both ends may still send before the link is lost. */
  readonly #life: { segments: number };
  #up = true;
  #lastArrivalMs = 0;

  private constructor(world: VirtualWorld, segmentBytes: number, life: { segments: number }) {
    this.world = world;
    this.segmentBytes = segmentBytes;
    this.#life = life;
  }

  /** A connection, as central and peripheral see it. */
  static connect(world: VirtualWorld): readonly [VirtualGatt, VirtualGatt] {
    const { linkDrop, dropWithinSegments } = world.faults;
    const drawn = world.chance(linkDrop) ? world.between([1, dropWithinSegments]) : Number.POSITIVE_INFINITY;
    const life = { segments: drawn };
    const bytes = world.between(world.shape.segmentBytes);
    const [a, b] = [new VirtualGatt(world, bytes, life), new VirtualGatt(world, bytes, life)];
    a.peer = b;
    b.peer = a;
    return [a, b];
  }

  send(segment: Bytes): void {
    if (!this.#up) return;
    this.#life.segments -= 1;
    if (this.#life.segments < 0) {
      this.lose();
      return;
    }
    const arrivalMs = this.world.nowMs + this.world.between(this.world.shape.bleLatencyMs);
    this.#lastArrivalMs = Math.max(this.#lastArrivalMs, arrivalMs);
    const { peer } = this;
    this.world.after(this.#lastArrivalMs - this.world.nowMs, 'segment', () => {
      peer?.arrive(segment);
    });
  }

  /** A segment has come to this end. */
  arrive(segment: Bytes): void {
    if (this.#up) this.onSegment(segment);
  }

  /** Disconnects: this end at once, the other when it hears of it. */
  close(): void {
    if (!this.#up) return;
    this.wentDown();
    const { peer } = this;
    this.world.after(this.world.between(this.world.shape.bleLatencyMs) + 1, 'disconnection', () =>
      peer?.wentDown(),
    );
  }

  /** Out of range: both ends find out, each in its own time. */
  lose(): void {
    this.#life.segments = -1;
    for (const end of [this, this.peer])
      this.world.after(this.world.between([0, 2_000]), 'supervision timeout', () => {
        end?.wentDown();
      });
  }

  /** The connection is over, as this end sees it. */
  wentDown(): void {
    if (!this.#up) return;
    this.#up = false;
    this.onClose();
  }
}

/** A machine's driver as a session sees it. */
export interface SessionMachine {
  feed(input: { readonly kind: string }): void;
  kill(): void;
  onEnded: (() => void) | undefined;
}

export interface VirtualSessionOptions {
  readonly gatt: VirtualGatt;
  readonly link: LinkConfig;
  /** Name in the log. */
  readonly who: string;
  readonly signer: SoftwareSigner;
  readonly start: (opened: Opened, session: VirtualSession) => SessionMachine;
  readonly onEnd: (status: Status) => void;
  /** What a test wants said instead; undefined for nothing at all. */
  readonly instead?: ((message: MessageName, body: Bytes) => Bytes | undefined) | undefined;
}

export class VirtualSession {
  readonly #options: VirtualSessionOptions;
  readonly #world: VirtualWorld;
  readonly #link: Link;
  machine: SessionMachine | undefined;
  #timer: Timer | undefined;
  #timerAt = 0;
  #burst: Timer | undefined;
  #status: Status = 'link-lost';
  #left = false;
  #dead = false;
  #hungUp = false;
  #ended = false;
  #flushing = false;

  constructor(options: VirtualSessionOptions) {
    this.#options = options;
    const { gatt } = options;
    this.#world = gatt.world;
    this.#link = new Link(options.link, this.#world.nowMs);
    gatt.onSegment = (segment) => this.#receive(segment);
    gatt.onClose = () => this.#down();
    this.flush();
  }

  /** Sends any message, whatever the machine thinks of it. */
  send(message: MessageName, body: Bytes): void {
    const { type, lane } = MESSAGE_TYPES[message];
    this.#link.send(type, body, lane);
    this.#world.say(this.#options.who, message);
    // After the outputs of this step, as in link-session.ts: a last message is still queued when the link is closed.
    this.#world.after(0, 'flush', () => this.flush());
  }

  /** Ends in good order. */
  stop(): void {
    if (this.machine) this.machine.feed({ kind: 'stop' });
    else {
      this.#link.close('shutting-down');
      this.flush();
    }
  }

  /** The program is killed: no goodbye, the radio falls silent. */
  kill(): void {
    this.#dead = true;
    this.machine?.kill();
    this.#timer?.cancel();
    this.#burst?.cancel();
    this.#options.gatt.lose();
  }

  readonly effects = {
    send: ({ message, body }: LinkOutputs['send']): void => {
      const { instead } = this.#options;
      const said = instead ? instead(message, body) : body;
      if (said) this.send(message, said);
    },
    limit: ({ bytes }: LinkOutputs['limit']): void => this.#link.setReceiveLimit(bytes),
    advance: ({ prk2 }: LinkOutputs['advance']): void => {
      this.#link.advance(prk2);
      this.flush();
    },
    sign: ({ message }: LinkOutputs['sign']) =>
      ({ kind: 'signed', signature: this.#options.signer.sign(message) }) as const,
    close: ({ status, abort }: LinkOutputs['close']): void => this.#leave(status, abort),
  };

  flush(): void {
    if (this.#flushing || this.#dead) return;
    this.#flushing = true;
    do {
      const { nowMs } = this.#world;
      for (let next = this.#link.nextSegment(nowMs); next; next = this.#link.nextSegment(nowMs))
        this.#options.gatt.send(next);
    } while (this.#deliver());
    this.#flushing = false;
    this.#settle();
  }

  #leave(status: Status, abort: boolean): void {
    this.#left = true;
    this.#status = status;
    if (this.#link.closed) return;
    if (abort && status !== 'ok') this.send('Abort', Abort.encode({ status }));
    this.#link.closeAfterSending(status, this.#world.nowMs);
    this.flush();
  }

  #receive(segment: Bytes): void {
    if (this.#dead || this.#link.closed) return;
    this.#link.receive(segment, this.#world.nowMs);
    this.#deliver();
    if (this.#burst) return;
    this.#burst = this.#world.after(0, 'end of burst', () => {
      this.#burst = undefined;
      this.#link.endOfBurst();
      this.flush();
    });
  }

  #deliver(): boolean {
    const events = this.#link.takeEvents();
    for (const event of events) this.#take(event);
    return events.length > 0;
  }

  #take(event: LinkEvent): void {
    if (event.kind === 'opened') this.#open(event);
    if (event.kind === 'message')
      this.machine?.feed({ kind: messageName(event.type) ?? 'unknown', body: event.body } as {
        kind: string;
      });
    if (event.kind !== 'closed') return;
    if (this.machine) this.machine.feed({ kind: 'linkClosed', status: event.status } as { kind: string });
    else this.#status = event.status;
  }

  #open(event: Opened): void {
    const machine = this.#options.start(event, this);
    this.machine = machine;
    machine.onEnded = () => {
      if (!this.#left) this.#leave('internal', false);
    };
  }

  #settle(): void {
    if (this.#hungUp) return;
    const { deadlineAt } = this.#link;
    if (deadlineAt !== undefined) {
      // A timer that fires early looks again.
      if (!this.#timer || this.#timerAt > deadlineAt) this.#arm(deadlineAt);
      return;
    }
    this.#hungUp = true;
    this.#timer?.cancel();
    const waitMs = this.#link.farewell ? FAREWELL_MS : 0;
    this.#timer = this.#world.after(waitMs, 'hang up', () => this.#options.gatt.close());
  }

  #arm(at: number): void {
    this.#timer?.cancel();
    this.#timerAt = at;
    this.#timer = this.#world.after(at - this.#world.nowMs, 'link', () => {
      this.#timer = undefined;
      this.#link.handleTimeout(this.#world.nowMs);
      this.flush();
    });
  }

  #down(): void {
    this.#timer?.cancel();
    this.#burst?.cancel();
    if (this.#dead || this.#ended) return;
    this.#hungUp = true;
    this.#ended = true;
    this.#link.close('link-lost');
    this.#deliver();
    this.#timer?.cancel();
    this.#options.onEnd(this.#status);
  }
}
