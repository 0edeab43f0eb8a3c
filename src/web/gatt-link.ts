/**
 * A GATT link over Web Bluetooth: the page is the central, a gateway the peripheral. Owns choosing, connecting, the two
 * characteristics and the order of writes; must not know what a segment holds.
 * What a browser adds to the contract of src/bluetooth/ports.ts: operations are made one at a time; a connect that hangs
 * is ended by asking to disconnect; a link made right after another may be cut at once, so that connecting, discovery and
 * the peripheral's first word are tried again as one.
 */
import type { Bytes } from '../base/bytes.ts';
import { CpnsError } from '../base/errors.ts';
import {
  CPNS_DOWN_UUID,
  CPNS_SERVICE_UUID,
  CPNS_UP_UUID,
  MAX_SEGMENT_BYTES,
} from '../bluetooth/gatt-service.ts';
import { SegmentLink } from '../bluetooth/segment-link.ts';

const TRIES = 3;
/** The platform keeps a link for about two seconds after a page gave it up. */
const AGAIN_AFTER_MS = 2_500;
const CONNECT_WITHIN_MS = 10_000;
const FIRST_SEGMENT_WITHIN_MS = 3_000;
/** A peripheral speaks at once; after so long its first word came before anybody listened. */
const SPOKEN_WITHIN_MS = 500;
/** How long a goodbye waits for writes that are under way. */
const WRITES_WITHIN_MS = 500;

/** Shows the browser's chooser, which needs a click. @returns undefined when nothing was chosen */
export async function chooseGateway(bluetooth: Bluetooth): Promise<BluetoothDevice | undefined> {
  try {
    return await bluetooth.requestDevice({ filters: [{ services: [CPNS_SERVICE_UUID] }] });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'NotFoundError') return undefined;
    throw error;
  }
}

/**
 * Connects, discovers, subscribes, and waits for the peripheral's first segment.
 * @param pauseMs between tries
 * @throws CpnsError `not-found` (no CPNS service), `timeout`, `link-lost`
 */
export async function connectGateway(
  device: BluetoothDevice,
  pauseMs = AGAIN_AFTER_MS,
): Promise<WebGattLink> {
  for (let tries = 1; ; tries++) {
    try {
      return await connectOnce(device);
    } catch (error) {
      device.gatt?.disconnect();
      if (tries === TRIES || statusOfRefusal(error) === 'not-found') throw refusalOf(error);
    }
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}

async function connectOnce(device: BluetoothDevice): Promise<WebGattLink> {
  if (!device.gatt) throw new CpnsError('not-found', 'a device without GATT');
  const { up, down } = await within(CONNECT_WITHIN_MS, discover(device.gatt));
  const link = new WebGattLink(device, up, down);
  try {
    await within(FIRST_SEGMENT_WITHIN_MS, link.begin());
    return link;
  } catch (error) {
    void link.close();
    throw error;
  }
}

async function discover(gatt: BluetoothRemoteGATTServer) {
  const server = await gatt.connect();
  const service = await server.getPrimaryService(CPNS_SERVICE_UUID);
  const up = await service.getCharacteristic(CPNS_UP_UUID);
  const down = await service.getCharacteristic(CPNS_DOWN_UUID);
  return { up, down };
}

async function within<T>(limitMs: number, work: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const limit = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new CpnsError('timeout')), limitMs);
  });
  try {
    return await Promise.race([work, limit]);
  } finally {
    clearTimeout(timer);
  }
}

function statusOfRefusal(error: unknown): 'not-found' | 'timeout' | 'link-lost' {
  if (error instanceof CpnsError && error.status === 'timeout') return 'timeout';
  if (error instanceof CpnsError && error.status === 'not-found') return 'not-found';
  return error instanceof DOMException && error.name === 'NotFoundError' ? 'not-found' : 'link-lost';
}

function refusalOf(cause: unknown): CpnsError {
  const detail = cause instanceof DOMException ? cause.name : 'Web Bluetooth';
  return new CpnsError(statusOfRefusal(cause), detail, { cause });
}

export class WebGattLink extends SegmentLink {
  readonly side = 'central';
  /** A browser tells no address; this is the name it gives the device on this site. */
  readonly peerAddress: string;
  /**
   * What the page states in its OPEN. The ATT MTU is hidden from it, but nothing is sent before the peripheral's OPEN,
   * which states what this link carries (docs/protocol.md §2.1), and the lower of the two counts.
   */
  readonly maxSegmentBytes = MAX_SEGMENT_BYTES;
  readonly #device: BluetoothDevice;
  readonly #up: BluetoothRemoteGATTCharacteristic;
  readonly #down: BluetoothRemoteGATTCharacteristic;
  readonly #onValue = () => this.#take();
  readonly #onDisconnected = () => this.end(0);
  /** The writes so far; each waits for the one before. */
  #written: Promise<void> = Promise.resolve();
  #spoken: (() => void) | undefined;
  /** What comes is of a subscription that was given up. */
  #deaf = false;
  #lost: (() => void) | undefined;

  constructor(
    device: BluetoothDevice,
    up: BluetoothRemoteGATTCharacteristic,
    down: BluetoothRemoteGATTCharacteristic,
  ) {
    super();
    this.#device = device;
    this.#up = up;
    this.#down = down;
    this.peerAddress = device.id;
    down.addEventListener('characteristicvaluechanged', this.#onValue);
    device.addEventListener('gattserverdisconnected', this.#onDisconnected);
  }

  /**
   * Subscribes. Settles with the first segment. bluetoothd subscribes by itself to what this page was subscribed to when an
   * earlier link went, and long before the page can listen: then the page begins anew (docs/protocol.md §2.1).
   * @throws CpnsError link-lost
   */
  async begin(): Promise<void> {
    const spoken = new Promise<void>((resolve, reject) => {
      this.#spoken = resolve;
      this.#lost = () => reject(new CpnsError('link-lost'));
    });
    spoken.catch(() => {});
    await this.#down.startNotifications();
    await within(SPOKEN_WITHIN_MS, spoken).catch(() => {});
    if (this.#spoken && !this.ended) {
      this.#deaf = true;
      await this.#down.stopNotifications();
      this.#deaf = false;
      await this.#down.startNotifications();
    }
    await spoken;
  }

  send(segment: Bytes): void {
    if (segment.length === 0 || segment.length > this.maxSegmentBytes)
      throw new RangeError(`a segment has 1 to ${this.maxSegmentBytes} bytes, not ${segment.length}`);
    if (this.ended) return;
    const value = new Uint8Array(segment);
    this.#written = this.#written
      .then(() => (this.ended ? undefined : this.#up.writeValueWithoutResponse(value)))
      // Segments are counted: after a lost one nothing can follow.
      .catch(() => this.disconnect());
  }

  override end(reason: number): void {
    this.#down.removeEventListener('characteristicvaluechanged', this.#onValue);
    this.#device.removeEventListener('gattserverdisconnected', this.#onDisconnected);
    this.#lost?.();
    super.end(reason);
  }

  /** Behind the writes that are under way, as a host's stack would. */
  protected disconnect(): void {
    void within(WRITES_WITHIN_MS, this.#written)
      .catch(() => {})
      .then(() => {
        if (this.#device.gatt?.connected) this.#device.gatt.disconnect();
        else this.end(0);
      });
  }

  #take(): void {
    const value = this.#down.value;
    if (!value || this.#deaf) return;
    const segment = new Uint8Array(value.buffer.slice(value.byteOffset, value.byteOffset + value.byteLength));
    this.#spoken?.();
    this.#spoken = undefined;
    this.deliver(segment);
  }
}
