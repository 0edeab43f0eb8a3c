/**
 * The console in a real Chromium: a real establishment on the virtual radio waits for the owner, who answers on the page.
 */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BrowserContext, Page } from 'playwright-core';
import type { PneNode } from '../../src/nodes/pne/pne.ts';
import { openGatewayStore } from '../../src/store/gateway-store.ts';
import { checkAccess } from '../web/access.ts';
import { DESKTOP, PHONE } from '../web/chromium.ts';
import { takePicture } from '../web/pictures.ts';
import { ConsoleBrowser } from './console-browser.ts';
import type { ConsoleSite, SiteOptions } from './site.ts';

const OUTPUT = fileURLToPath(new URL('../output/console/', import.meta.url));
/** What a hostile gateway's owner calls a network. */
const HOSTILE = '<img src=x onerror=alert(1)>';

describe('the console’s page', function () {
  this.timeout(90_000);
  const browser = new ConsoleBrowser({
    // Refusals; and past a warning a page has no service worker: docs/console.md.
    wanted:
      /the server responded with a status of|An SSL certificate error occurred when fetching the script/,
  });
  let context: BrowserContext;
  let page: Page;
  let site: ConsoleSite;

  async function open(options: SiteOptions = {}): Promise<void> {
    ({ site, context, page } = await browser.open(options));
  }

  const button = (name: string | RegExp) => page.getByRole('button', { name });
  const region = (name: string) => page.getByRole('region', { name });

  async function login(): Promise<void> {
    await page.goto(site.link());
    await page.locator('#app[data-ready]').waitFor();
    assert.ok(!page.url().includes('login='), page.url());
  }

  async function picture(name: string): Promise<void> {
    mkdirSync(OUTPUT, { recursive: true });
    await takePicture(page, `../console/${name}`);
    for (const viewport of [DESKTOP, PHONE]) {
      await page.setViewportSize(viewport);
      const isWide = await page.evaluate('document.documentElement.scrollWidth > innerWidth');
      assert.equal(isWide, false, `${name} is wider than ${viewport.width}`);
    }
  }

  /** The rules that "always" and "never" left. */
  function remembered() {
    const store = openGatewayStore(join(site.stateDir, 'gateway.sqlite'), { readOnly: true });
    try {
      return store.home.rules();
    } finally {
      store.close();
    }
  }

  async function enrol(pne: PneNode): Promise<void> {
    const { code } = pne.startEnrolment();
    await page.getByLabel('Code that the device shows').fill(code);
    await button('Find and enrol it').click();
    await pne.enrolled;
  }

  /** A PNE of Alice, enrolled on the page, that Bob's gateway wants. */
  async function asked(): Promise<PneNode> {
    const pne = await site.network.pne('Watch');
    await enrol(pne);
    await region('Add a device').getByText('“Watch” is yours now.').waitFor();
    await site.network.gateway('Bob', 'Kitchen', { pn: { invite: true, name: HOSTILE } });
    await region('Waiting for your answer').getByRole('article').waitFor();
    return pne;
  }

  it('enrols a device by its code, and lets it join when the owner says yes', async () => {
    await open();
    await login();
    await picture('1-new');
    await checkAccess(page);
    const pne = await asked();
    const question = region('Waiting for your answer').getByRole('article');
    assert.match(
      (await question.getByRole('heading').textContent()) ?? '',
      /^Bob’s gateway “Kitchen” wants your “Watch” to join “<img src=x onerror=alert\(1\)>”; charges up to EUR \d+\.\d\d in \d+ days\.$/,
    );
    await picture('2-question');
    await checkAccess(page);
    await button(/^Allow once/).click();
    await site.network.until('membership', () => pne.status().memberships[0]?.version === 1);
    await question.waitFor({ state: 'detached' });
    const story = page.locator('.story').filter({ hasText: 'A question to you' });
    await story.getByText('answered', { exact: true }).waitFor();
    await story.locator('summary').first().click();
    await story.getByText(/Answered by user, home gateway to server/).waitFor();
    await picture('3-allowed');
    await checkAccess(page);
    // Once is once: nothing was remembered.
    assert.deepEqual(remembered(), []);
  });

  it('refuses a join when the owner says no, by keyboard alone', async () => {
    await open();
    await login();
    await asked();
    const deny = button(/^Deny/);
    for (let i = 0; i < 40; i++) {
      await page.keyboard.press('Tab');
      if (await deny.evaluate((element) => element.matches(':focus'))) break;
    }
    await page.keyboard.press('Enter');
    await site.network.until('outcome', () => site.gateway.confirmations()[0]?.status === 'user-refused');
    await page.getByText('Nothing waits for you.').waitFor();
    // The focus did not fall to nowhere with the button that had it.
    assert.equal(await page.evaluate('document.activeElement.textContent'), 'Waiting for your answer');
    await page
      .locator('.story')
      .filter({ hasText: 'A question to you' })
      .getByText('refused', { exact: true })
      .waitFor();
  });

  it('remembers "never" for this device and gateway', async () => {
    await open();
    await login();
    const pne = await asked();
    await button(/^Never/).click();
    await site.network.until('refused', () => site.gateway.confirmations()[0]?.status === 'user-refused');
    assert.equal(pne.status().memberships.length, 0);
    await page.getByText('Nothing waits for you.').waitFor();
    assert.deepEqual(
      remembered().map(({ decision, user, maxLimit }) => [decision, user, maxLimit]),
      [['deny', 'Bob', undefined]],
    );
  });

  it('reports a gateway: a no that lasts, and a file with the evidence, until the report is withdrawn', async () => {
    await open();
    await login();
    const pne = await asked();
    await button(/^Report/).click();
    await page.getByRole('dialog', { name: 'Report Bob’s gateway “Kitchen”?' }).waitFor();
    await picture('7-reporting');
    await checkAccess(page);
    await page.getByRole('dialog').getByRole('button', { name: 'Report it' }).click();
    await site.network.until('refused', () => site.gateway.confirmations()[0]?.status === 'user-refused');
    assert.equal(pne.status().memberships.length, 0);
    await page.getByText('Nothing waits for you.').waitFor();
    const card = region('Reported by you');
    await card.getByText('wanted “Watch” for “<img src=x onerror=alert(1)>”').waitFor();
    await picture('8-reported');
    await checkAccess(page);
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      card.getByRole('link', { name: /^Save the file/ }).click(),
    ]);
    const saved = JSON.parse(readFileSync(await download.path(), 'utf8'));
    assert.match(download.suggestedFilename(), /^cpns-report-[0-9a-f]{8}\.json$/);
    assert.deepEqual(saved, JSON.parse(JSON.stringify(site.gateway.reports()[0])));
    assert.deepEqual([saved.gateway.user, saved.gateway.label, saved.pne.label], ['Bob', 'Kitchen', 'Watch']);
    await card.getByRole('button', { name: /^Withdraw/ }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Withdraw it' }).click();
    await card.waitFor({ state: 'hidden' });
    assert.deepEqual(site.gateway.reports(), []);
  });

  it('opens a join step by step at the gateway that invites, and shows its members', async () => {
    await open({ pn: { name: 'Family', invite: true } });
    await login();
    const pne = await site.network.pne('Lamp');
    await enrol(pne);
    await button(/^Allow always/).click();
    await site.network.until('membership', () => pne.status().memberships[0]?.version === 1);
    assert.deepEqual(
      remembered().map(({ decision, user, maxLimit, currency }) => [decision, user, maxLimit, currency]),
      [['allow', 'Alice', 500, 'EUR']],
    );
    const family = region('Personal networks').getByRole('article', { name: 'Family' });
    await family.locator('.badge', { hasText: 'linked' }).waitFor();
    assert.match((await family.textContent()) ?? '', /Lamp/);
    const graph = family.getByRole('img', { name: /^Picture of “Family”: 1 of 1 linked with Hall/ });
    await graph.waitFor();
    assert.equal(await graph.locator('.edge-linked').count(), 1);
    assert.deepEqual(await graph.locator('.name').allTextContents(), ['Hall', 'Lamp']);
    const story = page.locator('.story').filter({ hasText: 'A device joins' });
    await story.getByText('done', { exact: true }).waitFor();
    await story.locator('summary').first().click();
    await story.getByText('The gateway says who it is and asks').click();
    await story.getByText(/PnSetupRequest, this gateway to device, over Bluetooth, \d+ bytes/).waitFor();
    await story
      .getByText(/PnRegistrationRequest, this gateway to server, over HTTPS, \d+ bytes/)
      .waitFor({ state: 'attached' });
    // The device's home is this very gateway: only what the server does in itself was not seen here.
    assert.deepEqual(
      [await story.locator('.step-done').count(), await story.locator('.step-inferred').count()],
      [13, 1],
    );
    await story.getByText('The server writes the network down').click();
    await story.getByText('Not seen from here; it follows from what came after.').waitFor();
    await picture('4-joined');
    await checkAccess(page);
    await button('Take off Lamp').click();
    await page.getByRole('dialog').waitFor();
    await checkAccess(page);
    await page.getByRole('dialog').getByRole('button', { name: 'Take it off' }).click();
    await region('Your devices').getByText('taken off').waitFor();
    assert.equal(site.gateway.pnes()[0]?.revoked, true);
  });

  it('draws a network of five with their links, and draws it again when one goes, while nobody touches the page', async () => {
    await open({ pn: { name: 'Family', invite: true } });
    await login();
    const home = await site.network.gateway('Bob', 'Kitchen');
    const names = ['Lamp', 'Watch', 'Heating in the cellar', 'Blinds', 'Scale'];
    const pnes = [];
    for (const name of names) {
      const pne = await site.network.pne(name);
      const { code } = pne.startEnrolment();
      await home.pair(code);
      pnes.push(pne);
    }
    const family = region('Personal networks').getByRole('article', { name: 'Family' });
    const edges = (state: string) => family.locator(`.graph-frame .edge-${state}`);
    await family.getByRole('img', { name: /5 of 5 linked with Hall/ }).waitFor();
    assert.equal(await edges('linked').count(), 5);
    await pnes[1]?.close();
    await family.getByRole('img', { name: /4 of 5 linked with Hall/ }).waitFor();
    assert.deepEqual([await edges('linked').count(), await edges('away').count()], [4, 1]);
    const listed = await family.getByRole('listitem').allTextContents();
    assert.deepEqual(listed.map((text) => / ?(linked|away)$/.exec(text)?.[1]).sort(), [
      'away',
      ...Array(4).fill('linked'),
    ]);
    await picture('10-network');
    await checkAccess(page);
  });

  it('says of a join with a foreign home what it did not see, and why it ended', async () => {
    await open({ pn: { name: 'Family', invite: true } });
    await login();
    const home = await site.network.gateway('Bob', 'Kitchen', {
      approvals: { default: 'ask', rules: [{ decision: 'deny' }] },
    });
    const pne = await site.network.pne('Lamp');
    const { code } = pne.startEnrolment();
    await home.pair(code);
    // The first one: this gateway invites again, and the server lets it wait.
    const story = page.locator('.story').filter({ hasText: 'A device joins' }).last();
    await story.getByText('refused', { exact: true }).waitFor();
    await story.locator('summary').first().click();
    await story.getByText(/PnRegistrationResponse, server to this gateway.*refused/).waitFor();
    const states = await story
      .locator('.ladder > li')
      .evaluateAll((items) => items.map(({ className }) => /step-(\w+)/.exec(className)?.[1]));
    // Whether the home was reached, the server says when it is quicker than the answer.
    assert.match(states[8] ?? '', /inferred|unknown/);
    assert.deepEqual(states.slice(0, 8), Array(8).fill('done'));
    assert.deepEqual(states.slice(9), ['unknown', 'unknown', 'failed', 'ahead', 'done']);
    await picture('9-refused');
    await checkAccess(page);
  });

  it('shows a code whose QR opens the phone’s page with the code behind the #', async () => {
    await open({ as: 'peripheral' });
    await login();
    const qr = page.getByRole('img', { name: 'QR of the code' });
    await button('Show a code').click();
    await button('Take it back').press('Enter');
    await qr.waitFor({ state: 'detached' });
    assert.equal(await page.evaluate('document.activeElement.textContent'), 'Show a code');
    await region('Add a device').getByText('The code shown here: ').waitFor();
    await button('Show a code').click();
    await qr.waitFor();
    const code = (await page.locator('#shown-code').textContent()) ?? '';
    await picture('5-code');
    await checkAccess(page);
    const pne = await site.network.pne('Phone', { bluetooth: { as: 'central' } });
    pne.useCode(code);
    await region('Add a device').getByText('“Phone” has the code.').waitFor();
    await region('What happened').getByText('on its way').waitFor();
    await picture('5-compare');
    await checkAccess(page);
    const digits = (await page.locator('#digits').textContent())?.replace(' ', '');
    const isShown = () =>
      site.network.events.some((event) => event.kind === 'comparing' && event.digits === digits);
    await site.network.until('the same digits at the PNE', isShown);
    await button('The same').click();
    await pne.enrolled;
    await region('Add a device').getByText('“Phone” is yours now.').waitFor();
    await qr.waitFor({ state: 'detached' });
    const phone = await context.newPage();
    await phone.goto(`${site.origin}/pne/#${code.replaceAll('-', '')}`);
    await phone.getByRole('heading').first().waitFor();
    assert.equal(await phone.evaluate('isSecureContext && "bluetooth" in navigator'), true);
    assert.ok(!phone.url().includes('#'), phone.url());
  });
});
