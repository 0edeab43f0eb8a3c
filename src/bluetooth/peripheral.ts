/**
 * The Peripheral port over a library that drives the controller (peripheral-abandonware.ts, peripheral-stoprocent.ts).
 * Owns what is advertised and when: with as many centrals as there may be advertising stops, and it resumes when one has
 * gone; a refusal by the controller is told or tried again.
 */
import type { EventEmitter } from 'node:events';
import { CpnsError } from '../base/errors.ts';
import type { ChosenProfile } from './adapter-profile.ts';
import { advertisingData, scanResponse } from './advertising-data.ts';
import { eventWithin } from './deadline.ts';
import type { BlenoHci } from './guards/bleno.ts';
import type { LibraryAclStream } from './guards/library.ts';
import { formatAddress } from './hci/own-address.ts';
import {
  type HciTransport,
  REASON_USER_ENDED,
  type ReadyTransport,
  type TransportOptions,
} from './hci/transport.ts';
import { notPoweredOn } from './hci/unavailable.ts';
import { loadOn } from './load-library.ts';
import { PeripheralLink, type ValueHandles } from './peripheral-link.ts';
import type { Advertisement, GattLink, Peripheral } from './ports.ts';
import { SERVICE_DATA_BYTES } from './sightings.ts';

export interface PeripheralOptions extends TransportOptions {
  /**
   * A central that has not subscribed this long after it connected is dropped, and the next one is given half of it, down
   * to a fifth, until one subscribes: whoever only holds the one link is to hold it less and less. Default 10,000 ms.
   */
  readonly subscribeDeadlineMs?: number | undefined;
  /** Links at a time, at least 1; the back-end may grant fewer (`Peripheral.maxLinks`). Default 1. */
  readonly maxLinks?: number | undefined;
  /** The controller vanished; the link has been closed and every later call fails. */
  readonly onGone?: ((error: Error | undefined) => void) | undefined;
}

const POWER_ON_DEADLINE_MS = 5000;
const ADVERTISING_DEADLINE_MS = 2000;
const LEAST_PATIENCE = 1 / 5;
/** Subscriptions of one connection: one that begins anew for ever would keep all others away for ever. */
const MAX_SUBSCRIPTIONS = 3;
const ADVERTISE_ENABLE = 0x200a;
/** Another program, or a kernel that goes to sleep, has just ended our advertising: not at once, or it would not sleep. */
const BACK_ON_AIR_MS = 1000;
const RETRY_FIRST_MS = 250;
const RETRY_LONGEST_MS = 4000;

/** What the service's two characteristics are told, by connection handle. */
export interface ServiceEvents {
  onWrite(handle: number, data: Buffer): void;
  onSubscribe(handle: number, maxValueBytes: number): void;
  onUnsubscribe(handle: number): void;
}

/** One private copy of a library with its guards on: all that the peripheral asks of it. */
export interface PeripheralLibrary {
  /**
   * `stateChange` (a listener for it starts the library), `advertisingStart` (Error | null | undefined),
   * `advertisingStartError` (Error), `advertisingStop`.
   */
  readonly events: EventEmitter;
  /** `leConnComplete` (status, handle, role, address type, address), `disconnComplete` (handle, reason). */
  readonly hci: BlenoHci;
  /** Centrals that it lets in at a time. */
  readonly maxLinks: number;
  isPoweredOn(): boolean;
  /** Puts the CPNS service into the attribute table. @returns the handles of its two values */
  serve(events: ServiceEvents): ValueHandles;
  /** Its outcome is the next of the three events. It must not start again by itself. May throw. */
  startAdvertising(advertisement: Buffer, scanResponse: Buffer): void;
  stopAdvertising(): void;
  aclStreamOf(handle: number): LibraryAclStream | undefined;
  /** Leaves nothing of it on the process. */
  release(): void;
}

export type LoadPeripheral = (transport: HciTransport, maxLinks: number) => PeripheralLibrary;

/**
 * A peripheral on a controller that is open; the transport is the peripheral's from now on. It advertises nothing yet.
 * @throws BluetoothUnavailableError (with `.mend`), RangeError on an option out of range
 */
