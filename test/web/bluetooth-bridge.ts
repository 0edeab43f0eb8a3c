/**
 * A page's Web Bluetooth on the project's own radio: Chromium's emulated central (DevTools domain BluetoothEmulation) whose
 * one peripheral is a real GATT link, made by noble on the virtual radio. Owns the chooser's answer and the two directions.
 *
 * The emulation carries writes, but no notifications, and does not say when a page disconnects. So a script in the page
 * reads the notifying characteristic when told that there is something, which fires the event that a notification would,
 * and reports disconnects. A read that is open when the link ends would take the page's Web Bluetooth down with it.
 * The same page on bluetoothd and a kernel is a test of its own (test/guest).
 */
import type { Browser, CDPSession, Page } from 'playwright-core';
import { CPNS_DOWN_UUID, CPNS_SERVICE_UUID, CPNS_UP_UUID } from '../../src/bluetooth/gatt-service.ts';
import type { GattLink } from '../../src/bluetooth/ports.ts';
import { subscribe } from '../bluetooth/support.ts';

const CLIENT_CONFIGURATION = '00002902-0000-1000-8000-00805f9b34fb';
const SUCCESS = 0;
const CONNECTION_FAILED = 0x3e;

const IN_PAGE = `
  let reading = Promise.resolve();
  const { prototype: characteristic } = BluetoothRemoteGATTCharacteristic;
  const { startNotifications } = characteristic;
  characteristic.startNotifications = async function () {
    const started = await startNotifications.call(this);
    globalThis.cpnsPull = () => {
      reading = this.readValue().then(() => {}, () => {});
      return reading;
    };
    return started;
  };
  const { prototype: server } = BluetoothRemoteGATTServer;
  const { disconnect } = server;
  server.disconnect = function () {
    reading.then(() => {
      cpnsHungUp();
      disconnect.call(this);
    });
  };
`;

export interface BridgeOptions {
  readonly browser: Browser;
  readonly page: Page;
  /** Makes the real link; called at each connect of the page. */
  readonly dial: () => Promise<GattLink>;
}

/** Untyped in playwright-core: the domain that answers choosers. */
interface Prompt {
  readonly id: string;
  readonly devices: readonly { readonly id: string }[];
}

export class BluetoothBridge {
  /** Whether the page's choosers are answered with the device, or cancelled. */
  chooses = true;
  /** So many of the next links are cut as soon as the page has subscribed, before a segment came. */
  cuts = 0;
  /** On so many of the next links the first word comes before the page listens, as where bluetoothd subscribes by itself. */
  misses = 0;
  /** Links that the page asked for. */
  connects = 0;
  /** Bytes of segments that were carried, each way. */
  readonly carried = { up: 0, down: 0 };
  readonly #dial: () => Promise<GattLink>;
  readonly #radio: CDPSession;
  readonly #segments: Uint8Array[] = [];
  /** Emulated peripherals so far: a chooser never lists one again that was connected. */
  #peripherals = 0;
  #link: GattLink | undefined;
  /** The emulated peripheral that has its service. */
  #served = '';
  /** Of the present link: the emulated peripheral. */
  #address = '';
  #subscribed = true;
  /** The page's reading of one segment. */
  #pulling: Promise<unknown> | undefined;
  readonly #page: Page;

  private constructor(page: Page, dial: () => Promise<GattLink>, radio: CDPSession) {
    this.#page = page;
    this.#dial = dial;
    this.#radio = radio;
  }

