/** The PNE's page as an app: offline, installable, its weight, its key and records, the code in the address, one window. */
import assert from 'node:assert/strict';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { pageWeight } from '../../scripts/bench/page.ts';
import { createEnrolmentCode, qrTextOf } from '../../src/security/enrolment-code.ts';
import { nodePrimitives } from '../../src/security/primitives-node.ts';
import { type Complaints, launchChromium, PHONE, watch } from './chromium.ts';
import { type PageServer, servePage } from './page-server.ts';

const MAX_COMPRESSED_BYTES = 150_000;

/** What the page keeps under a name, looked at from outside. */
const KEPT = `(name) => new Promise((resolve, reject) => {
  const open = indexedDB.open('cpns-pne');
  open.onerror = () => reject(open.error);
  open.onsuccess = () => {
    const get = open.result.transaction('kept').objectStore('kept').get(name);
    get.onsuccess = () => { open.result.close(); resolve(get.result); };
  };
})`;

describe('the PNE’s page as an app', function () {
  this.timeout(60_000);
  let browser: Browser;
  let server: PageServer;
  let context: BrowserContext;
  let page: Page;
  let complaints: Complaints;

  before(async function () {
    this.timeout(300_000);
    browser = await launchChromium();
  });
  after(() => browser?.close());
  beforeEach(async () => {
    server = await servePage();
    context = await browser.newContext({ viewport: PHONE, reducedMotion: 'reduce' });
    complaints = await watch(context, server.origin);
    page = await context.newPage();
  });
  afterEach(async () => {
    await context.close();
    await server.close();
    assert.deepEqual({ ...complaints }, { breaches: [], foreign: [], errors: [] });
  });

  const fingerprint = async () => {
    await page.getByRole('button', { name: 'Settings' }).click();
    const text = await page.getByText(/^[0-9a-f]{64}$/).textContent();
    await page.getByRole('button', { name: 'Back' }).click();
    return text;
  };

  it('weighs at most 150 kB compressed, all files together', () => {
    const gzip = pageWeight((bytes) => gzipSync(bytes, { level: 9 }));
    console.log(`      ${gzip} bytes by gzip, ${pageWeight(brotliCompressSync)} by brotli`);
    assert.ok(gzip > 50_000, 'all of it');
    assert.ok(gzip <= MAX_COMPRESSED_BYTES, `${gzip} bytes`);
  });

  it('works offline once it was loaded, server gone and cache cleared', async () => {
    await page.goto(server.url);
    await page.evaluate('navigator.serviceWorker.ready');
    const before = await fingerprint();
    await server.close();
    const session = await context.newCDPSession(page);
    await session.send('Network.clearBrowserCache');
    await page.reload();
    await page.getByRole('heading', { name: 'This device is nobody’s yet' }).waitFor();
    assert.equal(await fingerprint(), before);
    assert.equal(await page.locator('link[rel=manifest]').count(), 1);
  });

  it('can be installed', async () => {
    await page.goto(server.url);
    await page.evaluate('navigator.serviceWorker.ready');
    const session = await context.newCDPSession(page);
    const { errors: faults, data } = await session.send('Page.getAppManifest');
    assert.deepEqual(faults, []);
    const manifest = JSON.parse(data ?? '{}') as { icons: readonly { readonly src: string }[] };
    for (const { src } of manifest.icons) {
      const response = await page.request.get(new URL(src, server.url).href);
      assert.equal(response.status(), 200, src);
    }
    const { installabilityErrors } = await session.send('Page.getInstallabilityErrors');
    const real = installabilityErrors.filter(({ errorId }) => errorId !== 'in-incognito');
    assert.deepEqual(real, []);
  });

  it('takes a code out of the address at once, and sends it to nobody', async () => {
    const primitives = nodePrimitives();
    const code = createEnrolmentCode(
      primitives,
      'gateway',
      primitives.randomBytes(32),
      primitives.randomBytes(12),
    );
    await page.goto(`${server.url}#${qrTextOf(code)}`);
    await page.getByText('The code is taken.').waitFor();
    assert.equal(page.url(), server.url);
    assert.equal(await page.evaluate('history.length'), 2, 'no second entry holds it');
    assert.ok(server.requests.every((request) => !request.includes(code)));
    assert.ok(!(await page.content()).includes(code));
    await page.getByRole('button', { name: 'Use another code' }).click();
    await page.evaluate(`location.hash = '#${code}'`);
    await page.getByText('The code is taken.').waitFor();
    assert.equal(page.url(), server.url);
    const shown = createEnrolmentCode(
      primitives,
      'pne',
      primitives.randomBytes(32),
      primitives.randomBytes(12),
    );
    await page.evaluate(`location.hash = '#${shown}'`);
    await page.getByText('This code is shown by a device.').waitFor();
  });

  it('keeps a key that nobody can read, across reloads, until everything is erased', async () => {
    await page.goto(server.url);
    const before = await fingerprint();
    await page.reload();
    assert.equal(await fingerprint(), before);
    const tried = await page.evaluate(`(${KEPT})('identity').then(async ({ privateKey }) => ({
      extractable: privateKey.extractable,
      usages: privateKey.usages,
      exported: await crypto.subtle.exportKey('jwk', privateKey).catch((error) => error.name),
    }))`);
    assert.deepEqual(tried, { extractable: false, usages: ['sign'], exported: 'InvalidAccessError' });
    await page.getByRole('button', { name: 'Settings' }).click();
    await page.getByRole('button', { name: 'Erase everything' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Erase' }).click();
    await page.getByRole('heading', { name: 'This device is nobody’s yet' }).waitFor();
    assert.notEqual(await fingerprint(), before);
  });

  it('keeps what the user says of the device, and refuses a name that no label can be', async () => {
    await page.goto(server.url);
    await page.getByRole('button', { name: 'Settings' }).click();
    await page.getByLabel('Name', { exact: true }).fill('x'.repeat(33));
    await page.getByText('Too long').waitFor();
    assert.equal(await page.getByRole('button', { name: 'Keep', exact: true }).isDisabled(), true);
    await page.getByLabel('Name', { exact: true }).fill(' Ann\u2019s phone ');
    await page.getByLabel('Kind of device').selectOption('phone');
    await page.getByLabel('Name of a content').fill('Music');
    await page.getByRole('button', { name: 'Add it' }).click();
    await page.getByRole('button', { name: 'Keep', exact: true }).click();
    await page.getByText('Kept.').waitFor();
    const kept = (await page.evaluate(`(${KEPT})('settings')`)) as { name: string };
    assert.equal(kept.name, 'Ann\u2019s phone');
    await page.reload();
    await page.getByRole('button', { name: 'Settings' }).click();
    assert.equal(await page.getByLabel('Name', { exact: true }).inputValue(), 'Ann\u2019s phone');
    await page.getByText('Music').waitFor();
  });

  it('works in one window at a time', async () => {
    await page.goto(server.url);
    await page.getByRole('heading', { name: 'This device is nobody’s yet' }).waitFor();
    const second = await context.newPage();
    await second.goto(server.url);
    await second.getByText('open in another window already').waitFor();
    await page.close();
    await second.reload();
    await second.getByRole('heading', { name: 'This device is nobody’s yet' }).waitFor();
  });

  it('is worked by keys alone', async () => {
    await page.goto(server.url);
    const focused = () => page.evaluate('document.activeElement?.textContent || document.activeElement?.id');
    await page.getByRole('heading', { name: 'This device is nobody’s yet' }).waitFor();
    assert.equal(await focused(), 'Personal network');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Settings' }).waitFor();
    assert.equal(await focused(), 'Settings');
    await page.keyboard.press('Shift+Tab');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Personal network' }).waitFor();
    await page.keyboard.press('Tab');
    await page.keyboard.press('Tab');
    assert.equal(await focused(), 'code');
  });
});
