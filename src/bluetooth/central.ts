/**
 * The Central port over a library that drives the controller (central-abandonware.ts, central-stoprocent.ts). Owns
 * scanning with its watchdog and the queue of connection attempts: a controller makes one connection at a time, so
 * attempts take turns, each within its own deadline, and a vanished peer never blocks the others (N11, N12).
 */
import { setTimeout as delay } from 'node:timers/promises';
import { CpnsError } from '../base/errors.ts';
import type { ChosenProfile } from './adapter-profile.ts';
import { openService } from './att.ts';
import type { CentralLibrary, LoadCentral } from './central-library.ts';
import { CentralLink } from './central-link.ts';
import { type CentralOptions, connectionParameters } from './central-options.ts';
import { ConnectionTurn, type Created, ERROR_FAILED_TO_ESTABLISH } from './connection-turn.ts';
import { eventWithin } from './deadline.ts';
import { CPNS_DOWN_UUID, CPNS_SERVICE_UUID, CPNS_UP_UUID } from './gatt-service.ts';
import type { ConnectionParameters, NoblePeripheral } from './guards/noble.ts';
import { type HciTransport, REASON_USER_ENDED, type ReadyTransport } from './hci/transport.ts';
import { notPoweredOn } from './hci/unavailable.ts';
import { loadOn } from './load-library.ts';
import type { Central, ConnectOptions, GattLink, Sighting } from './ports.ts';
import { SightingCache, toSighting } from './sightings.ts';

const POWER_ON_DEADLINE_MS = 5000;
const SCAN_DEADLINE_MS = 2000;
const CANCEL_DEADLINE_MS = 1000;
const MAX_TRIES = 3;
const SCAN_ENABLE = 0x200c;
const EXTENDED_SCAN_ENABLE = 0x2042;
/** A controller that has no more links is asked again so much later, or when one of ours has ended. */
const FULL_MS = 10_000;
const ERROR_CONNECTION_LIMIT = 0x09;
const ERROR_LIMITED_RESOURCES = 0x0d;

/**
 * A central on a controller that is open; the transport is the central's from now on.
 * @throws BluetoothUnavailableError (with `.mend`), RangeError on an option out of range
 */
export async function centralOn(
  load: LoadCentral,
  transport: ReadyTransport,
  options: CentralOptions,
): Promise<Central> {
  const parameters = parametersFor(transport, options);
  const library = loadOn(transport, load);
  if (!(await eventWithin(library.events, 'stateChange', POWER_ON_DEADLINE_MS)) || !library.isPoweredOn()) {
    library.release();
    transport.close();
    throw notPoweredOn(transport.name);
  }
  return new LibraryCentral(library, transport, parameters, options);
}

function parametersFor(transport: ReadyTransport, options: CentralOptions): ConnectionParameters {
  try {
    return connectionParameters(options, transport.chosen.settings);
  } catch (error) {
    transport.close();
    throw error;
  }
}

interface Attempt {
  readonly address: string;
  tries: number;
  settled: boolean;
  timer: NodeJS.Timeout | undefined;
  readonly resolve: (link: GattLink) => void;
  readonly reject: (error: Error) => void;
}

class LibraryCentral implements Central {
  readonly adapter: ChosenProfile;
  readonly #library: CentralLibrary;
  readonly #transport: HciTransport;
  readonly #turn: ConnectionTurn;
  readonly #links = new Map<number, CentralLink>();
  readonly #attempts = new Set<Attempt>();
  /** Attempts whose turn at the controller is to come. */
  readonly #queue: Attempt[] = [];
  readonly #sightings: SightingCache;
  readonly #scanSilenceMs: number;
  readonly #scanWatch: NodeJS.Timeout;
  #onSighting: ((sighting: Sighting) => void) | undefined;
  #scanning = false;
  #heardAt = 0;
  #scanEndedAt = Number.NEGATIVE_INFINITY;
  #scanEndedByOther = false;
  #running = false;
  #fullUntil = 0;
  #creating: Attempt | undefined;
  #closed: Error | undefined;

