/** The console's page and its gateway: coming in, losing the connection, and what a browser says of the certificate. */
import assert from 'node:assert/strict';
import type { BrowserContext, Page } from 'playwright-core';
import { checkAccess } from '../web/access.ts';
import { PHONE } from '../web/chromium.ts';
import { takePicture } from '../web/pictures.ts';
import { openCable } from './cable.ts';
import { ConsoleBrowser } from './console-browser.ts';
import type { ConsoleSite, SiteOptions } from './site.ts';
import { NAME } from './trusted.ts';

const PASSWORD = 'correct horse battery';

describe('the console’s page and its gateway', function () {
  this.timeout(90_000);
  const browser = new ConsoleBrowser({
    // Refusals, and a connection that goes.
    wanted:
      /Failed to load resource: (the server responded with a status of|net::ERR_CONNECTION_(REFUSED|CLOSED|RESET))|ERR_INCOMPLETE_CHUNKED_ENCODING/,
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
  }

  it('sets a password, logs out and in again by it, and says when a link is spent', async () => {
    await open();
    const link = site.link();
    await page.goto(link);
    await page.locator('#app[data-ready]').waitFor();
    await page.getByLabel('New password').fill(PASSWORD);
    await button('Set the password').click();
    await page.getByText('The password is set').waitFor();
    await button(/^Log out$/).click();
    const field = page.getByLabel('Password', { exact: true });
    await field.waitFor();
    await takePicture(page, '../console/6-login');
    await checkAccess(page);
    await field.fill('wrong horse battery');
    await button('Log in').click();
    await page.getByText('That is not the password.').waitFor();
    await field.fill(PASSWORD);
    await button('Log in').click();
    await page.locator('.console').waitFor();
    const other = await context.newPage();
    await context.clearCookies();
    await other.goto(link);
    await other.getByText('This link was used already').waitFor();
  });

  it('says that the connection is lost, and goes on when the gateway is back', async () => {
    await open();
    await login();
    const { port } = site.console;
    await site.console.close();
    await page.getByText('The connection to the gateway is lost').waitFor();
    await site.openConsole({ listen: { host: '127.0.0.1', port } });
    // Sessions are in memory: after a restart somebody has to log in again.
    await page.getByText('You are logged out.').waitFor({ timeout: 15_000 });
  });

  it('goes on by itself when the network was away, and misses nothing', async () => {
    await open();
    const cable = await openCable(site.console.port);
    try {
      ({ context, page } = await browser.another(`https://localhost:${cable.port}`));
      await page.goto(site.link().replace(`:${site.console.port}/`, `:${cable.port}/`));
      await page.locator('#app[data-ready]').waitFor();
      cable.pull();
      await page.getByText('The connection to the gateway is lost').waitFor();
      const pne = await site.network.pne('Clock');
      const { code } = pne.startEnrolment();
      await site.gateway.pair(code);
      cable.plugIn();
      await region('Your devices').getByText('Clock').waitFor({ timeout: 15_000 });
      await page.getByText('The connection to the gateway is lost').waitFor({ state: 'hidden' });
    } finally {
      await cable.close();
    }
  });

  it('says so when the gateway does not answer at first, and is there when it is asked again', async () => {
    await open();
    const greeting = '**/api/greeting';
    await page.route(greeting, (route) => route.abort());
    await page.goto(`${new URL(site.link()).origin}/`);
    await page.getByRole('alert').waitFor();
    await page.unroute(greeting);
    await page.getByRole('button', { name: 'Try again' }).click();
    await page.getByRole('heading', { name: 'Log in at this gateway' }).waitFor();
    browser.forgive(/net::ERR_FAILED/);
  });

  it('can be reached past the browser’s warning, as a person does who has compared the fingerprint', async () => {
    await open({ config: { names: [NAME] } });
    const careful = await browser.browser.newContext({ viewport: PHONE });
    try {
      const warned = await careful.newPage();
      assert.ok(site.link().startsWith(`https://${NAME}:`));
      await assert.rejects(warned.goto(site.link()), /ERR_CERT_AUTHORITY_INVALID/);
      await warned.locator('#details-button').click();
      await warned.locator('#proceed-link').click();
      await warned.locator('#app[data-ready]').waitFor();
      assert.equal(await warned.evaluate('isSecureContext && "bluetooth" in navigator'), true);
      // Passkeys it has not: the browser wants a certificate that it trusts, and the page says so.
      await warned.getByLabel('Name of the new passkey').fill('Phone');
      await warned.getByRole('button', { name: 'Add a passkey' }).click();
      await warned.getByText('This browser makes no passkeys behind a certificate warning').waitFor();
    } finally {
      await careful.close();
    }
  });
});
