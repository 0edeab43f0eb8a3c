/**
 * Whom a gateway connects to, and when: reads sightings, chooses between enrolment, resumption and establishment
 * (docs/protocol.md §2.2), lets attempts take turns and backs off from addresses that failed (§10). Holds at most 256
 * candidates, whatever the air is full of.
 */
import type { Bytes } from '../base/bytes.ts';
import { toHex } from '../base/bytes.ts';
import { statusOfError } from '../base/errors.ts';
import type { Status } from '../base/statuses.ts';
import type { Clock } from '../base/time.ts';
import type { Central, GattLink, Sighting } from '../bluetooth/ports.ts';
import { type Announced, decodeAnnouncement } from '../network/advertisement.ts';
import { BackOff } from './back-off.ts';

const MAX_CANDIDATES = 256;
const BACK_OFF_FIRST_MS = 5_000;
const BACK_OFF_LONGEST_MS = 10 * 60_000;
/** Between attempts with strangers: whoever changes address and announcement each time is held by this alone. */
const PAUSE_FIRST_MS = 100;
const PAUSE_LONGEST_MS = 10_000;
/** The one key that strangers share. */
const STRANGERS = 'strangers';
/** Strangers that wait for their turn; one more is seen again, if it is there at all. */
const MAX_WAITING_STRANGERS = 4;
/** A peer that is there answers within a second; one that changed its address never will, and nobody scans meanwhile. */
const CONNECT_DEADLINE_MS = 3_000;

/** What to do with a PNE in sight; `key` keeps two attempts for one purpose apart. */
export interface Purpose<T> {
  readonly key: string;
  /** Nobody we know: all strangers together share one pace. */
  readonly stranger: boolean;
  readonly value: T;
}

export interface ScanOptions<T> {
  readonly central: Central;
  readonly clock: Clock;
  /** Says what an announcement is good for; undefined for nothing. Called again only when the announcement changed. */
  readonly choose: (announced: Announced, address: string) => Purpose<T> | undefined;
  /** A link is up. Settles when it is down: `ok` when there is no reason to wait, whatever the peer says its own is. */
  readonly serve: (gatt: GattLink, purpose: T) => Promise<Status>;
  readonly onConnectFailed: (address: string, status: Status) => void;
}

interface Candidate<T> {
  seen: string;
  purpose: Purpose<T> | undefined;
  state: 'idle' | 'queued' | 'linked';
}

interface Waiting<T> {
  readonly address: string;
  readonly purpose: Purpose<T>;
}

export class Scan<T> {
  readonly #options: ScanOptions<T>;
  /** By address, and by purpose of strangers: an address is easily changed, a purpose is not. */
  readonly #backOff = new BackOff(BACK_OFF_FIRST_MS, BACK_OFF_LONGEST_MS, 2 * MAX_CANDIDATES);
  /**
   * By purpose, of PNEs we know: short, because whoever plays an announcement back fails in the name of the PNE, which
   * is not to be kept out for it.
   */
  readonly #known = new BackOff(BACK_OFF_FIRST_MS, PAUSE_LONGEST_MS, MAX_CANDIDATES);
  readonly #strangers = new BackOff(PAUSE_FIRST_MS, PAUSE_LONGEST_MS, 1);
  /** Least recently seen first. */
  readonly #candidates = new Map<string, Candidate<T>>();
  /** Those we know before strangers, of whom there may be any number. */
  readonly #queue: Waiting<T>[] = [];
  /** Purposes being served or waiting. */
  readonly #busy = new Set<string>();
  #connecting = false;
  #scanning = false;

  constructor(options: ScanOptions<T>) {
    this.#options = options;
  }