export async function peripheralOn(
  load: LoadPeripheral,
  transport: ReadyTransport,
  options: PeripheralOptions,
): Promise<Peripheral> {
  const library = loadOn(transport, () => load(transport, grantedLinks(transport, options)));
  if (!(await eventWithin(library.events, 'stateChange', POWER_ON_DEADLINE_MS)) || !library.isPoweredOn()) {
    library.release();
    transport.close();
    throw notPoweredOn(transport.name);
  }
  return new LibraryPeripheral(library, transport, options);
}

function grantedLinks(transport: ReadyTransport, { maxLinks = 1 }: PeripheralOptions): number {
  if (!(Number.isInteger(maxLinks) && maxLinks >= 1)) throw new RangeError('maxLinks is at least 1');
  return Math.min(maxLinks, transport.chosen.settings.links ?? maxLinks);
}

/** One central that is connected. */
interface Connected {
  readonly address: string;
  subscribeTimer: NodeJS.Timeout;
  subscriptions: number;
  link: PeripheralLink | undefined;
}

class LibraryPeripheral implements Peripheral {
  readonly maxLinks: number;
  onLink: (link: GattLink) => void = (link) => void link.close();
  readonly adapter: ChosenProfile;
  readonly #library: PeripheralLibrary;
  readonly #transport: HciTransport;
  readonly #subscribeDeadlineMs: number;
  readonly #randomAddress: boolean;
  readonly #values: ValueHandles;
  #wanted: Advertisement | undefined;
  #advertising: Advertisement | undefined;
  /** What was on the air last. */
  #shown: Advertisement | undefined;
  /** The controller has not said, or not in time, whether it advertises: it is stopped before anything else. */
  #unsure = false;
  /** Advertising commands one after the other; never rejects. */
  #work: Promise<void> = Promise.resolve();
  #retryMs = RETRY_FIRST_MS;
  #retry: NodeJS.Timeout | undefined;
  /** What the next central is given. */
  #patienceMs: number;
  /** How often a central has connected. */
  #accepts = 0;
  /** Centrals by connection handle. */
  readonly #connected = new Map<number, Connected>();
  #closed: Error | undefined;

