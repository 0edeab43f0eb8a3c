/**
 * The PNE's page in a real Chromium whose Web Bluetooth is bluetoothd's and the kernel's, no emulation: it enrols with the code
 * of a gateway and joins the network of another, both on bleno over user channels.
 */
// guest: --memory 1536 --timeout 600
import assert from 'node:assert/strict';
import type { Browser, CDPSession, Page } from 'playwright-core';
import type { GatewayNode } from '../../src/nodes/gateway/gateway.ts';
import { TestNetwork } from '../nodes/network.ts';
import { type Complaints, launchChromium, PHONE, watch } from '../web/chromium.ts';
import { PAGE_FOLDER, type PageServer, serveFolder } from '../web/page-server.ts';
import {
  command,
  decodeCapture,
  loadKernelBluetooth,
  OUT,
  settled,
  startBluetoothd,
  startBtmon,
  startRadioProcess,
  until,
} from './kernel.ts';

/** Emulation makes everything ten times slower. */
const PATIENCE_MS = 120_000;

interface Prompt {
  readonly id: string;
  readonly devices: readonly { readonly id: string; readonly name: string }[];
}

/** Answers the browser's choosers, each once, with the device of an address. */
class Chooser {
  address = '';
  readonly #answered = new Set<string>();

  async attach(session: CDPSession): Promise<void> {
    const send = session.send.bind(session) as (method: string, params?: object) => Promise<unknown>;
    await send('DeviceAccess.enable');
    session.on('DeviceAccess.deviceRequestPrompted' as never, ({ id, devices }: Prompt) => {
      console.log(`      chooser: ${JSON.stringify(devices)}`);
      const wanted = devices.find((device) => device.id.toUpperCase() === this.address);
      if (!wanted || this.#answered.has(id)) return;
      this.#answered.add(id);
      send('DeviceAccess.selectPrompt', { id, deviceId: wanted.id }).catch(() => {});
    });
  }
}

/** Asks bluetoothd, which may have done it by itself. */
function powerOn(adapter: string): Promise<string> {
  const words = ['string:org.bluez.Adapter1', 'string:Powered', 'variant:boolean:true'];
  const to = ['--system', '--print-reply', '--dest=org.bluez', adapter];
  return command('dbus-send', ...to, 'org.freedesktop.DBus.Properties.Set', ...words);
}

describe('the PNE’s page on the kernel of the guest', function () {
  this.timeout(500_000);
  const closers: (() => Promise<unknown>)[] = [];
  let network: TestNetwork;
  let page: Page;
  let complaints: Complaints;
  const chooser = new Chooser();
  let home: GatewayNode;
  let addresses: readonly string[] = [];

  const started = <T extends { close(): Promise<unknown> } | { stop(): Promise<unknown> }>(thing: T): T => {
    closers.unshift(() => ('close' in thing ? thing.close() : thing.stop()));
    return thing;
  };

  before(async () => {
    loadKernelBluetooth();
    const { indices } = started(await startRadioProcess(3));
    await settled(indices);
    addresses = await Promise.all(
      indices.map(
        async (index) =>
          /Address: ([0-9A-F:]{17})/.exec(await command('hciconfig', `hci${index}`))?.[1] ?? '',
      ),
    );
    const [own, first, second] = indices;
    network = started(await TestNetwork.open());
    const bluetooth = { as: 'peripheral', randomAddress: false } as const;
    home = await network.gateway('Alice', 'Hall', { bluetooth, adapter: `hci:${first}/user` });
    await network.gateway('Bob', 'Kitchen', {
      bluetooth,
      adapter: `hci:${second}/user`,
      pn: { invite: true, name: 'Kitchen' },
    });
    const btmon = await startBtmon('page');
    closers.unshift(() => btmon.stop('SIGINT'));
    started(await startBluetoothd());
    // Busy while bluetoothd does it by itself.
    await until('power', () => powerOn(`/org/bluez/hci${own}`).catch(() => false as const));
    const server: PageServer = started(await serveFolder(PAGE_FOLDER));
    const browser: Browser = started(await launchChromium());
    const context = await browser.newContext({ viewport: PHONE, reducedMotion: 'reduce' });
    complaints = await watch(context, server.origin);
    page = await context.newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    await chooser.attach(await context.newCDPSession(page));
    await page.goto(server.url);
  });
  after(async () => {
    await page?.screenshot({ path: `${OUT}/page.png`, fullPage: true }).catch(() => {});
    for (const close of closers) await close().catch(() => {});
    await decodeCapture('page');
  });

  const button = (name: string) => page.getByRole('button', { name, exact: true });

  /**
   * As a person would who is told that the link was lost: an emulated machine may miss the two seconds of an OPEN, and
   * Chromium ends the first link now and then.
   */
  const reached = async (name: string) => {
    const heading = page.getByRole('heading', { name });
    for (let tries = 1; ; tries++) {
      await heading.or(button('Try again')).first().waitFor();
      if (await heading.isVisible()) return;
      console.log(`      ${(await page.locator('.notice').textContent()) ?? ''}`);
      assert.ok(tries < 5, 'it was tried often enough');
      await button('Try again').click();
    }
  };

  it('enrols with the code that its home gateway shows', async () => {
    const { code, used } = home.showCode((comparison) => {
      if (comparison) void compare(comparison.digits);
    });
    const compare = async (digits: string) => {
      const shown = await page.locator('#digits').textContent();
      home.compared(digits, shown?.replace(' ', '') === digits);
    };
    chooser.address = addresses[1] ?? '';
    await page.getByLabel('Code of your home gateway').fill(code);
    await button('Take this code').click();
    await button('Choose my home gateway').click();
    await reached('This device is now Alice’s');
    await used;
    await button('Go on').click();
  });

  it('joins the network of another user’s gateway, by bluetoothd’s notifications and writes', async () => {
    chooser.address = addresses[2] ?? '';
    await button('Choose a gateway nearby').click();
    await reached('Join “Kitchen”?');
    await button('Join').click();
    await page.getByRole('heading', { name: 'You are in “Kitchen”' }).waitFor();
    await button('See who is in').click();
    await page.getByText('this device', { exact: true }).waitFor();
    assert.deepEqual({ ...complaints }, { breaches: [], foreign: [], errors: [] });
  });
});
