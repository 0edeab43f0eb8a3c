/**
 * One end of a link in an attacker's hand: opens it as the protocol says, then sends and takes messages one by one, and
 * lets raw segments through in either direction changed, kept or made up. No machine decides anything here.
 */
import type { Bytes } from '../../../src/base/bytes.ts';
import type { Status } from '../../../src/base/statuses.ts';
import type { GattLink } from '../../../src/bluetooth/ports.ts';
import { Link, type LinkEvent } from '../../../src/link/link.ts';
import type { OpenAcceptance, OpenRequest } from '../../../src/link/open.ts';
import { Abort, PnSetupResponse, unpadPnSetupResponse } from '../../../src/messages/setup.ts';
import { MESSAGE_TYPES, type MessageName, messageName } from '../../../src/messages/types.ts';
import { driveLink, type LinkDriver } from '../../../src/nodes/link-driver.ts';
import { systemClock } from '../../../src/nodes/system-clock.ts';
import type { Primitives } from '../../../src/security/primitives.ts';
import { primitives } from '../../support/join.ts';

export type Opened = Extract<LinkEvent, { readonly kind: 'opened' }>;

export interface Heard {
  readonly name: MessageName;
  readonly body: Bytes;
}

export interface DialogueOptions {
  /** Sees each segment that leaves or arrives; what it returns goes on in its place. */
  readonly onOut?: (segment: Bytes) => readonly Bytes[];
  readonly onIn?: (segment: Bytes) => readonly Bytes[];
  readonly primitives?: Primitives;
  readonly role?: 'pne' | 'gateway';
}

/** Takes what waits, or waits for it; ends with an error once nothing can come any more. */
class Inbox<T> {
  readonly #items: T[] = [];
  #waiting: { resolve: (item: T) => void; reject: (error: Error) => void }[] = [];
  #ended: Error | undefined;

  put(item: T): void {
    const waiting = this.#waiting.shift();
    if (waiting) waiting.resolve(item);
    else this.#items.push(item);
  }

  end(error: Error): void {
    this.#ended ??= error;
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }

  take(): Promise<T> {
    const item = this.#items.shift();
    if (item !== undefined) return Promise.resolve(item);
    if (this.#ended) return Promise.reject(this.#ended);
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }
}

/** The link ended while something was waited for. */
export class LinkEnded extends Error {
  readonly status: Status;
  constructor(status: Status) {
    super(`the link ended: ${status}`);
    this.status = status;
  }
}

export class Dialogue {
  readonly gatt: GattLink;
  readonly link: Link;
  /** Segments as they crossed, before any change. */
  readonly sent: Bytes[] = [];
  readonly received: Bytes[] = [];
  /** The status our own side of the link ended with. */
  readonly ended: Promise<Status>;
  readonly #driver: LinkDriver;
  readonly #inbox = new Inbox<Heard>();
  readonly #opened = new Inbox<Opened>();
  #status: Status = 'link-lost';

  static central(gatt: GattLink, request: OpenRequest, options: DialogueOptions = {}): Dialogue {
    return new Dialogue(gatt, { side: 'central', request }, options);
  }

  static peripheral(gatt: GattLink, accept: OpenAcceptance, options: DialogueOptions = {}): Dialogue {
    return new Dialogue(gatt, { side: 'peripheral', accept }, options);
  }

  private constructor(
    gatt: GattLink,
    side: { side: 'central'; request: OpenRequest } | { side: 'peripheral'; accept: OpenAcceptance },
    options: DialogueOptions,
  ) {
    this.gatt = gatt;
    const own = options.primitives ?? primitives;
    this.link = new Link(
      {
        role: options.role ?? (side.side === 'central' ? 'gateway' : 'pne'),
        transportSegmentBytes: gatt.maxSegmentBytes,
        primitives: own,
        ephemeral: own.generateEphemeral(),
        ...side,
      },
      systemClock.monotonicMs(),
    );
    this.#driver = driveLink(this.#tapped(options), this.link, systemClock, (events) => {
      for (const event of events) this.#take(event);
    });
    this.ended = this.#driver.ended.then(() => this.#status);
    void this.ended.then((status) => {
      this.#inbox.end(new LinkEnded(status));
      this.#opened.end(new LinkEnded(status));
    });
  }

  /** Both OPENs are in, and ours is out. */
  async opened(): Promise<Opened> {
    const opened = await this.#opened.take();
    await new Promise((resolve) => setImmediate(resolve));
    return opened;
  }

  send(name: MessageName, body: Bytes): void {
    const { type, lane } = MESSAGE_TYPES[name];
    this.link.send(type, body, lane);
    this.#driver.flush();
  }

  /** The next message. @throws LinkEnded */
  next(): Promise<Heard> {
    return this.#inbox.take();
  }

  /** The next message, which has to be this one. */
  async expect(name: MessageName): Promise<Bytes> {
    const heard = await this.next();
    if (heard.name !== name) throw new Error(`${name} was due, ${heard.name} came`);
    return heard.body;
  }

  /** After `link.send`, for what has no name. */
  flush(): void {
    this.#driver.flush();
  }

  advance(prk2: Bytes): void {
    this.link.advance(prk2);
  }

  /** Sends bytes of the attacker's making in the place of a segment. */
  inject(segment: Bytes): void {
    this.gatt.send(segment);
  }

  async close(): Promise<void> {
    await this.#driver.close();
  }

  #tapped({ onOut, onIn }: DialogueOptions): GattLink {
    const { gatt, sent, received } = this;
    const outer: GattLink = {
      side: gatt.side,
      peerAddress: gatt.peerAddress,
      maxSegmentBytes: gatt.maxSegmentBytes,
      send: (segment) => {
        sent.push(segment.slice());
        for (const each of onOut?.(segment) ?? [segment]) gatt.send(each);
      },
      onSegment: () => {},
      onClose: () => {},
      close: () => gatt.close(),
    };
    queueMicrotask(() => {
      gatt.onClose = (reason) => outer.onClose(reason);
      gatt.onSegment = (segment) => {
        received.push(segment.slice());
        for (const each of onIn?.(segment) ?? [segment]) outer.onSegment(each);
      };
    });
    return outer;
  }

  #take(event: LinkEvent): void {
    if (event.kind === 'opened') this.#opened.put(event);
    if (event.kind === 'message')
      this.#inbox.put({ name: messageName(event.type) ?? 'Data', body: event.body });
    if (event.kind === 'closed') this.#status = event.status;
  }
}

/** The status in the Abort that is due. */
export async function abortOf(dialogue: Dialogue): Promise<Status> {
  return Abort.decode(await dialogue.expect('Abort')).status;
}

/** The status of the decline that is due. */
export async function declineOf(dialogue: Dialogue): Promise<Status> {
  return PnSetupResponse.decode(unpadPnSetupResponse(await dialogue.expect('PnSetupResponse'))).status;
}