  constructor(library: PeripheralLibrary, transport: ReadyTransport, options: PeripheralOptions) {
    this.adapter = transport.chosen;
    this.maxLinks = library.maxLinks;
    this.#library = library;
    this.#transport = transport;
    this.#subscribeDeadlineMs = options.subscribeDeadlineMs ?? 10_000;
    this.#patienceMs = this.#subscribeDeadlineMs;
    this.#randomAddress = options.randomAddress === true;
    this.#values = library.serve({
      onWrite: (handle, data) => this.#connected.get(handle)?.link?.deliver(data),
      onSubscribe: (handle, maxValueBytes) => this.#subscribed(handle, maxValueBytes),
      onUnsubscribe: (handle) => this.#unsubscribed(handle),
    });
    this.#tellOwnAddress();
    const { hci, events } = library;
    hci.on('leConnComplete', (status: number, handle: number, role: number, _: string, address: string) => {
      if (status === 0 && role === 1) this.#accepted(handle, address);
    });
    // First: what the library then says of that link is no longer about a link of ours.
    hci.prependListener('disconnComplete', (handle: number, reason: number) =>
      this.#disconnected(handle, reason),
    );
    events.on('stateChange', (state: string) => {
      if (state === 'poweredOn') return;
      for (const handle of [...this.#connected.keys()]) this.#disconnected(handle, 0);
    });
    transport.on('overheard', (opcode: number, enable: number) => {
      if (opcode === ADVERTISE_ENABLE && enable === 0) this.#takenOffAir();
    });
    transport.on('gone', (error: Error | undefined) => {
      this.#shut(new CpnsError('link-lost', 'the Bluetooth controller is gone'));
      options.onGone?.(error);
    });
  }

  async startAdvertising(advertisement: Advertisement): Promise<void> {
    if (advertisement.serviceData.length !== SERVICE_DATA_BYTES) {
      throw new RangeError(`the service data has ${SERVICE_DATA_BYTES} bytes`);
    }
    if (this.#closed !== undefined) throw this.#closed;
    this.#wanted = { serviceData: Uint8Array.from(advertisement.serviceData) };
    const refusal = await this.#settleAdvertising();
    if (refusal !== undefined) throw refusal;
  }

  async stopAdvertising(): Promise<void> {
    this.#wanted = undefined;
    if (this.#closed === undefined) await this.#settleAdvertising();
  }

  answers(): Promise<boolean> {
    return this.#transport.answers();
  }

  afterSleep(): Promise<void> {
    return this.#transport.endLostLinks();
  }

  async close(): Promise<void> {
    if (this.#closed !== undefined) return;
    this.#wanted = undefined;
    await this.#settleAdvertising();
    const shutting = new CpnsError('shutting-down');
    this.#closed = shutting;
    for (const [handle, { link }] of this.#connected) if (link === undefined) this.#hangUp(handle);
    await Promise.all([...this.#connected.values()].map(({ link }) => link?.close()));
    this.#shut(shutting);
  }

  #shut(error: Error): void {
    this.#closed ??= error;
    this.#wanted = undefined;
    clearTimeout(this.#retry);
    for (const { subscribeTimer, link } of this.#connected.values()) {
      clearTimeout(subscribeTimer);
      link?.end(0);
    }
    this.#connected.clear();
    this.#library.release();
    this.#transport.close();
  }

  // Advertising

  /** Makes what is on the air what is wanted. @returns the controller's refusal, if any */
  #settleAdvertising(): Promise<Error | undefined> {
    const done = this.#work.then(() => this.#applyAdvertising());
    this.#work = done.then(() => {});
    return done;
  }

  async #applyAdvertising(): Promise<Error | undefined> {
    clearTimeout(this.#retry);
    if (this.#closed !== undefined) return undefined;
    const wanted = this.#wanted;
    const replaced = this.#advertising !== undefined && this.#advertising !== wanted;
    if (replaced || this.#unsure) await this.#stopOnAir();
    // With as many centrals as there may be there is nothing to start: it begins again when one has gone.
    if (wanted === undefined || wanted === this.#advertising || this.#isFull()) return undefined;
    const refusal = await this.#startOnAir(wanted);
    this.#unsure = refusal !== undefined;
    if (refusal === undefined) {
      this.#retryMs = RETRY_FIRST_MS;
      return undefined;
    }
    this.#retry = setTimeout(() => void this.#settleAdvertising(), this.#retryMs).unref();
    this.#retryMs = Math.min(RETRY_LONGEST_MS, this.#retryMs * 2);
    return refusal;
  }

  /**
   * GUARD(B6): bleno reports a refusal as another event than the one its callback waits for. Our own AD bytes go out:
   * 21 bytes of advertisement, 31 of scan response, checked by length here, never names.
   */
  async #startOnAir(wanted: Advertisement): Promise<Error | undefined> {
    try {
      // A new pseudonym under an old address, or the other way round, would tie the two together. While centrals are
      // linked the same data stays under the address that others have seen.
      if (this.#randomAddress && !(this.#shown === wanted && this.#connected.size > 0))
        await this.#transport.rotateAddress();
    } catch (cause) {
      return new CpnsError('internal', 'the controller refused a new random address', { cause });
    }
    this.#tellOwnAddress();
    const connectedBefore = this.#accepts;
    this.#shown = wanted;
    const outcome = await this.#advertisingOutcome(() =>
      this.#library.startAdvertising(advertisingData(), scanResponse(wanted.serviceData)),
    );
    if (outcome !== undefined) return outcome;
    // A central may have connected meanwhile; that ended it.
    if (connectedBefore === this.#accepts) this.#advertising = wanted;
    return undefined;
  }

  #advertisingOutcome(start: () => void): Promise<Error | undefined> {
    return new Promise((resolve) => {
      const settle = (outcome: Error | undefined): void => {
        clearTimeout(timer);
        this.#library.events.off('advertisingStart', onStart);
        this.#library.events.off('advertisingStartError', onError);
        resolve(outcome);
      };
      const onStart = (error?: Error | null): void => (error ? onError(error) : settle(undefined));
      const onError = (cause: Error): void =>
        settle(new CpnsError('internal', `the controller refused to advertise: ${cause.message}`, { cause }));
      const timer = setTimeout(
        () => settle(new CpnsError('timeout', 'advertising')),
        ADVERTISING_DEADLINE_MS,
      );
      this.#library.events.on('advertisingStart', onStart);
      this.#library.events.on('advertisingStartError', onError);
      try {
        start();
      } catch (error) {
        // GUARD(B8): bleno throws when the controller has turned out to be off or without LE.
        onError(error instanceof Error ? error : new Error(String(error)));
      }
    });
  }

  async #stopOnAir(): Promise<void> {
    this.#advertising = undefined;
    const stopped = eventWithin(this.#library.events, 'advertisingStop', ADVERTISING_DEADLINE_MS);
    this.#library.stopAdvertising();
    this.#unsure = !(await stopped);
  }

  #takenOffAir(): void {
    if (this.#advertising === undefined) return;
    this.#advertising = undefined;
    this.#unsure = true;
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => void this.#settleAdvertising(), BACK_ON_AIR_MS).unref();
  }

  /** Both libraries compute pairing values over their address and believe that it is always the public one. */
  #tellOwnAddress(): void {
    const { ownAddress } = this.#transport;
    if (ownAddress === undefined) return;
    this.#library.hci.address = formatAddress(ownAddress);
    this.#library.hci.addressType = 'random';
  }

  // Links

  #isFull(): boolean {
    return this.#connected.size >= this.maxLinks;
  }

  #accepted(handle: number, address: string): void {
    this.#accepts++;
    const connected: Connected = {
      address,
      subscribeTimer: this.#awaitSubscription(handle, this.#patienceMs),
      subscriptions: 0,
      link: undefined,
    };
    this.#connected.set(handle, connected);
    this.#advertising = undefined; // the controller stopped it
    this.#patienceMs = Math.max(LEAST_PATIENCE * this.#subscribeDeadlineMs, this.#patienceMs / 2);
    const stream = this.#library.aclStreamOf(handle);
    if (stream !== undefined) PeripheralLink.takeSegments(stream, this.#values.up, () => connected.link);
    if (this.#wanted !== undefined && !this.#isFull()) void this.#settleAdvertising();
  }

  #awaitSubscription(handle: number, patienceMs: number): NodeJS.Timeout {
    return setTimeout(() => this.#hangUp(handle), patienceMs).unref();
  }

  #subscribed(handle: number, maxValueBytes: number): void {
    const connected = this.#connected.get(handle);
    if (connected === undefined || connected.link !== undefined) return;
    // Being hung up on takes a moment.
    if (connected.subscriptions >= MAX_SUBSCRIPTIONS) return;
    connected.subscriptions++;
    clearTimeout(connected.subscribeTimer);
    this.#patienceMs = this.#subscribeDeadlineMs;
    const link = new PeripheralLink(
      this.#library.hci,
      this.#transport,
      handle,
      connected.address,
      maxValueBytes,
      this.#values.down,
    );
    connected.link = link;
    // The library answers the subscription in this very turn, and a client may miss what comes before that answer:
    // bluetoothd, and whoever uses it, do.
    setImmediate(() => {
      if (this.#connected.get(handle) === connected && connected.link === link) this.onLink(link);
    });
  }

  /** The central begins anew (docs/protocol.md §2.1), or is about to go. */
  #unsubscribed(handle: number): void {
    const connected = this.#connected.get(handle);
    if (connected?.link === undefined) return;
    const { link } = connected;
    connected.link = undefined;
    const patience = connected.subscriptions < MAX_SUBSCRIPTIONS ? LEAST_PATIENCE : 0;
    connected.subscribeTimer = this.#awaitSubscription(handle, patience * this.#subscribeDeadlineMs);
    link.end(0);
  }

  #hangUp(handle: number): void {
    if (this.#connected.has(handle)) this.#transport.disconnectHandle(handle, REASON_USER_ENDED);
  }

  #disconnected(handle: number, reason: number): void {
    const connected = this.#connected.get(handle);
    if (connected === undefined) return;
    clearTimeout(connected.subscribeTimer);
    this.#connected.delete(handle);
    connected.link?.end(reason);
    if (this.#wanted !== undefined) void this.#settleAdvertising();
  }
}
