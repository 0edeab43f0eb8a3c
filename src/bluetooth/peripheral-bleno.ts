/**
 * The Peripheral port on @abandonware/bleno; the only file that loads it. Owns the GATT service, what is advertised and
 * when: advertising stops with a link and resumes after it, and a refusal by the controller is told or tried again.
 */
import { CpnsError } from '../base/errors.ts';
import type { ChosenProfile } from './adapter-profile.ts';
import { attUuid } from './att.ts';
import { eventWithin } from './deadline.ts';
import { CPNS_DOWN_UUID, CPNS_SERVICE_UUID, CPNS_UP_UUID } from './gatt-service.ts';
import { type Bleno, type BlenoBindings, guardBleno, valueHandleOf } from './guards/bleno.ts';
import { formatAddress } from './hci/own-address.ts';
import {
  type HciTransport,
  openTransport,
  REASON_USER_ENDED,
  type ReadyTransport,
  type TransportOptions,
} from './hci/transport.ts';
import { notPoweredOn } from './hci/unavailable.ts';
import { loadPrivately } from './load-library.ts';
import { PeripheralLink, type ValueHandles } from './peripheral-link.ts';
import type { Advertisement, GattLink, Peripheral } from './ports.ts';
import { SERVICE_DATA_BYTES } from './sightings.ts';

export interface PeripheralOptions extends TransportOptions {
  /**
   * A central that has not subscribed this long after it connected is dropped, and the next one is given half of it, down
   * to a fifth, until one subscribes: whoever only holds the one link is to hold it less and less. Default 10,000 ms.
   */
  readonly subscribeDeadlineMs?: number | undefined;
  /** The controller vanished; the link has been closed and every later call fails. */
  readonly onGone?: ((error: Error | undefined) => void) | undefined;
}

const POWER_ON_DEADLINE_MS = 5000;
const ADVERTISING_DEADLINE_MS = 2000;
const LEAST_PATIENCE = 1 / 5;
const RETRY_FIRST_MS = 250;
const RETRY_LONGEST_MS = 4000;
/** A constant: bleno puts the host's name there, and BlueZ shows it to everybody near. */
const GAP_DEVICE_NAME = 'CPNS';
const DEVICE_NAME_VARIABLE = 'BLENO_DEVICE_NAME';

/** A private copy of bleno, as it comes: without any guard and not yet initialised. */
export function loadBleno(transport: HciTransport): Bleno {
  return withDeviceName(() =>
    loadPrivately('@abandonware/bleno', transport, (requireFile) => requireFile('index.js') as Bleno),
  );
}

/** bleno reads the name from the environment when it builds its attribute table. */
function withDeviceName<T>(run: () => T): T {
  const before = process.env[DEVICE_NAME_VARIABLE];
  process.env[DEVICE_NAME_VARIABLE] = GAP_DEVICE_NAME;
  try {
    return run();
  } finally {
    if (before === undefined) delete process.env[DEVICE_NAME_VARIABLE];
    else process.env[DEVICE_NAME_VARIABLE] = before;
  }
}

/**
 * Opens a peripheral on the controller that a moniker names. It advertises nothing yet.
 * @throws MonikerError, ProfileError, BluetoothUnavailableError (with `.mend`)
 */
export async function openPeripheral(moniker: string, options: PeripheralOptions = {}): Promise<Peripheral> {
  return peripheralOn(await openTransport(moniker, options), options);
}

/** A peripheral on a controller that is open; the transport is the peripheral's from now on. */
export async function peripheralOn(
  transport: ReadyTransport,
  options: PeripheralOptions,
): Promise<Peripheral> {
  const bleno = loadBleno(transport);
  const release = guardBleno(bleno, transport);
  const poweredOn = eventWithin(bleno, 'stateChange', POWER_ON_DEADLINE_MS);
  bleno.on('stateChange', () => {}); // this initialises bleno
  if (!(await poweredOn) || bleno.state !== 'poweredOn') {
    release();
    transport.close();
    throw notPoweredOn(transport.name);
  }
  return new BlenoPeripheral(bleno, transport, options, release);
}

