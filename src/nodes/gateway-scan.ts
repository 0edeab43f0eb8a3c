/**
 * Whom a gateway connects to, and when: reads sightings, chooses between enrolment, resumption and establishment
 * (docs/protocol.md §2.2), lets attempts take turns and backs off from addresses that failed (§10). Holds at most 256
 * candidates, whatever the air is full of.
 */
import type { Bytes } from '../base/bytes.ts';
import { toHex } from '../base/bytes.ts';
import { statusOfError } from '../base/errors.ts';
import type { Status } from '../base/statuses.ts';
import type { Clock, MonotonicMs } from '../base/time.ts';
import type { Central, GattLink, Sighting } from '../bluetooth/ports.ts';
import { type Announced, decodeAnnouncement } from '../network/advertisement.ts';

const MAX_CANDIDATES = 256;
const BACK_OFF_FIRST_MS = 5_000;
const BACK_OFF_LONGEST_MS = 10 * 60_000;
/** Between attempts of any kind after a failure: an address is easily changed, so those of all count together too. */
const PAUSE_FIRST_MS = 100;
const PAUSE_LONGEST_MS = 10_000;
/** A peer that is there answers within a second; one that changed its address never will, and nobody scans meanwhile. */
const CONNECT_DEADLINE_MS = 3_000;

/** What to do with a PNE in sight; `key` keeps two attempts for one purpose apart. */
export interface Purpose<T> {
  readonly key: string;
  readonly value: T;
}

export interface ScanOptions<T> {
  readonly central: Central;
  readonly clock: Clock;
  /** Says what an announcement is good for; undefined for nothing. Called again only when the announcement changed. */
  readonly choose: (announced: Announced, address: string) => Purpose<T> | undefined;
  /** A link is up. Settles, with how it ended, when the link is down. */
  readonly serve: (gatt: GattLink, purpose: T) => Promise<Status>;
  readonly onConnectFailed: (address: string, status: Status) => void;
}

interface Candidate<T> {
  seen: string;
  purpose: Purpose<T> | undefined;
  failures: number;
  notBeforeMs: MonotonicMs;
  state: 'idle' | 'queued' | 'linked';
}

export class Scan<T> {
  readonly #options: ScanOptions<T>;
  /** Least recently seen first. */
  readonly #candidates = new Map<string, Candidate<T>>();
  readonly #queue: { readonly address: string; readonly purpose: Purpose<T> }[] = [];
  /** Purposes being served or waiting. */
  readonly #busy = new Set<string>();
  #failuresInARow = 0;
  #pauseUntilMs: MonotonicMs = 0;
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
    for (const candidate of this.#candidates.values()) {
      candidate.seen = '';
      candidate.notBeforeMs = 0;
    }
    this.#pauseUntilMs = 0;
  }

  #see(sighting: Sighting): void {
    if (!this.#scanning || !sighting.connectable || !sighting.serviceData) return;
    const candidate = this.#candidate(sighting.address);
    if (candidate.state !== 'idle') return;
    this.#choose(candidate, sighting.address, sighting.serviceData);
    const { purpose } = candidate;
    if (!purpose || this.#busy.has(purpose.key)) return;
    const nowMs = this.#options.clock.monotonicMs();
    if (nowMs < candidate.notBeforeMs || nowMs < this.#pauseUntilMs) return;
    candidate.state = 'queued';
    this.#busy.add(purpose.key);
    this.#queue.push({ address: sighting.address, purpose });
    void this.#connectNext();
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
    const candidate = known ?? { seen: '', purpose: undefined, failures: 0, notBeforeMs: 0, state: 'idle' };
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
    const next = this.#queue.shift();
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
    const again = status === 'ok' || status === 'pn-id-collision';
    this.#pace(again);
    const candidate = this.#candidates.get(address);
    if (!candidate) return;
    candidate.state = 'idle';
    candidate.seen = '';
    candidate.failures = again ? 0 : candidate.failures + 1;
    const waitMs = again
      ? 0
      : Math.min(BACK_OFF_LONGEST_MS, BACK_OFF_FIRST_MS * 2 ** (candidate.failures - 1));
    candidate.notBeforeMs = this.#options.clock.monotonicMs() + waitMs;
  }

  #pace(succeeded: boolean): void {
    this.#failuresInARow = succeeded ? 0 : this.#failuresInARow + 1;
    const pauseMs = succeeded
      ? 0
      : Math.min(PAUSE_LONGEST_MS, PAUSE_FIRST_MS * 2 ** (this.#failuresInARow - 1));
    this.#pauseUntilMs = this.#options.clock.monotonicMs() + pauseMs;
  }
}
