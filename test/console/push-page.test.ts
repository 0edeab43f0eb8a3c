/**
 * Notifications in a real Chromium, behind a certificate that it trusts: from the page's button through the gateway's message,
 * received by a push service of the test, to what the service worker shows. Chromium's own push service can't be reached from
 * a test: its subscription is the test's, and what was decrypted is delivered by the debugger.
 */
import assert from 'node:assert/strict';
import type { BrowserContext, CDPSession, Page } from 'playwright-core';
import { checkAccess } from '../web/access.ts';
import { takePicture } from '../web/pictures.ts';
import { ConsoleBrowser } from './console-browser.ts';
import { PushService, Subscriber } from './push-receiver.ts';
import type { ConsoleSite } from './site.ts';
import { NAME } from './trusted.ts';

interface Shown {
  readonly title: string;
  readonly body: string;
  readonly tag: string;
  readonly data: string | null;
}

const SHOWN = `navigator.serviceWorker.getRegistration('/').then((registration) => registration.getNotifications())
  .then((list) => list.map(({ title, body, tag, data }) => ({ title, body, tag, data })))`;

describe('notifications of the console’s page', function () {
  this.timeout(60_000);
  const browser = new ConsoleBrowser({
    isTrusted: true,
    // A window of the tests is a private one, which Chromium remarks; and nobody is logged in at first.
    wanted: /Push API in incognito mode|the server responded with a status of 401/,
  });
  let context: BrowserContext;
  let page: Page;
  let service: PushService;
  let site: ConsoleSite;
  const subscriber = new Subscriber();

  beforeEach(async () => {
    service = await PushService.open();
    const config = { pushHosts: [service.host] };
    ({ site, context, page } = await browser.open({ config, pushCa: service.ca }));
  });
  afterEach(() => service.close());

  const origin = () => `https://${NAME}:${site.console.port}`;
  const card = () => page.getByRole('region', { name: 'Notifications' });
  const shown = (of = page) => of.evaluate(SHOWN) as Promise<readonly Shown[]>;

  async function login(): Promise<void> {
    await page.goto(site.link());
    await page.locator('#app[data-ready]').waitFor();
  }
  /** The policy of the page lets nothing be evaluated in it, so it is asked from outside. */
  async function until(expression: string): Promise<void> {
    const endAt = performance.now() + 10_000;
    while (!(await page.evaluate(expression))) {
      assert.ok(performance.now() < endAt, expression);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  const grant = () => context.grantPermissions(['notifications'], { origin: origin() });
  async function switchOn(): Promise<void> {
    await page.getByLabel('Name of this browser').fill('My phone');
    await page.getByRole('button', { name: 'Notify this browser' }).click();
  }
  /** What a push service that can be reached would hand out. */
  async function stand(): Promise<void> {
    const subscription = JSON.stringify(subscriber.subscription(service.host));
    await context.addInitScript(`
      const given = ${subscription};
      const plain = (text) => atob(text.replaceAll('-', '+').replaceAll('_', '/'));
      Object.assign(PushManager.prototype, {
        getSubscription: async () => null,
        subscribe: async () => ({
          endpoint: given.endpoint,
          getKey: (name) => Uint8Array.from(plain(given[name]), (char) => char.charCodeAt(0)).buffer,
          unsubscribe: async () => true,
        }),
      });
    `);
  }
  /** A PNE of Alice that Bob's gateway wants. @returns the join, in hex */
  async function ask(): Promise<string> {
    const pne = await site.network.pne('Watch');
    const { code } = pne.startEnrolment();
    await site.gateway.pair(code);
    await site.network.gateway('Bob', 'Kitchen', { pn: { invite: true, name: 'Family' } });
    await site.network.until('a message', () => service.received.length > 0);
    return Buffer.from(site.gateway.approvals()[0]?.joinId ?? assert.fail()).toString('hex');
  }
  /** The debugger's hand on the worker of this browser. */
  async function worker(): Promise<{ deliver(data: string): Promise<void> }> {
    const cdp: CDPSession = await context.newCDPSession(page);
    const registered = new Promise<string>((resolve) =>
      cdp.on('ServiceWorker.workerRegistrationUpdated', ({ registrations }) => {
        const own = registrations.find(({ scopeURL }) => scopeURL === `${origin()}/`);
        if (own) resolve(own.registrationId);
      }),
    );
    await cdp.send('ServiceWorker.enable');
    const registrationId = await registered;
    return {
      deliver: async (data) => {
        await cdp.send('ServiceWorker.deliverPushMessage', { origin: origin(), registrationId, data });
      },
    };
  }

  it('says what it needs: permission, and a push service that can be reached', async () => {
    await login();
    await takePicture(page, '../console/14-notifications');
    await checkAccess(page);
    await switchOn();
    await card().getByText('This browser forbids the page to notify.').waitFor();
    await grant();
    await switchOn();
    await card().getByText('This browser did not reach its push service.').waitFor();
    await checkAccess(page);
    assert.equal(await card().getByRole('listitem').count(), 0);
    assert.equal(service.received.length, 0);
  });

  it('says so as well where the push service never answers', async () => {
    await grant();
    await context.addInitScript('PushManager.prototype.subscribe = () => new Promise(() => {});');
    await page.clock.install();
    await login();
    await switchOn();
    const told = card().getByText('This browser did not reach its push service.');
    // The page gets there in its own time; then its clock goes on.
    for (let i = 0; i < 40 && !(await told.isVisible()); i++) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      await page.clock.runFor(25_000);
    }
    await told.waitFor({ timeout: 1_000 });
    assert.equal(
      await card().getByRole('button', { name: 'Notify this browser' }).getAttribute('aria-disabled'),
      null,
    );
  });

  it('shows a question while the page is closed, and leads to it', async () => {
    await grant();
    await stand();
    await login();
    await switchOn();
    await card().getByText(`by ${service.host}; says what is asked`).waitFor();
    await card().getByRole('button', { name: 'Try it: My phone' }).click();
    await card().getByText('My phone: the push service took it.').waitFor();
    await takePicture(page, '../console/15-notified');
    await checkAccess(page);
    const { deliver } = await worker();
    await deliver(subscriber.decrypt(service.received[0]?.body ?? assert.fail()).toString());
    assert.deepEqual(await shown(), [
      { title: 'Hall', body: 'Notifications arrive here.', tag: 'trial', data: null },
    ]);
    await page.goto('about:blank');
    service.received.length = 0;
    const joinId = await ask();
    await deliver(subscriber.decrypt(service.received[0]?.body ?? assert.fail()).toString());
    // The page opens at the question, as the worker opens it.
    await page.goto(`${origin()}/#question=${joinId}`);
    await page.locator('#app[data-ready]').waitFor();
    const notification = (await shown()).find(({ tag }) => tag === joinId);
    assert.deepEqual(notification, {
      title: 'Hall: a question for you',
      body: 'Bob’s gateway “Kitchen” wants your “Watch” to join “Family”; charges up to EUR 5.00 in 30 days.',
      tag: joinId,
      data: joinId,
    });
    const focused = () => page.evaluate('document.activeElement.textContent') as Promise<string>;
    assert.match(await focused(), /^Bob’s gateway “Kitchen” wants your “Watch”/);
    assert.ok(!page.url().includes('question'), page.url());
    await takePicture(page, '../console/16-at-the-question');
    await checkAccess(page);
    // A page that is open already is brought to it.
    await page.evaluate('document.activeElement.blur()');
    const [running] = context.serviceWorkers();
    await running?.evaluate(`self.registration.getNotifications({ tag: '${joinId}' }).then(([notification]) =>
      self.dispatchEvent(new NotificationEvent('notificationclick', { notification })))`);
    await until('/^Bob/.test(document.activeElement.textContent)');
    assert.deepEqual(
      (await shown()).map(({ tag }) => tag),
      ['trial'],
    );
    // Answered, it is taken away wherever a page sees that.
    await deliver(subscriber.decrypt(service.received[0]?.body ?? assert.fail()).toString());
    assert.equal((await shown()).length, 2);
    await page.getByRole('button', { name: /^Deny/ }).click();
    await page.getByText('Nothing waits for you.').waitFor();
    await until(`${SHOWN}.then((list) => list.length === 1)`);
  });

  it('shows something for a message that it can not read, once each, and never markup', async () => {
    await grant();
    await stand();
    await login();
    await switchOn();
    await card().getByRole('listitem').waitFor();
    const { deliver } = await worker();
    for (const data of ['', '{', 'null', '[]', '{"title":1,"body":2}']) await deliver(data);
    assert.deepEqual(await shown(), [
      { title: 'Gateway', body: 'There is something for you on the page.', tag: 'trial', data: null },
    ]);
    await page.getByRole('button', { name: 'Take off: My phone' }).click();
    await card().getByRole('listitem').waitFor({ state: 'detached' });
    assert.deepEqual(site.console.view().browsers, []);
  });

  it('opens at the question also when somebody has to log in first', async () => {
    await grant();
    await stand();
    await login();
    await switchOn();
    await card().getByRole('listitem').waitFor();
    const joinId = await ask();
    await context.clearCookies();
    await page.goto('about:blank');
    await page.goto(`${origin()}/#question=${joinId}`);
    await page.getByRole('heading', { name: 'Log in at this gateway' }).waitFor();
    await page.evaluate(`location.hash = ${JSON.stringify(new URL(site.link()).hash)}`);
    await page.locator('#app[data-ready]').waitFor();
    await until('/^Bob/.test(document.activeElement.textContent)');
  });
});
