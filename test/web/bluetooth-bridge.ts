/**
 * A page's Web Bluetooth on the project's own radio: Chromium's emulated central (DevTools domain BluetoothEmulation) whose
 * one peripheral is a real GATT link, made by noble on the virtual radio. Owns the chooser's answer and the two directions.
 *
 * The emulation carries writes, but no notifications, and does not say when a page disconnects. So a script in the page
 * reads the notifying characteristic for ever, which fires the event that a notification would, and reports disconnects.
 * The same page on bluetoothd and a kernel is a test of its own (test/guest).
 */
import type { Browser, CDPSession, Page } from 'playwright-core';
import { CPNS_DOWN_UUID, CPNS_SERVICE_UUID, CPNS_UP_UUID } from '../../src/bluetooth/gatt-service.ts';
import type { GattLink } from '../../src/bluetooth/ports.ts';

const ADDRESS = '09:09:09:09:09:09';
const CLIENT_CONFIGURATION = '00002902-0000-1000-8000-00805f9b34fb';
const SUCCESS = 0;
const CONNECTION_FAILED = 0x3e;

const IN_PAGE = `
  const { prototype: characteristic } = BluetoothRemoteGATTCharacteristic;
  const { startNotifications } = characteristic;
  characteristic.startNotifications = async function () {
    const started = await startNotifications.call(this);
    (async () => { for (;;) await this.readValue(); })().catch(() => {});
    return started;
  };
  const { prototype: server } = BluetoothRemoteGATTServer;
  const { disconnect } = server;
  server.disconnect = function () { cpnsHungUp(); disconnect.call(this); };
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
  /** Bytes of segments that were carried, each way. */
  readonly carried = { up: 0, down: 0 };
  readonly #dial: () => Promise<GattLink>;
  readonly #radio: CDPSession;
  #down = '';
  #link: GattLink | undefined;
  readonly #segments: Uint8Array[] = [];
  #reading = false;

  private constructor(dial: () => Promise<GattLink>, radio: CDPSession) {
    this.#dial = dial;
    this.#radio = radio;
  }

  /** To be called before the page is opened. */
  static async open({ browser, page, dial }: BridgeOptions): Promise<BluetoothBridge> {
    const radio = await browser.newBrowserCDPSession();
    const bridge = new BluetoothBridge(dial, radio);
    await page.exposeFunction('cpnsHungUp', () => bridge.#hungUp());
    await page.addInitScript(IN_PAGE);
    await bridge.#answerChoosers(await page.context().newCDPSession(page));
    await bridge.#build();
    return bridge;
  }

  /** The gateway's link breaks, as if it were out of range. */
  async breakLink(): Promise<void> {
    await this.#link?.close();
  }

  async #build(): Promise<void> {
    await this.#radio.send('BluetoothEmulation.enable', { state: 'powered-on', leSupported: true });
    await this.#radio.send('BluetoothEmulation.simulatePreconnectedPeripheral', {
      address: ADDRESS,
      name: 'CPNS',
      manufacturerData: [],
      knownServiceUuids: [CPNS_SERVICE_UUID],
    });
    const { serviceId } = await this.#radio.send('BluetoothEmulation.addService', {
      address: ADDRESS,
      serviceUuid: CPNS_SERVICE_UUID,
    });
    await this.#radio.send('BluetoothEmulation.addCharacteristic', {
      serviceId,
      characteristicUuid: CPNS_UP_UUID,
      properties: { writeWithoutResponse: true },
    });
    const down = await this.#radio.send('BluetoothEmulation.addCharacteristic', {
      serviceId,
      characteristicUuid: CPNS_DOWN_UUID,
      properties: { notify: true, read: true },
    });
    this.#down = down.characteristicId;
    await this.#radio.send('BluetoothEmulation.addDescriptor', {
      characteristicId: this.#down,
      descriptorUuid: CLIENT_CONFIGURATION,
    });
    this.#radio.on('BluetoothEmulation.gattOperationReceived', ({ type }) => void this.#gatt(type));
    this.#radio.on('BluetoothEmulation.characteristicOperationReceived', (operation) => {
      const data = operation.data && new Uint8Array(Buffer.from(operation.data, 'base64'));
      void this.#operation(operation.characteristicId, operation.type, data || undefined);
    });
  }

  async #answerChoosers(session: CDPSession): Promise<void> {
    const send = session.send.bind(session) as (method: string, params?: object) => Promise<unknown>;
    const answered = new Set<string>();
    await send('DeviceAccess.enable');
    // A second answer to one chooser ends Chromium.
    session.on('DeviceAccess.deviceRequestPrompted' as never, ({ id, devices }: Prompt) => {
      const [first] = devices;
      if (answered.has(id) || !first) return;
      answered.add(id);
      const answer = this.chooses
        ? send('DeviceAccess.selectPrompt', { id, deviceId: first.id })
        : send('DeviceAccess.cancelPrompt', { id });
      answer.catch(() => {});
    });
  }

  async #gatt(type: 'connection' | 'discovery'): Promise<void> {
    let code = SUCCESS;
    if (type === 'connection') code = await this.#connect();
    await this.#radio
      .send('BluetoothEmulation.simulateGATTOperationResponse', { address: ADDRESS, type, code })
      .catch(() => {});
  }

  async #connect(): Promise<number> {
    try {
      await this.#hungUp();
      const link = await this.#dial();
      this.#link = link;
      link.onClose = () => {
        if (this.#link !== link) return;
        this.#link = undefined;
        this.#radio
          .send('BluetoothEmulation.simulateGATTDisconnection', { address: ADDRESS })
          .catch(() => {});
      };
      return SUCCESS;
    } catch {
      return CONNECTION_FAILED;
    }
  }

  async #operation(characteristicId: string, type: string, data: Uint8Array | undefined): Promise<void> {
    if (type === 'read') {
      this.#reading = true;
      this.#deliver();
      return;
    }
    if (type === 'write' && data) {
      this.carried.up += data.length;
      this.#link?.send(data);
    }
    await this.#respond(characteristicId, type);
    if (type === 'subscribe-to-notifications' && this.#link)
      this.#link.onSegment = (segment) => {
        this.carried.down += segment.length;
        this.#segments.push(segment.slice());
        this.#deliver();
      };
  }

  #deliver(): void {
    if (!this.#reading) return;
    const segment = this.#segments.shift();
    if (!segment) return;
    this.#reading = false;
    void this.#respond(this.#down, 'read', Buffer.from(segment).toString('base64'));
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
    const link = this.#link;
    this.#link = undefined;
    this.#segments.length = 0;
    this.#reading = false;
    await link?.close();
  }
}