  async start(): Promise<void> {
    if (this.#scanning) return;
    this.#scanning = true;
    await this.#options.central.startScan((sighting) => this.#see(sighting));
  }

  async stop(): Promise<void> {
    this.#scanning = false;
    this.#queue.length = 0;
    await this.#options.central.stopScan();
  }

  /** Looks at everybody anew: there is a new code, PN or member. */
  reconsider(): void {
    for (const candidate of this.#candidates.values()) candidate.seen = '';
    for (const held of [this.#backOff, this.#known, this.#strangers]) held.clear();
  }

  #see(sighting: Sighting): void {
    if (!this.#scanning || !sighting.connectable || !sighting.serviceData) return;
    const candidate = this.#candidate(sighting.address);
    if (candidate.state !== 'idle') return;
    this.#choose(candidate, sighting.address, sighting.serviceData);
    const { purpose } = candidate;
    if (!purpose || this.#busy.has(purpose.key)) return;
    if (this.#isHeld(sighting.address, purpose)) return;
    if (!this.#enqueue({ address: sighting.address, purpose })) return;
    candidate.state = 'queued';
    this.#busy.add(purpose.key);
    void this.#connectNext();
  }

  #isHeld(address: string, { key, stranger }: Purpose<T>): boolean {
    const nowMs = this.#options.clock.monotonicMs();
    if (this.#backOff.holds(address, nowMs)) return true;
    if (!stranger) return this.#known.holds(key, nowMs);
    return this.#backOff.holds(key, nowMs) || this.#strangers.holds(STRANGERS, nowMs);
  }

  #enqueue(waiting: Waiting<T>): boolean {
    const queue = this.#queue;
    const firstStranger = queue.findIndex(({ purpose }) => purpose.stranger);
    const known = firstStranger < 0 ? queue.length : firstStranger;
    if (!waiting.purpose.stranger) queue.splice(known, 0, waiting);
    else if (queue.length - known < MAX_WAITING_STRANGERS) queue.push(waiting);
    else return false;
    return true;
  }

  /** The next whose turn it is. A stranger that waited while another failed is held like one that is seen now. */
  #next(): Waiting<T> | undefined {
    for (let next = this.#queue.shift(); next; next = this.#queue.shift()) {
      const { address, purpose } = next;
      if (!purpose.stranger || !this.#strangers.holds(STRANGERS, this.#options.clock.monotonicMs()))
        return next;
      this.#busy.delete(purpose.key);
      this.#setState(address, 'idle');
    }
    return undefined;
  }

  #choose(candidate: Candidate<T>, address: string, serviceData: Bytes): void {
    const seen = toHex(serviceData);
    if (candidate.seen === seen) return;
    candidate.seen = seen;
    const announced = decodeAnnouncement(serviceData);
    candidate.purpose = announced && this.#options.choose(announced, address);
  }

  #candidate(address: string): Candidate<T> {
    const known = this.#candidates.get(address);
    this.#candidates.delete(address);
    const candidate = known ?? { seen: '', purpose: undefined, state: 'idle' };
    this.#candidates.set(address, candidate);
    if (this.#candidates.size > MAX_CANDIDATES) this.#evict();
    return candidate;
  }

  #evict(): void {
    for (const [address, { state }] of this.#candidates) {
      if (state !== 'idle') continue;
      this.#candidates.delete(address);
      return;
    }
  }

  async #connectNext(): Promise<void> {
    if (this.#connecting) return;
    const next = this.#next();
    if (!next) return;
    this.#connecting = true;
    const { central, serve, onConnectFailed } = this.#options;
    const { address, purpose } = next;
    try {
      const gatt = await central.connect(address, { deadlineMs: CONNECT_DEADLINE_MS });
      this.#setState(address, 'linked');
      void serve(gatt, purpose.value)
        .catch(statusOfError)
        .then((status) => this.#done(address, purpose, status));
    } catch (error) {
      const status = statusOfError(error);
      onConnectFailed(address, status);
      this.#done(address, purpose, status);
    }
    this.#connecting = false;
    void this.#connectNext();
  }

  #setState(address: string, state: Candidate<T>['state']): void {
    const candidate = this.#candidates.get(address);
    if (candidate) candidate.state = state;
  }

  /** After a good end the peer may be served again at once; after a bad one it waits, longer each time. */
  #done(address: string, purpose: Purpose<T>, status: Status): void {
    this.#busy.delete(purpose.key);
    this.#remember(address, purpose, status === 'ok');
    const candidate = this.#candidates.get(address);
    if (!candidate) return;
    candidate.state = 'idle';
    candidate.seen = '';
  }

  #remember(address: string, { key, stranger }: Purpose<T>, succeeded: boolean): void {
    const nowMs = this.#options.clock.monotonicMs();
    const note = (backOff: BackOff, held: string) =>
      succeeded ? backOff.succeeded(held) : backOff.failed(held, nowMs);
    note(this.#backOff, address);
    note(stranger ? this.#backOff : this.#known, key);
    if (stranger) note(this.#strangers, STRANGERS);
  }
}
