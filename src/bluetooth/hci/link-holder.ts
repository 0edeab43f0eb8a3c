/**
 * Holds the links of a shared adapter: the kernel ends one that no socket of its own uses, 2 s after it is up (4 s where
 * the peer connected). Owns which links are to be held and which process has their sockets, and nothing else of a link.
 * GUARD(X7): the package makes that socket itself, but at a moment when the kernel may not yet know of the link (whoever
 * reads a raw socket can be faster) or no longer: its connect(2) then blocks, and with it the whole process, for up to
 * 40 s while the kernel looks for the peer. So it is kept from doing so (native-pipe.ts), and made to do it in
 * a process of its own (holding-process.ts), as soon as the kernel shows the link. That process may block: then
 * another takes over from it, and only the link that it blocked for is left to the kernel.
 */
import { H4_EVENT } from './h4.ts';
import { HoldingChild } from './holding-child.ts';

/** How often the kernel is asked for a link that it does not show yet, and how many times: by then it would have ended it. */
const LOOK_MS = 50;
const LOOKS = 30;
/** The package leaks an object for each link: a process that has served so many is replaced. */
const LINKS_PER_CHILD = 1000;
const EVENT_DISCONNECTION_COMPLETE = 0x05;
const EVENT_LE_META = 0x3e;
/** LE (Enhanced) Connection Complete, as the package knows them: type and length of the whole packet. */
const LINK_IS_UP: ReadonlyMap<number, number> = new Map([
  [0x01, 22],
  [0x0a, 34],
]);

interface Link {
  /** Not the handle: that is soon another link's. */
  readonly id: number;
  readonly handle: number;
  /** What the controller said when it was up. */
  readonly event: Buffer;
  looks: number;
  /** While it is to be asked for. */
  timer: NodeJS.Timeout | undefined;
}

export class LinkHolder {
  /** The links can't be held any more. */
  onEnd: (error: Error) => void = () => {};
  readonly #index: number;
  /** By connection handle. */
  readonly #links = new Map<number, Link>();
  #child: HoldingChild;
  /** The one that is to take over, until it is ready. */
  #relief: HoldingChild | undefined;
  #lastId = 0;

  private constructor(index: number) {
    this.#index = index;
    this.#child = this.#start();
  }

  /**
   * @param index N of `hciN`
   * @returns once its process is ready, which takes longer than a new link may be without it
   */
  static async start(index: number): Promise<LinkHolder> {
    const holder = new LinkHolder(index);
    await holder.#child.ready;
    return holder;
  }

  /** @param packet from the controller, type byte first */
  seen(packet: Buffer): void {
    if (packet[0] !== H4_EVENT || packet.length < 7) return;
    if (packet[1] === EVENT_DISCONNECTION_COMPLETE && packet[3] === 0) this.#release(packet.readUInt16LE(4));
    else if (
      packet[1] === EVENT_LE_META &&
      packet.length === LINK_IS_UP.get(packet[3] ?? 0) &&
      packet[4] === 0
    )
      this.#take(packet.readUInt16LE(5), Buffer.from(packet));
  }

  close(): void {
    for (const { timer } of this.#links.values()) clearTimeout(timer);
    this.#links.clear();
    this.#child.end();
    this.#relief?.end();
  }

  #start(): HoldingChild {
    return new HoldingChild(this.#index, {
      onAnswer: (id, held) => this.#answered(id, held),
      onSilent: () => this.#relieve(),
      onEnd: (how) => this.onEnd(new Error(`the process that holds the links ended: ${how}`)),
    });
  }

  #take(handle: number, event: Buffer): void {
    this.#release(handle);
    const link: Link = { id: ++this.#lastId, handle, event, looks: 0, timer: undefined };
    this.#links.set(handle, link);
    this.#ask(link);
    if (this.#child.taken >= LINKS_PER_CHILD) this.#relieve();
  }

  #release(handle: number): void {
    const link = this.#links.get(handle);
    if (link === undefined) return;
    this.#links.delete(handle);
    clearTimeout(link.timer);
    this.#child.letGo(link.id);
  }

  #ask(link: Link): void {
    link.timer = undefined;
    link.looks++;
    this.#child.hold(link);
  }

  #answered(id: number, held: boolean): void {
    const link = [...this.#links.values()].find((each) => each.id === id);
    if (held || link === undefined || link.looks >= LOOKS) return;
    link.timer = setTimeout(() => this.#ask(link), LOOK_MS).unref();
  }

  /** The next process is ready before this one is ended: no link is without a socket for longer than it takes to ask again. */
  #relieve(): void {
    if (this.#relief !== undefined) return;
    this.#relief = this.#start();
    this.#relief.ready.then(
      () => this.#handOver(),
      () => {}, // said by onEnd
    );
  }

  #handOver(): void {
    const relief = this.#relief;
    if (relief === undefined) return;
    this.#relief = undefined;
    const blockedFor = this.#child.awaited;
    if (blockedFor === undefined && this.#child.taken < LINKS_PER_CHILD) {
      relief.end();
      return;
    }
    this.#child.end();
    this.#child = relief;
    for (const link of this.#links.values()) {
      if (link.id === blockedFor) this.#links.delete(link.handle);
      else if (link.timer === undefined) relief.hold(link);
    }
  }
}
