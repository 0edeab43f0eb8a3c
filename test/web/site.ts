/**
 * The page in a real Chromium, beside a whole real network: server, gateways on bleno as GATT peripherals, the virtual
 * radio, and a noble central that carries the page's Web Bluetooth (bluetooth-bridge.ts). Owns opening and closing them.
 */
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { openCentral } from '../../src/bluetooth/open.ts';
import type { Central, GattLink, Sighting } from '../../src/bluetooth/ports.ts';
import { type Announced, decodeAnnouncement } from '../../src/network/advertisement.ts';
import type { GatewayNode } from '../../src/nodes/gateway/gateway.ts';
import { TestNetwork } from '../nodes/network.ts';
import { checkAccess } from './access.ts';
import { BluetoothBridge } from './bluetooth-bridge.ts';
import { type Complaints, launchChromium, PHONE, watch } from './chromium.ts';
import type { PageServer } from './page-server.ts';
import { takePicture } from './pictures.ts';

const PERIPHERAL = { bluetooth: { as: 'peripheral' } } as const;
const FIND_WITHIN_MS = 10_000;

/** A network's name is its gateway's claim: as hostile as 32 bytes allow. */
export const HOSTILE_NAME = '<img src=x onerror=alert(1)>';

/** Which of the gateways around the page's user points at. */
export type Pointing = 'home' | 'inviting' | 'any';

const POINTED: Readonly<Record<Pointing, (announced: Announced) => boolean>> = {
  home: ({ enrol }) => enrol,
  inviting: ({ join }) => join,
  any: () => true,
};

export class Site {
  readonly network: TestNetwork;
  readonly server: PageServer;
  readonly browser: Browser;
  readonly context: BrowserContext;
  readonly complaints: Complaints;
  readonly page: Page;
  bridge!: BluetoothBridge;
  pointing: Pointing = 'home';
  readonly #central: Central;

  private constructor(
    network: TestNetwork,
    server: PageServer,
    browser: Browser,
    context: BrowserContext,
    complaints: Complaints,
    page: Page,
    central: Central,
  ) {
    this.network = network;
    this.server = server;
    this.browser = browser;
    this.context = context;
    this.complaints = complaints;
    this.page = page;
    this.#central = central;
  }

  static async open(server: PageServer): Promise<Site> {
    const browser = await launchChromium();
    const network = await TestNetwork.open();
    const context = await browser.newContext({ viewport: PHONE, reducedMotion: 'reduce' });
    const complaints = await watch(context, server.origin);
    const page = await context.newPage();
    const central = await openCentral(network.radio.moniker);
    const site = new Site(network, server, browser, context, complaints, page, central);
    site.bridge = await BluetoothBridge.open({ browser, page, dial: () => site.#dial() });
    await page.goto(server.url);
    return site;
  }

  /** A gateway of the page's user. */
  home(approvals?: Parameters<TestNetwork['gateway']>[2]): Promise<GatewayNode> {
    return this.network.gateway('Alice', 'Hall', { ...PERIPHERAL, ...approvals });
  }

  /** A gateway of somebody else, with a network that invites. */
  inviting(): Promise<GatewayNode> {
    return this.network.gateway('Bob', 'Kitchen', {
      ...PERIPHERAL,
      pn: { invite: true, name: HOSTILE_NAME },
    });
  }

  /** Types a code in and chooses the home gateway. */
  async enter(code: string): Promise<void> {
    const { page } = this;
    this.pointing = 'home';
    await page.getByLabel('Code of your home gateway').fill(code);
    await page.getByRole('button', { name: 'Take this code' }).click();
    await page.getByRole('button', { name: 'Choose my home gateway' }).click();
  }

  /** A code on the gateway's display; its user finds the digits the same where the page shows them. */
  showCode(home: GatewayNode): ReturnType<GatewayNode['showCode']> {
    return home.showCode((comparison) => {
      if (comparison) void this.#compare(home, comparison.digits);
    });
  }

  async #compare(home: GatewayNode, digits: string): Promise<void> {
    const shown = await this.page.locator('#digits').textContent();
    home.compared(digits, shown?.replace(' ', '') === digits);
  }

  /** From the code on the gateway's display to an owned device. */
  async enrol(home: GatewayNode): Promise<void> {
    const { code, used } = this.showCode(home);
    const { page } = this;
    await this.enter(code);
    await page.getByRole('heading', { name: 'This device is now Alice’s' }).waitFor();
    await used;
    await page.getByRole('button', { name: 'Go on' }).click();
  }

  /** From the chooser to the question. */
  async askToJoin(): Promise<void> {
    this.pointing = 'inviting';
    await this.page.getByRole('button', { name: 'Choose a gateway nearby' }).click();
    const question = this.page.getByRole('heading', { name: /^Join “/ });
    try {
      await question.waitFor();
    } catch (cause) {
      throw new Error(`no question came\n${await this.story()}`, { cause });
    }
  }

  /** From the chooser to a member. */
  async join(): Promise<void> {
    await this.askToJoin();
    await this.answerJoin();
  }

  /** From the question to a member. */
  async answerJoin(): Promise<void> {
    await this.page.getByRole('button', { name: 'Join', exact: true }).click();
    await this.page.getByRole('heading', { name: `You are in “${HOSTILE_NAME}”` }).waitFor();
  }

  /** Breaks the radio link that is up, as walking away would. */
  dropLink(): void {
    const link = this.network.radio.counters().links.find(({ open }) => open);
    if (!link || !this.network.radio.dropLink(link.central, link.peripheral))
      throw new Error('no link is up');
  }

  /** Nothing that axe-core objects to, in both colour schemes. */
  async checkAccess(): Promise<void> {
    await checkAccess(this.page);
  }

  /** What the page shows and what the network did, for a test that failed. */
  async story(): Promise<string> {
    const shown = await this.page.locator('#app').textContent();
    const steps = this.network.trace.map(({ name, from, status = '' }) => `${from} ${name} ${status}`);
    return [shown, ...this.network.events.map((event) => JSON.stringify(event)), ...steps].join('\n');
  }

  picture(name: string): Promise<void> {
    return takePicture(this.page, name);
  }

  async close(): Promise<void> {
    await this.bridge.close();
    await this.browser.close();
    await this.#central.close();
    await this.network.close();
  }

  async #dial(): Promise<GattLink> {
    const { address } = await this.#find(POINTED[this.pointing]);
    return await this.#central.connect(address, { deadlineMs: 5_000 });
  }

  #find(fits: (announced: Announced) => boolean): Promise<Sighting> {
    return new Promise((resolve, reject) => {
      const stop = () => {
        clearTimeout(limit);
        return this.#central.stopScan();
      };
      const limit = setTimeout(() => {
        void stop().then(() => reject(new Error(`no gateway on the air: ${this.pointing}`)));
      }, FIND_WITHIN_MS);
      this.#central
        .startScan((sighting) => {
          const announced = sighting.serviceData && decodeAnnouncement(sighting.serviceData);
          if (!sighting.connectable || !announced || announced.mode === 'pne' || !fits(announced)) return;
          void stop().then(() => resolve(sighting));
        })
        .catch(reject);
    });
  }
}
