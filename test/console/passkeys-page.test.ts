/** Passkeys in a real Chromium, with its own virtual authenticator, behind a certificate that it trusts. */
import assert from 'node:assert/strict';
import type { BrowserContext, CDPSession, Page } from 'playwright-core';
import { RECENT_MS } from '../../src/console/recent-login.ts';
import { checkAccess } from '../web/access.ts';
import { takePicture } from '../web/pictures.ts';
import { ConsoleBrowser } from './console-browser.ts';
import type { ConsoleSite } from './site.ts';
import { NAME } from './trusted.ts';

const PASSWORD = 'correct horse battery';

describe('passkeys on the console’s page', function () {
  this.timeout(60_000);
  const browser = new ConsoleBrowser({
    isTrusted: true,
    wanted: /the server responded with a status of (401|403|429)/,
  });
  let page: Page;
  let site: ConsoleSite;
  let cdp: CDPSession;
  let authenticatorId: string;

  beforeEach(async () => {
    let context: BrowserContext;
    // Some come by an address.
    ({ site, context, page } = await browser.open({}, 'https://'));
    cdp = await context.newCDPSession(page);
    await cdp.send('WebAuthn.enable');
    ({ authenticatorId } = await cdp.send('WebAuthn.addVirtualAuthenticator', {
      options: {
        protocol: 'ctap2',
        transport: 'internal',
        hasResidentKey: true,
        hasUserVerification: true,
        isUserVerified: true,
        automaticPresenceSimulation: true,
      },
    }));
    await page.goto(site.link());
    await page.locator('#app[data-ready]').waitFor();
  });

  const button = (name: string | RegExp) => page.getByRole('button', { name });
  const origin = () => `https://${NAME}:${site.console.port}/`;
  const group = () => page.getByRole('group', { name: 'Passkeys' });

  async function add(name: string): Promise<void> {
    await page.getByLabel('Name of the new passkey').fill(name);
    await button('Add a passkey').click();
  }
  async function logout(): Promise<void> {
    await button(/^Log out$/).click();
    await button('Log in with a passkey').waitFor();
  }

  it('is made, listed, lets in again after a restart, and counts', async () => {
    await add('My phone');
    await group()
      .getByText(/^for hall\.local; added .*; not used yet$/)
      .waitFor();
    await takePicture(page, '../console/11-passkey');
    await checkAccess(page);
    await add('Once more');
    await group().getByText('This device has a passkey for this gateway already.').waitFor();
    await site.console.close();
    const { port } = site.console;
    await site.openConsole({ listen: { host: '127.0.0.1', port } });
    await page.goto(origin());
    await button('Log in with a passkey').waitFor();
    await takePicture(page, '../console/12-passkey-login');
    await checkAccess(page);
    await button('Log in with a passkey').click();
    await page.locator('.console').waitFor();
    await group()
      .getByText(/; used /)
      .waitFor();
    const { credentials } = await cdp.send('WebAuthn.getCredentials', { authenticatorId });
    assert.equal(credentials.length, 1);
    assert.ok((credentials[0]?.signCount ?? 0) >= 2);
    assert.equal(credentials[0]?.rpId, NAME);
  });

  it('is removed where it is listed, and lets nobody in any more', async () => {
    await add('Lost phone');
    await button('Remove the passkey Lost phone').click();
    await checkAccess(page);
    await page.getByRole('dialog').getByRole('button', { name: 'Remove it' }).click();
    await group().getByText('Lost phone').waitFor({ state: 'detached' });
    await add('My phone');
    await group().getByText('My phone', { exact: true }).waitFor();
    await logout();
    const { credentials } = await cdp.send('WebAuthn.getCredentials', { authenticatorId });
    // The one that was removed here is on the device still; the new one took its place there or stands beside it.
    assert.ok(credentials.length >= 1);
    await button('Log in with a passkey').click();
    await page.locator('.console').waitFor();
  });

  it('does not let in a copy whose count went back, and says so', async () => {
    await add('My phone');
    await group().getByText('My phone', { exact: true }).waitFor();
    await logout();
    await button('Log in with a passkey').click();
    await page.locator('.console').waitFor();
    const { credentials } = await cdp.send('WebAuthn.getCredentials', { authenticatorId });
    const [credential = assert.fail()] = credentials;
    await cdp.send('WebAuthn.clearCredentials', { authenticatorId });
    await cdp.send('WebAuthn.addCredential', {
      authenticatorId,
      credential: { ...credential, signCount: 0 },
    });
    await logout();
    await button('Log in with a passkey').click();
    await page.getByText('This passkey is not let in').waitFor();
    await page.goto(site.link());
    await group().getByText('Its count went back once').waitFor();
    await checkAccess(page);
  });

  it('is nothing without the user verified, and the page says what to do', async () => {
    await cdp.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified: false });
    await add('My phone');
    await group().getByText('That was cancelled, took too long').waitFor();
    assert.equal(await group().getByRole('listitem').count(), 0);
  });

  it('is added after another login, when the last one was a while ago; a password may take it away again', async () => {
    await page.getByLabel('New password').fill(PASSWORD);
    await button('Set the password').click();
    await page.getByText('The password is set. Other browsers are logged out.').waitFor();
    site.clock.aheadMs += RECENT_MS + 1_000;
    await add('My phone');
    const dialog = page.getByRole('dialog', { name: 'Show that it is you' });
    await dialog.waitFor();
    await takePicture(page, '../console/17-again');
    await checkAccess(page);
    await dialog.getByRole('button', { name: 'Cancel' }).click();
    await group().getByText('Nothing was changed.').waitFor();
    await page.evaluate(`
      const head = document.querySelector('.console-head');
      const look = () => { if (!head.querySelector('.notice').hidden) window.wasLost = true; };
      new MutationObserver(look).observe(head, { subtree: true, attributes: true });`);
    await button('Add a passkey').click();
    await dialog.getByLabel('Password', { exact: true }).fill(PASSWORD);
    await dialog.getByRole('button', { name: 'Log in' }).click();
    await group()
      .getByText(/^for hall\.local; added /)
      .waitFor();
    // The old login and its stream ended; the page has gone on with the new one.
    assert.equal(await page.evaluate('window.wasLost'), undefined);
    assert.equal(site.console.view().access.sessions, 1);
    await page.getByLabel('New password').fill(`${PASSWORD}!`);
    const alone = page.getByLabel('Take away all else that was added: passkey “My phone”');
    await alone.check();
    await takePicture(page, '../console/18-alone');
    await checkAccess(page);
    await button('Set the password').click();
    await page.getByText('The password is set, and the only way in besides links.').waitFor();
    await group().getByText('My phone', { exact: true }).waitFor({ state: 'detached' });
    await alone.waitFor({ state: 'hidden' });
  });

  it('a link opened in a page that is logged in takes the place of its login and of its stream', async () => {
    await page.clock.install();
    await page.goto(origin());
    await page.locator('#app[data-ready]').waitFor();
    const began = page.waitForRequest(/\/api\/events\?page=/);
    await page.evaluate(`location.hash = ${JSON.stringify(new URL(site.link()).hash)}`);
    await began;
    await site.network.until('one login', () => site.console.view().access.sessions === 1);
    // The first stream is not missed: nobody dials for it.
    const asked: string[] = [];
    page.on('request', (request) => asked.push(request.url()));
    await page.clock.runFor(10_000);
    await page.evaluate('1');
    assert.deepEqual(asked, []);
  });

  it('is for a name: who came by an address is told so, and where to go', async () => {
    const byAddress = site.link().replace(NAME, '127.0.0.1');
    await page.goto(byAddress);
    await page.locator('#app[data-ready]').waitFor();
    const notice = group().getByText(
      'You came by an address. A passkey belongs to a name, never to an address',
    );
    await notice.waitFor();
    assert.equal(await group().getByRole('textbox').count(), 0);
    const links = await group().getByRole('link').allTextContents();
    assert.ok(
      links.length > 0 && links.every((url) => /^https:\/\/[a-z0-9.-]+:\d+\/$/.test(url)),
      String(links),
    );
    await takePicture(page, '../console/13-address');
    await checkAccess(page);
    // And at the login, where to go with one.
    await page.goto(site.link());
    await add('My phone');
    await group().getByText('My phone', { exact: true }).waitFor();
    await page.goto(`https://127.0.0.1:${site.console.port}/`);
    await button(/^Log out$/).click();
    await page.getByRole('link', { name: origin() }).waitFor();
    assert.equal(await button('Log in with a passkey').count(), 0);
    await checkAccess(page);
  });
});