  constructor(
    library: CentralLibrary,
    transport: ReadyTransport,
    parameters: ConnectionParameters,
    options: CentralOptions,
  ) {
    this.adapter = transport.chosen;
    this.#library = library;
    this.#transport = transport;
    this.#turn = new ConnectionTurn(library, parameters);
    this.#scanSilenceMs = options.scanSilenceMs ?? this.adapter.settings.scanSilenceMs;
    this.#sightings = new SightingCache(
      (address) => this.#inUse(address),
      (id) => library.forget(id),
    );
    const { hci, events } = library;
    hci.on('leConnComplete', (status: number, handle: number, role: number) =>
      this.#connected(status, handle, role),
    );
    hci.on('disconnComplete', (handle: number, reason: number) => this.#disconnected(handle, reason));
    hci.on('leAdvertisingReport', () => {
      this.#heardAt = performance.now();
    });
    events.on('discover', (peripheral: NoblePeripheral) => this.#discovered(peripheral));
    events.on('stateChange', (state: string) => {
      if (state !== 'poweredOn') for (const link of this.#links.values()) this.#drop(link, 0);
    });
    transport.on('overheard', (opcode: number, enable: number) => {
      if ((opcode === SCAN_ENABLE || opcode === EXTENDED_SCAN_ENABLE) && enable === 0)
        this.#scanEndedByOther = true;
    });
    transport.on('gone', (error: Error | undefined) => {
      this.#shut(new CpnsError('link-lost', 'the Bluetooth controller is gone'));
      options.onGone?.(error);
    });
    this.#scanWatch = setInterval(() => this.#watchScan(), Math.max(100, this.#scanSilenceMs / 4)).unref();
  }

  get freeLinks(): number {
    // It knows better than its profile; somebody else may use it, too.
    if (performance.now() < this.#fullUntil) return 0;
    let used = this.#links.size;
    for (const attempt of this.#attempts) if (!this.#isLinked(attempt.address)) used++;
    return Math.max(0, (this.adapter.settings.links ?? Number.POSITIVE_INFINITY) - used);
  }

  async startScan(onSighting: (sighting: Sighting) => void): Promise<void> {
    this.#assertOpen();
    this.#onSighting = onSighting;
    if (this.#running) return; // resumes when the connection attempts are through
    if (!(await this.#resumeScan())) throw new CpnsError('timeout', 'the controller does not start to scan');
  }

  async stopScan(): Promise<void> {
    this.#onSighting = undefined;
    if (this.#closed === undefined && !this.#wantsScan()) await this.#pauseScan();
  }

  connect(address: string, options: ConnectOptions): Promise<GattLink> {
    const { deadlineMs } = options;
    if (!(deadlineMs >= 100 && deadlineMs <= 60_000)) {
      return Promise.reject(new RangeError('deadlineMs is 100 to 60,000'));
    }
    const wanted = address.toLowerCase();
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    if (this.#inUse(wanted))
      return Promise.reject(new CpnsError('busy', 'this peer is connected or being connected'));
    if (this.freeLinks === 0) {
      return Promise.reject(new CpnsError('busy', 'this adapter has no further link'));
    }
    return new Promise((resolve, reject) => {
      const state = { tries: 0, settled: false, timer: undefined };
      const attempt: Attempt = { address: wanted, ...state, resolve, reject };
      this.#attempts.add(attempt);
      attempt.timer = setTimeout(
        () => this.#fail(attempt, new CpnsError('timeout', 'connecting')),
        deadlineMs,
      );
      if (this.#sightings.idOf(wanted) !== undefined) this.#enqueue(attempt);
      else void this.#resumeScan(); // #discovered puts it in the queue
    });
  }

  answers(): Promise<boolean> {
    return this.#transport.answers();
  }

  async afterSleep(): Promise<void> {
    await this.#transport.endLostLinks();
    if (this.#closed === undefined && this.#scanning) this.#scanAgain();
  }

  async close(): Promise<void> {
    if (this.#closed !== undefined) return;
    this.#onSighting = undefined;
    const shutting = new CpnsError('shutting-down');
    this.#closed = shutting;
    for (const attempt of [...this.#attempts]) this.#fail(attempt, shutting);
    if (this.#scanning) await this.#pauseScan();
    await Promise.all([...this.#links.values()].map((link) => link.close()));
    this.#shut(shutting);
  }

  #shut(error: Error): void {
    this.#closed ??= error;
    for (const attempt of [...this.#attempts]) this.#fail(attempt, error);
    for (const link of [...this.#links.values()]) this.#drop(link, 0);
    clearInterval(this.#scanWatch);
    this.#library.release();
    this.#transport.close();
    this.#library.events.removeAllListeners('discover');
  }

  #assertOpen(): void {
    if (this.#closed !== undefined) throw this.#closed;
  }

  #isLinked(address: string): boolean {
    for (const link of this.#links.values()) if (link.peerAddress === address) return true;
    return false;
  }

  #inUse(address: string): boolean {
    if (this.#isLinked(address)) return true;
    for (const attempt of this.#attempts) if (attempt.address === address) return true;
    return false;
  }

  // Scanning

  #wantsScan(): boolean {
    if (this.#onSighting !== undefined) return true;
    for (const attempt of this.#attempts)
      if (this.#sightings.idOf(attempt.address) === undefined) return true;
    return false;
  }

  async #resumeScan(): Promise<boolean> {
    if (this.#scanning || this.#running || this.#closed !== undefined) return true;
    this.#scanning = true;
    this.#heardAt = performance.now();
    const started = eventWithin(this.#library.events, 'scanStart', SCAN_DEADLINE_MS);
    return this.#beginScan() && (await started);
  }

  /** GUARD(N16): the library throws when the controller is off or has turned out to be without LE. The watch tries again. */
  #beginScan(): boolean {
    this.#scanEndedByOther = false;
    try {
      this.#library.startScan();
      return true;
    } catch {
      return false;
    }
  }

  async #pauseScan(): Promise<void> {
    if (!this.#scanning) return;
    this.#scanning = false;
    this.#scanEndedAt = performance.now();
    const stopped = eventWithin(this.#library.events, 'scanStop', CANCEL_DEADLINE_MS);
    this.#library.stopScan();
    await stopped;
    this.#scanEndedAt = performance.now();
  }

  /** GUARD(N15): controllers stop a scan without a word, silence is the only sign; of other programs the kernel tells us. */
  #watchScan(): void {
    if (!this.#scanning) return;
    if (!this.#scanEndedByOther && performance.now() - this.#heardAt < this.#scanSilenceMs) return;
    this.#scanAgain();
  }

  #scanAgain(): void {
    this.#heardAt = performance.now();
    this.#beginScan(); // disables first
  }

  #discovered(peripheral: NoblePeripheral): void {
    if (this.#closed !== undefined) return;
    const sighting = toSighting(peripheral);
    const isNew = this.#sightings.idOf(sighting.address) === undefined;
    this.#sightings.note(sighting.address, peripheral.id);
    if (isNew) {
      for (const attempt of this.#attempts) if (attempt.address === sighting.address) this.#enqueue(attempt);
    }
    try {
      this.#onSighting?.(sighting);
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  }

  // Connecting

  #enqueue(attempt: Attempt): void {
    this.#queue.push(attempt);
    this.#turn.endSoon();
    if (!this.#running) void this.#runQueue();
  }

  async #runQueue(): Promise<void> {
    this.#running = true;
    try {
      // N15: many controllers refuse or break a connection that is begun while they scan.
      await this.#pauseScan();
      const restMs = this.#scanEndedAt + this.adapter.settings.settleMs - performance.now();
      if (restMs > 0) await delay(restMs);
      for (let attempt = this.#queue.shift(); attempt !== undefined; attempt = this.#queue.shift()) {
        if (!attempt.settled) await this.#takeTurn(attempt);
      }
    } finally {
      this.#running = false;
    }
    if (this.#wantsScan()) void this.#resumeScan();
  }

  async #takeTurn(attempt: Attempt): Promise<void> {
    attempt.tries++;
    const created = await this.#createConnection(attempt);
    if (created === undefined) {
      attempt.tries--; // its turn ended, nothing failed
      if (!attempt.settled) this.#queue.push(attempt);
    } else if (created.status === ERROR_FAILED_TO_ESTABLISH && attempt.tries < MAX_TRIES) {
      if (!attempt.settled) this.#queue.push(attempt);
    } else if (created.status !== 0) {
      const full = created.status === ERROR_CONNECTION_LIMIT || created.status === ERROR_LIMITED_RESOURCES;
      if (full) this.#fullUntil = performance.now() + FULL_MS;
      this.#fail(
        attempt,
        new CpnsError(full ? 'busy' : 'link-lost', `HCI status 0x${created.status.toString(16)}`),
      );
    } else {
      void this.#openLink(attempt, created.handle);
    }
  }

  /** @returns undefined when its turn was over or it was given up */
  async #createConnection(attempt: Attempt): Promise<Created | undefined> {
    const id = this.#sightings.idOf(attempt.address);
    if (id === undefined) return { status: ERROR_FAILED_TO_ESTABLISH, handle: 0 };
    this.#creating = attempt;
    const created = await this.#turn.create(id, this.#queue.length > 0);
    this.#creating = undefined;
    if (created?.status !== 0 || !attempt.settled) return created;
    this.#transport.disconnectHandle(created.handle, REASON_USER_ENDED); // it came through while it was cancelled
    return undefined;
  }

  #connected(status: number, handle: number, role: number | undefined): void {
    if (role === 1) return;
    if (!this.#turn.complete({ status, handle }) && status === 0)
      this.#transport.disconnectHandle(handle, REASON_USER_ENDED);
  }

  async #openLink(attempt: Attempt, handle: number): Promise<void> {
    const stream = this.#library.aclStreamOf(handle);
    if (stream === undefined) return this.#fail(attempt, new CpnsError('link-lost'));
    const link = new CentralLink(this.#library.hci, stream, handle, attempt.address);
    this.#links.set(handle, link);
    try {
      const uuids = { service: CPNS_SERVICE_UUID, up: CPNS_UP_UUID, down: CPNS_DOWN_UUID };
      link.opened(await openService(link.att, uuids));
      if (attempt.settled) throw new CpnsError('timeout');
      this.#settle(attempt);
      attempt.resolve(link);
    } catch (error) {
      const reason = link.endedWith;
      await link.close();
      // 0x3e after a success is how a controller reports that the peer never answered: worth another try at once.
      if (reason === ERROR_FAILED_TO_ESTABLISH && attempt.tries < MAX_TRIES && !attempt.settled)
        this.#enqueue(attempt);
      else this.#fail(attempt, error instanceof Error ? error : new CpnsError('internal'));
    }
  }

  /** GUARD(N14): what waits for a peer that is gone is told so. */
  #disconnected(handle: number, reason: number): void {
    const link = this.#links.get(handle);
    if (link !== undefined) this.#drop(link, reason);
  }

  #drop(link: CentralLink, reason: number): void {
    this.#links.delete(link.handle);
    this.#fullUntil = 0;
    link.end(reason);
    link.att.end(new CpnsError('link-lost', `HCI reason 0x${reason.toString(16)}`));
  }

  #settle(attempt: Attempt): void {
    attempt.settled = true;
    clearTimeout(attempt.timer);
    this.#attempts.delete(attempt);
  }

  #fail(attempt: Attempt, error: Error): void {
    if (attempt.settled) return;
    this.#settle(attempt);
    if (this.#creating === attempt) this.#turn.cancel();
    for (const link of this.#links.values()) {
      if (link.peerAddress === attempt.address) link.att.end(error); // its #openLink closes it
    }
    attempt.reject(error);
  }
}