  /** To be called before the page is opened. */
  static async open({ browser, page, dial }: BridgeOptions): Promise<BluetoothBridge> {
    const radio = await browser.newBrowserCDPSession();
    const bridge = new BluetoothBridge(page, dial, radio);
    await page.exposeFunction('cpnsHungUp', () => bridge.#hungUp());
    await page.addInitScript(IN_PAGE);
    await bridge.#answerChoosers(await page.context().newCDPSession(page));
    await bridge.#start();
    return bridge;
  }

  /** Loads the page anew: it takes its link with it, and the emulated radio, too, which is made anew. */
  async reload(): Promise<void> {
    await this.#page.reload();
    await this.#hungUp();
    await this.#radio.send('BluetoothEmulation.disable');
    await this.#radio.send('BluetoothEmulation.enable', { state: 'powered-on', leSupported: true });
    await this.#addPeripheral();
  }

  /** The gateway's link breaks, as if it were out of range. */
  async breakLink(): Promise<void> {
    await this.#link?.close();
  }

  /** Gives the emulated radio back: there is one a browser. */
  async close(): Promise<void> {
    const link = this.#link;
    this.#link = undefined;
    await link?.close();
    await this.#radio.send('BluetoothEmulation.disable').catch(() => {});
    await this.#radio.detach().catch(() => {});
  }

  async #start(): Promise<void> {
    await this.#radio.send('BluetoothEmulation.enable', { state: 'powered-on', leSupported: true });
    this.#radio.on('BluetoothEmulation.gattOperationReceived', ({ address, type }) => {
      void this.#gatt(address, type);
    });
    this.#radio.on('BluetoothEmulation.characteristicOperationReceived', (operation) => {
      const data = operation.data && new Uint8Array(Buffer.from(operation.data, 'base64'));
      void this.#operation(operation.characteristicId, operation.type, data || undefined);
    });
    await this.#addPeripheral();
  }

  async #addPeripheral(): Promise<void> {
    const address = addressOf(++this.#peripherals);
    await this.#radio.send('BluetoothEmulation.simulatePreconnectedPeripheral', {
      address,
      name: 'CPNS',
      manufacturerData: [],
      knownServiceUuids: [CPNS_SERVICE_UUID],
    });
    await this.#addService(address);
  }

  /** To be done again after each link: its end takes the services away. */
  async #addService(address: string): Promise<void> {
    this.#served = address;
    const { serviceId } = await this.#radio.send('BluetoothEmulation.addService', {
      address,
      serviceUuid: CPNS_SERVICE_UUID,
    });
    await this.#radio.send('BluetoothEmulation.addCharacteristic', {
      serviceId,
      characteristicUuid: CPNS_UP_UUID,
      properties: { writeWithoutResponse: true },
    });
    const { characteristicId } = await this.#radio.send('BluetoothEmulation.addCharacteristic', {
      serviceId,
      characteristicUuid: CPNS_DOWN_UUID,
      properties: { notify: true, read: true },
    });
    await this.#radio.send('BluetoothEmulation.addDescriptor', {
      characteristicId,
      descriptorUuid: CLIENT_CONFIGURATION,
    });
  }

  async #answerChoosers(session: CDPSession): Promise<void> {
    const send = session.send.bind(session) as (method: string, params?: object) => Promise<unknown>;
    const answered = new Set<string>();
    await send('DeviceAccess.enable');
    session.on('DeviceAccess.deviceRequestPrompted' as never, ({ id, devices }: Prompt) => {
      const newest = devices.find((device) => device.id === addressOf(this.#peripherals));
      // A second answer to one chooser ends Chromium.
      if (answered.has(id) || !newest) return;
      answered.add(id);
      const answer = this.chooses
        ? send('DeviceAccess.selectPrompt', { id, deviceId: newest.id })
        : send('DeviceAccess.cancelPrompt', { id });
      answer.catch(() => {});
    });
  }

  async #gatt(address: string, type: 'connection' | 'discovery'): Promise<void> {
    const code = type === 'connection' ? await this.#connect(address) : SUCCESS;
    await this.#radio
      .send('BluetoothEmulation.simulateGATTOperationResponse', { address, type, code })
      .catch(() => {});
  }

  async #connect(address: string): Promise<number> {
    this.connects++;
    try {
      const link = await this.#dial();
      if (this.#served !== address) await this.#addService(address);
      this.#link = link;
      this.#address = address;
      this.#segments.length = 0;
      this.#subscribed = true;
      link.onClose = () => void this.#ended(link);
      return SUCCESS;
    } catch {
      return CONNECTION_FAILED;
    }
  }

  async #ended(link: GattLink): Promise<void> {
    if (this.#link !== link) return;
    this.#link = undefined;
    this.#served = '';
    this.#segments.length = 0;
    await this.#pulling;
    const address = this.#address;
    if (address === addressOf(this.#peripherals)) await this.#addPeripheral().catch(() => {});
    await this.#radio.send('BluetoothEmulation.simulateGATTDisconnection', { address }).catch(() => {});
  }

  async #operation(characteristicId: string, type: string, data: Uint8Array | undefined): Promise<void> {
    if (type === 'read') {
      const segment = this.#segments.shift() ?? new Uint8Array(0);
      await this.#respond(characteristicId, 'read', Buffer.from(segment).toString('base64'));
      return;
    }
    if (type === 'write' && data) {
      this.carried.up += data.length;
      this.#link?.send(data);
    }
    if (type === 'unsubscribe-from-notifications' && this.#link) {
      this.#subscribed = false;
      await subscribe(this.#link, false);
    }
    await this.#respond(characteristicId, type);
    if (type === 'subscribe-to-notifications') await this.#subscribe();
  }

  async #subscribe(): Promise<void> {
    if (this.cuts > 0) {
      this.cuts--;
      await this.breakLink();
      return;
    }
    if (!this.#link) return;
    const heard = this.misses === 0;
    if (!heard) this.misses--;
    this.#link.onSegment = (segment) => {
      if (!heard) return;
      this.carried.down += segment.length;
      this.#segments.push(segment.slice());
      this.#pull();
    };
    // noble has subscribed while it connected.
    if (!this.#subscribed) await subscribe(this.#link, true);
    this.#subscribed = true;
  }

  #pull(): void {
    if (this.#pulling || this.#segments.length === 0) return;
    this.#pulling = this.#page
      .evaluate('cpnsPull()')
      .catch(() => {})
      .finally(() => {
        this.#pulling = undefined;
        // A page that is closed takes nothing any more.
        if (!this.#page.isClosed()) this.#pull();
      });
  }

  async #respond(characteristicId: string, type: string, data?: string): Promise<void> {
    await this.#radio
      .send('BluetoothEmulation.simulateCharacteristicOperationResponse', {
        characteristicId,
        type: type as 'read',
        code: SUCCESS,
        ...(data !== undefined && { data }),
      })
      .catch(() => {});
  }

  async #hungUp(): Promise<void> {
    await this.#link?.close();
  }
}

function addressOf(number: number): string {
  return `09:09:09:09:09:${number.toString(16).padStart(2, '0').toUpperCase()}`;
}
