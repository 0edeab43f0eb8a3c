/**
 * The virtual air: its controllers, its links, its options and its counters. Controllers come from server.ts (a UNIX
 * socket) or from `attach` (in process, or a kernel through /dev/vhci).
 */
import type { HciVersion } from '../../profiles/identity.ts';
import { Controller } from './controller.ts';
import { FaultDice, type Faults } from './faults.ts';
import type { HostPort, LinkCounters, LinkPart, RadioPart, RadioSettings } from './shapes.ts';

export interface RadioOptions {
  /** Connection interval in ms, fractions allowed (7.5). 0: packets cross at once. Default 0. */
  readonly intervalMs?: number | undefined;
  /** Link-layer packets per connection event and direction, 1 to 64. Default 6. */
  readonly packetsPerEvent?: number | undefined;
  /** ACL buffer of each controller: payload bytes, 27 to 1,021, default 251. */
  readonly aclBufferBytes?: number | undefined;
  /** ACL buffers of each controller, 1 to 255, default 8. */
  readonly aclBufferCount?: number | undefined;
  /** Advertising interval of everybody, whatever the host asks. Default 20 ms. */
  readonly advertisingIntervalMs?: number | undefined;
  /** Links one controller can have, default 8. Past it: Connection Limit Exceeded. */
  readonly maxLinks?: number | undefined;
  /** First connection handle of each controller, default 0x40; 0 finds hosts that take 0 for "none". */
  readonly firstHandle?: number | undefined;
  /** What the controllers say they are. Default: Bluetooth 5.2 of no maker. */
  readonly localVersion?: HciVersion | undefined;
  /** Seed of every random choice, default 1. */
  readonly seed?: number | undefined;
  readonly faults?: Faults | undefined;
}

export interface RadioCounters {
  readonly controllers: number;
  readonly adverts: number;
  /** Data packets refused because a host sent more than its credits. */
  readonly overflows: number;
  /** Commands that no table row answers, by opcode. */
  readonly unknownCommands: ReadonlyMap<number, number>;
  /** Open links, and the last 64 that ended. */
  readonly links: readonly LinkCounters[];
}

const ENDED_LINKS_KEPT = 64;
const HCI_VERSION_5_2 = 0x0b;
/** Manufacturer 0xffff is nobody's; with this LMP subversion firmware-profiles/virtual-radio.json knows it. */
const NOBODYS_VERSION: HciVersion = {
  ...{ version: HCI_VERSION_5_2, revision: 0, lmpVersion: HCI_VERSION_5_2 },
  ...{ manufacturer: 0xffff, lmpSubversion: 0x6370 },
};

export class Radio implements RadioPart {
  readonly options: RadioSettings;
  readonly dice: FaultDice;
  readonly controllers = new Set<Controller>();
  adverts = 0;
  overflows = 0;
  readonly #links = new Set<LinkPart>();
  readonly #ended: LinkCounters[] = [];
  readonly #unknownCommands = new Map<number, number>();
  readonly #delayed = new Set<NodeJS.Timeout>();
  #made = 0;

  /** @throws RangeError on an option out of its range */
  constructor(options: RadioOptions = {}) {
    this.options = {
      intervalMs: within('intervalMs', options.intervalMs ?? 0, 0, 4000),
      packetsPerEvent: within('packetsPerEvent', options.packetsPerEvent ?? 6, 1, 64),
      aclBufferBytes: within('aclBufferBytes', options.aclBufferBytes ?? 251, 27, 1021),
      aclBufferCount: within('aclBufferCount', options.aclBufferCount ?? 8, 1, 255),
      advertisingIntervalMs: within('advertisingIntervalMs', options.advertisingIntervalMs ?? 20, 1, 10_240),
      maxLinks: within('maxLinks', options.maxLinks ?? 8, 1, 255),
      firstHandle: within('firstHandle', options.firstHandle ?? 0x40, 0, 0x0eff),
      localVersion: options.localVersion ?? NOBODYS_VERSION,
      seed: options.seed ?? 1,
    };
    this.dice = new FaultDice(this.options.seed, options.faults ?? {});
  }

  /** Plugs a host into a fresh controller. The caller feeds `receive`, `hostReady` and `hostGone`. */
  attach(host: HostPort): Controller {
    const n = ++this.#made;
    const publicAddress = Buffer.from([n & 0xff, (n >> 8) & 0xff, 0x53, 0x4e, 0x50, 0x00]);
    const controller = new Controller(this, host, publicAddress);
    this.controllers.add(controller);
    return controller;
  }

  /** Unplugs it; peers notice at their supervision timeouts. */
  detach(controller: Controller): void {
    if (this.controllers.delete(controller)) controller.hostGone();
  }

  /** Changes faults from now on; an absent field keeps its value, an undefined one ends it. */
  setFaults(faults: Faults): void {
    this.dice.faults = { ...this.dice.faults, ...faults };
  }

  /** Breaks the link between two devices, named by public or random address. @returns whether there was one */
  dropLink(a: string, b: string): boolean {
    const link = this.#linkBetween(a, b);
    link?.lose(0);
    return link !== undefined;
  }

  /** Carries nothing between two devices for so long. @returns whether they were linked */
  stallLink(a: string, b: string, durationMs: number): boolean {
    const link = this.#linkBetween(a, b);
    link?.stall(durationMs);
    return link !== undefined;
  }

  /** Makes the scanners that scan now hear nothing until they are enabled again. */
  deafenScanners(): void {
    for (const controller of this.controllers) controller.deaf = controller.scanning.enabled;
  }

  /** Controllers forget all that they do, links included, and tell no host: as some do while the machine sleeps. */
  forgetEverything(): void {
    for (const controller of this.controllers) controller.reset();
  }

  counters(): RadioCounters {
    return {
      controllers: this.controllers.size,
      adverts: this.adverts,
      overflows: this.overflows,
      unknownCommands: new Map(this.#unknownCommands),
      links: [...[...this.#links].map((link) => link.counters()), ...this.#ended],
    };
  }

  linkMade(link: LinkPart): void {
    this.#links.add(link);
  }

  linkEnded(link: LinkPart): void {
    if (!this.#links.delete(link)) return;
    this.#ended.unshift(link.counters());
    if (this.#ended.length > ENDED_LINKS_KEPT) this.#ended.pop();
  }

  countCommand(opcode: number, known: boolean): void {
    if (!known) this.#unknownCommands.set(opcode, (this.#unknownCommands.get(opcode) ?? 0) + 1);
  }

  /** A timer that `end` clears. */
  later(run: () => void, delayMs: number): void {
    const timer = setTimeout(() => {
      this.#delayed.delete(timer);
      run();
    }, delayMs);
    this.#delayed.add(timer);
  }

  end(): void {
    for (const timer of this.#delayed) clearTimeout(timer);
    for (const controller of [...this.controllers]) {
      this.detach(controller);
      controller.host.close();
    }
    for (const timer of this.#delayed) clearTimeout(timer);
  }

  #linkBetween(a: string, b: string): LinkPart | undefined {
    return [...this.#links].find((link) => link.joins(a.toLowerCase(), b.toLowerCase()));
  }
}

function within(name: string, value: number, least: number, most: number): number {
  if (!(value >= least && value <= most))
    throw new RangeError(`${name} is ${least} to ${most}, got ${value}`);
  return value;
}