class BlenoPeripheral implements Peripheral {
  onLink: (link: GattLink) => void = (link) => void link.close();
  readonly adapter: ChosenProfile;
  readonly #bleno: Bleno;
  readonly #bindings: BlenoBindings;
  readonly #transport: HciTransport;
  readonly #release: () => void;
  readonly #subscribeDeadlineMs: number;
  readonly #randomAddress: boolean;
  readonly #values: ValueHandles;
  #wanted: Advertisement | undefined;
  #advertising: Advertisement | undefined;
  /** The controller has not said, or not in time, whether it advertises: it is stopped before anything else. */
  #unsure = false;
  /** Advertising commands one after the other; never rejects. */
  #work: Promise<void> = Promise.resolve();
  #retryMs = RETRY_FIRST_MS;
  #retry: NodeJS.Timeout | undefined;
  #subscribeTimer: NodeJS.Timeout | undefined;
  /** What the next central is given. */
  #patienceMs: number;
  #connectedHandle: number | undefined;
  #connectedAddress = '';
  #link: PeripheralLink | undefined;
  #closed: Error | undefined;

  constructor(bleno: Bleno, transport: ReadyTransport, options: PeripheralOptions, release: () => void) {
    this.adapter = transport.chosen;
    this.#bleno = bleno;
    this.#bindings = bleno._bindings;
    this.#transport = transport;
    this.#release = release;
    this.#subscribeDeadlineMs = options.subscribeDeadlineMs ?? 10_000;
    this.#patienceMs = this.#subscribeDeadlineMs;
    this.#randomAddress = options.randomAddress === true;
    withDeviceName(() => bleno.setServices([this.#service()]));
    this.#values = {
      up: valueHandleOf(this.#bindings, CPNS_UP_UUID),
      down: valueHandleOf(this.#bindings, CPNS_DOWN_UUID),
    };
    this.#tellOwnAddress();
    const hci = this.#bindings._hci;
    hci.on('leConnComplete', (status: number, handle: number, role: number, _: string, address: string) => {
      if (status === 0 && role === 1) this.#connected(handle, address);
    });
    hci.on('disconnComplete', (handle: number, reason: number) => this.#disconnected(handle, reason));
    bleno.on('stateChange', (state: string) => {
      if (state !== 'poweredOn' && this.#connectedHandle !== undefined)
        this.#disconnected(this.#connectedHandle, 0);
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

  async close(): Promise<void> {
    if (this.#closed !== undefined) return;
    this.#wanted = undefined;
    await this.#settleAdvertising();
    const shutting = new CpnsError('shutting-down');
    this.#closed = shutting;
    if (this.#link !== undefined) await this.#link.close();
    else this.#hangUp();
    this.#shut(shutting);
  }

  #shut(error: Error): void {
    this.#closed ??= error;
    this.#wanted = undefined;
    clearTimeout(this.#retry);
    clearTimeout(this.#subscribeTimer);
    this.#link?.end(0);
    this.#release();
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
    // With a central connected there is nothing to start: it begins again when that one has gone.
    if (wanted === undefined || wanted === this.#advertising || this.#connectedHandle !== undefined)
      return undefined;
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
      // A new pseudonym under an old address, or the other way round, would tie the two together.
      if (this.#randomAddress) await this.#transport.rotateAddress();
    } catch (cause) {
      return new CpnsError('internal', 'the controller refused a new random address', { cause });
    }
    this.#tellOwnAddress();
    const outcome = await this.#advertisingOutcome(() =>
      this.#bleno.startAdvertisingWithEIRData(advertisingData(), scanResponse(wanted.serviceData)),
    );
    // bleno restarts by itself after a link and takes no notice of a refusal; this class does that.
    this.#bindings._advertising = false;
    if (outcome !== undefined) return outcome;
    if (this.#connectedHandle === undefined) this.#advertising = wanted;
    return undefined;
  }

  #advertisingOutcome(start: () => void): Promise<Error | undefined> {
    return new Promise((resolve) => {
      const settle = (outcome: Error | undefined): void => {
        clearTimeout(timer);
        this.#bleno.off('advertisingStart', onStart);
        this.#bleno.off('advertisingStartError', onError);
        resolve(outcome);
      };
      const onStart = (): void => settle(undefined);
      const onError = (cause: Error): void =>
        settle(new CpnsError('internal', `the controller refused to advertise: ${cause.message}`, { cause }));
      const timer = setTimeout(
        () => settle(new CpnsError('timeout', 'advertising')),
        ADVERTISING_DEADLINE_MS,
      );
      this.#bleno.on('advertisingStart', onStart);
      this.#bleno.on('advertisingStartError', onError);
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
    const stopped = eventWithin(this.#bleno, 'advertisingStop', ADVERTISING_DEADLINE_MS);
    this.#bleno.stopAdvertising();
    this.#unsure = !(await stopped);
  }

  /** bleno computes pairing values over its address and believes that it is always the public one. */
  #tellOwnAddress(): void {
    const { ownAddress } = this.#transport;
    if (ownAddress === undefined) return;
    this.#bindings._hci.address = formatAddress(ownAddress);
    this.#bindings._hci.addressType = 'random';
  }

  // Links

  #service(): object {
    const up = new this.#bleno.Characteristic({
      uuid: CPNS_UP_UUID,
      properties: ['writeWithoutResponse'],
      onWriteRequest: (data, _offset, _withoutResponse, answer) => {
        this.#link?.deliver(data);
        answer(0);
      },
    });
    const down = new this.#bleno.Characteristic({
      uuid: CPNS_DOWN_UUID,
      properties: ['notify'],
      onSubscribe: (maxValueSize) => this.#subscribed(maxValueSize),
      onUnsubscribe: () => this.#hangUp(),
    });
    return new this.#bleno.PrimaryService({
      uuid: CPNS_SERVICE_UUID.replaceAll('-', ''),
      characteristics: [up, down],
    });
  }

  #connected(handle: number, address: string): void {
    this.#connectedHandle = handle;
    this.#connectedAddress = address;
    this.#advertising = undefined; // the controller stopped it
    const stream = this.#bindings._aclStream;
    if (stream !== null) PeripheralLink.takeSegments(stream, this.#values.up, () => this.#link);
    this.#subscribeTimer = setTimeout(() => this.#hangUp(), this.#patienceMs).unref();
    this.#patienceMs = Math.max(LEAST_PATIENCE * this.#subscribeDeadlineMs, this.#patienceMs / 2);
  }

  #subscribed(maxValueSize: number): void {
    if (this.#connectedHandle === undefined || this.#link !== undefined) return;
    clearTimeout(this.#subscribeTimer);
    this.#patienceMs = this.#subscribeDeadlineMs;
    this.#link = new PeripheralLink(
      this.#bindings._hci,
      this.#transport,
      this.#connectedHandle,
      this.#connectedAddress,
      maxValueSize,
      this.#values.down,
    );
    try {
      this.onLink(this.#link);
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  }

  #hangUp(): void {
    if (this.#connectedHandle !== undefined)
      this.#transport.disconnectHandle(this.#connectedHandle, REASON_USER_ENDED);
  }

  #disconnected(handle: number, reason: number): void {
    if (handle !== this.#connectedHandle) return;
    clearTimeout(this.#subscribeTimer);
    this.#connectedHandle = undefined;
    const link = this.#link;
    this.#link = undefined;
    link?.end(reason);
    if (this.#wanted !== undefined) void this.#settleAdvertising();
  }
}

/** Flags (general discoverable, no BR/EDR) and the complete list of one 128-bit service UUID: 21 bytes. */
export function advertisingData(): Buffer {
  return Buffer.concat([Buffer.from([2, 0x01, 0x06, 17, 0x07]), attUuid(CPNS_SERVICE_UUID)]);
}

/** Service Data of the 128-bit UUID with 13 bytes: 31 bytes, all that a scan response holds. */
export function scanResponse(serviceData: Uint8Array): Buffer {
  return Buffer.concat([
    Buffer.from([17 + serviceData.length, 0x21]),
    attUuid(CPNS_SERVICE_UUID),
    serviceData,
  ]);
}
