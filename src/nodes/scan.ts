/**
 * Whom a gateway connects to, and when: reads sightings, chooses between enrolment, resumption and establishment
 * (docs/protocol.md §2.2), lets attempts take turns and backs off from addresses that failed (§10). Holds at most 256
 * candidates and few links of strangers, whatever the air is full of; among strangers who stays goes before who changes.
 */
import type { Bytes } from '../base/bytes.ts';
import { toHex } from '../base/bytes.ts';
import { statusOfError } from '../base/errors.ts';
import type { Status } from '../base/statuses.ts';
import type { Clock, MonotonicMs } from '../base/time.ts';
import type { Central, GattLink, Sighting } from '../bluetooth/ports.ts';
import { type Announced, decodeAnnouncement } from '../network/advertisement.ts';
import { BackOff } from './back-off.ts';

const MAX_CANDIDATES = 256;
const BACK_OFF_FIRST_MS = 5_000;
const BACK_OFF_LONGEST_MS = 10 * 60_000;
/** Between attempts with strangers: whoever changes address and announcement each time is held by this alone. */
const PAUSE_FIRST_MS = 100;
const PAUSE_LONGEST_MS = 10_000;
/** A PNE we know announces anew after each link; what failed may be an old announcement that somebody plays back. */
const KNOWN_FIRST_MS = 2_000;
const KNOWN_LONGEST_MS = 10_000;
/** The one key that strangers share. */
const STRANGERS = 'strangers';
/** Strangers that wait for their turn; one more is seen again, if it is there at all. */
const MAX_WAITING_STRANGERS = 4;
/** Links of strangers that have not done their part of the flow; a controller has hardly twice as many in all. */
const MAX_UNPROVEN_STRANGERS = 4;
/** A candidate heard within this long is still there. */
const PRESENT_MS = 2_000;
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
  /**
   * Says what an announcement is good for; undefined for nothing. Called again only when the announcement changed, or
   * after `later`. `repeated`: these bytes were heard from this address before.
   */
  readonly choose: (announced: Announced, repeated: boolean) => Purpose<T> | 'later' | undefined;
  /**
   * A link is up. Settles when it is down: `ok` when there is no reason to wait, whatever the peer says its own is.
   * @param proven to be called once the peer did its part: it holds no place of a stranger any more
   */
  readonly serve: (gatt: GattLink, purpose: T, proven: () => void) => Promise<Status>;
  readonly onConnectFailed: (address: string, status: Status) => void;
  /** Somebody in sight gets no link now, for want of another. */
  readonly onCrowded?: () => void;
}

interface Candidate<T> {
  /** The announcement heard last, and the one that `purpose` was chosen for. */
  heard: string;
  seen: string;
  purpose: Purpose<T> | undefined;
  state: 'idle' | 'queued' | 'linked';
  /** When it came, or had its last turn. */
  sinceMs: MonotonicMs;
  heardAtMs: MonotonicMs;
}

interface Waiting<T> {
  readonly address: string;
  /** The announcement, in hex. */
  readonly heard: string;
  readonly purpose: Purpose<T>;
}

export class Scan<T> {
  readonly #options: ScanOptions<T>;
  /** By address and by announcement: one is easily changed without the other. */
  readonly #backOff = new BackOff(BACK_OFF_FIRST_MS, BACK_OFF_LONGEST_MS, 2 * MAX_CANDIDATES);
  /**
   * By purpose, of PNEs we know: short, because whoever plays an announcement back fails in the name of the PNE, which
   * is not to be kept out for it.
   */
  readonly #known = new BackOff(KNOWN_FIRST_MS, KNOWN_LONGEST_MS, MAX_CANDIDATES);
  readonly #strangers = new BackOff(PAUSE_FIRST_MS, PAUSE_LONGEST_MS, 1);
  /** Least recently seen first. */
  readonly #candidates = new Map<string, Candidate<T>>();
  /** Those we know before strangers, of whom there may be any number. */
  readonly #queue: Waiting<T>[] = [];
  /** Purposes being served or waiting. */
  readonly #busy = new Set<string>();
  /** Addresses of strangers with a link that proved nothing yet. */
  readonly #unproven = new Set<string>();
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
    this.#choose(candidate, sighting.serviceData);
    const { purpose } = candidate;
    if (!purpose || this.#busy.has(purpose.key)) return;
    if (this.#isHeld(sighting.address, candidate.heard, purpose)) return;
    // No more wait than there are links for: whoever is left out is heard again when one ends, if it is still there then.
    if (this.#options.central.freeLinks <= this.#queue.length) {
      this.#options.onCrowded?.();
      return;
    }
    if (purpose.stranger && this.#isOvertaken(candidate)) return;
    if (!this.#enqueue({ address: sighting.address, heard: candidate.heard, purpose })) return;
    candidate.state = 'queued';
    this.#busy.add(purpose.key);
    void this.#connectNext();
  }

  #isHeld(address: string, heard: string, { key, stranger }: Purpose<T>): boolean {
    const nowMs = this.#options.clock.monotonicMs();
    if (this.#backOff.holds(address, nowMs) || this.#backOff.holds(heard, nowMs)) return true;
    return stranger ? !this.#admitsStrangers(nowMs) : this.#known.holds(key, nowMs);
  }

  #admitsStrangers(nowMs: MonotonicMs): boolean {
    return this.#unproven.size < MAX_UNPROVEN_STRANGERS && !this.#strangers.holds(STRANGERS, nowMs);
  }

  /** Once strangers have failed, the one that waits longest is next: whoever is always new would be tried for ever. */
  #isOvertaken(candidate: Candidate<T>): boolean {
    if (!this.#strangers.isFailing(STRANGERS)) return false;
    const nowMs = candidate.heardAtMs;
    for (const [address, { heard, purpose, state, sinceMs, heardAtMs }] of this.#candidates) {
      if (sinceMs >= candidate.sinceMs || nowMs - heardAtMs > PRESENT_MS) continue;
      if (state !== 'idle' || !purpose?.stranger || this.#busy.has(purpose.key)) continue;
      if (!this.#isHeld(address, heard, purpose)) return true;
    }
    return false;
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
      if (!purpose.stranger || this.#admitsStrangers(this.#options.clock.monotonicMs())) return next;
      this.#busy.delete(purpose.key);
      this.#setState(address, 'idle');
    }
    return undefined;
  }

  #choose(candidate: Candidate<T>, serviceData: Bytes): void {
    const heard = toHex(serviceData);
    const repeated = candidate.heard === heard;
    candidate.heard = heard;
    if (candidate.seen === heard) return;
    const announced = decodeAnnouncement(serviceData);
    const purpose = announced && this.#options.choose(announced, repeated);
    candidate.seen = purpose === 'later' ? '' : heard;
    candidate.purpose = purpose === 'later' ? undefined : purpose;
  }

  #candidate(address: string): Candidate<T> {
    const known = this.#candidates.get(address);
    this.#candidates.delete(address);
    const nowMs = this.#options.clock.monotonicMs();
    const candidate: Candidate<T> = known ?? {
      ...{ heard: '', seen: '', purpose: undefined, state: 'idle' },
      ...{ sinceMs: nowMs, heardAtMs: nowMs },
    };
    candidate.heardAtMs = nowMs;
    this.#candidates.set(address, candidate);
    if (this.#candidates.size > MAX_CANDIDATES) this.#evict(candidate);
    return candidate;
  }

  /** Of the others, the one heard least recently of those heard once, which most of a flood is; or else of all. */
  #evict(newcomer: Candidate<T>): void {
    let leaves: string | undefined;
    for (const [address, candidate] of this.#candidates) {
      if (candidate.state !== 'idle' || candidate === newcomer) continue;
      leaves ??= address;
      if (candidate.sinceMs !== candidate.heardAtMs) continue;
      leaves = address;
      break;
    }
    if (leaves !== undefined) this.#candidates.delete(leaves);
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
      if (purpose.stranger) this.#unproven.add(address);
      void serve(gatt, purpose.value, () => this.#unproven.delete(address))
        .catch(statusOfError)
        .then((status) => this.#done(next, status));
    } catch (error) {
      const status = statusOfError(error);
      if (status === 'busy') this.#options.onCrowded?.();
      onConnectFailed(address, status);
      this.#done(next, status);
    }
    this.#connecting = false;
    void this.#connectNext();
  }

  #setState(address: string, state: Candidate<T>['state']): void {
    const candidate = this.#candidates.get(address);
    if (candidate) candidate.state = state;
  }

  /** After a good end the peer may be served again at once; after a bad one it waits, longer each time. */
  #done(served: Waiting<T>, status: Status): void {
    const { address, purpose } = served;
    this.#busy.delete(purpose.key);
    this.#unproven.delete(address);
    this.#remember(served, status === 'ok');
    const candidate = this.#candidates.get(address);
    if (!candidate) return;
    candidate.state = 'idle';
    candidate.seen = '';
    candidate.sinceMs = this.#options.clock.monotonicMs();
  }

  #remember({ address, heard, purpose: { key, stranger } }: Waiting<T>, succeeded: boolean): void {
    const nowMs = this.#options.clock.monotonicMs();
    const note = (backOff: BackOff, held: string) =>
      succeeded ? backOff.succeeded(held) : backOff.failed(held, nowMs);
    note(this.#backOff, address);
    note(this.#backOff, heard);
    if (stranger) note(this.#strangers, STRANGERS);
    else note(this.#known, key);
  }
}
