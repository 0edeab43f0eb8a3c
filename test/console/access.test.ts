/**
 * The console for whoever has no mouse, does not see it, has a small screen or large letters, or has chosen their own colours;
 * and its weight.
 */
import assert from 'node:assert/strict';
import { gzipSync } from 'node:zlib';
import type { Page } from 'playwright-core';
import { readPages } from '../../src/console/files.ts';
import { RECENT_MS } from '../../src/console/recent-login.ts';
import { checkAccess } from '../web/access.ts';
import { DESKTOP, PHONE } from '../web/chromium.ts';
import { OUTPUT } from '../web/pictures.ts';
import { SoftAuthenticator } from './authenticator.ts';
import { ConsoleBrowser } from './console-browser.ts';
import type { ConsoleSite } from './site.ts';

/** Script, style, page, icon and worker, as they come over the network. */
const MAX_COMPRESSED_BYTES = 20_000;

describe('the console for everybody', function () {
  this.timeout(60_000);
  // Nobody is logged in for a while; and a login may be too old.
  const browser = new ConsoleBrowser({ wanted: /the server responded with a status of 401/ });
  let page: Page;
  let site: ConsoleSite;

  beforeEach(async () => {
    ({ site, page } = await browser.open({ pn: { name: 'Family', invite: true } }));
    await page.goto(site.link());
    await page.locator('#app[data-ready]').waitFor();
  });

  const focused = () =>
    page.evaluate(
      '(({ ariaLabel, textContent, labels, id }) => ariaLabel || textContent || labels?.[0]?.textContent || id)(document.activeElement)',
    ) as Promise<string>;
  const press = async (...keys: string[]) => {
    for (const key of keys) await page.keyboard.press(key);
  };
  /** Goes on by Tab alone. */
  async function reach(name: RegExp): Promise<void> {
    for (let i = 0; i < 80; i++) {
      if (name.test(await focused())) return;
      await press('Tab');
    }
    assert.fail(`${name} is not to be reached by key`);
  }
  async function until(holds: () => Promise<boolean>): Promise<void> {
    const endAt = performance.now() + 10_000;
    // While a page goes and another one comes nothing holds.
    while (!(await holds().catch(() => false))) {
      assert.ok(performance.now() < endAt, holds.toString());
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  /** A PNE of Alice that Bob's gateway wants, and one that is in already. */
  async function busy(): Promise<void> {
    const home = await site.network.gateway('Cleo', 'Attic');
    const lamp = await site.network.pne('Lamp');
    await home.pair(lamp.startEnrolment().code);
    await site.network.until('a member', () => lamp.status().memberships.length === 1);
    const watch = await site.network.pne('Watch');
    await site.gateway.pair(watch.startEnrolment().code);
    await site.network.until('a question', () => site.gateway.approvals().length > 0);
    await page.getByRole('article', { name: /wants your/ }).waitFor();
  }

  it('everything can be reached by key, in the order in which it is read, and the focus is seen', async () => {
    await busy();
    await page.evaluate('document.activeElement.blur()');
    const tops: [string, number][] = [];
    for (;;) {
      await press('Tab');
      const here = (await page.evaluate(`(() => {
        const element = document.activeElement;
        if (element === document.body || element.dataset.reached) return null;
        element.dataset.reached = 'yes';
        return { top: element.getBoundingClientRect().top + scrollY, outline: getComputedStyle(element).outlineWidth };
      })()`)) as { top: number; outline: string } | null;
      if (!here) break;
      const name = await focused();
      assert.equal(here.outline, '3px', name);
      tops.push([name, here.top]);
    }
    const rest = page.locator(':is(button, input, summary, a[href]):visible:not([data-reached])');
    // A story that goes on meanwhile is drawn anew.
    const names = tops.map(([name]) => name);
    assert.deepEqual(
      (await rest.allTextContents()).filter((text) => !names.includes(text)),
      [],
    );
    assert.equal(tops.shift()?.[0], 'To what waits for your answer');
    // Down the page, but for those that stand side by side.
    for (const [i, [name, top]] of tops.slice(1).entries())
      assert.ok(top >= (tops[i]?.[1] ?? 0) - 60, `${name} stands above ${tops[i]?.[0]}`);
  });

  it('a question is reported, kept waiting or answered by key, and nobody loses their place', async () => {
    await busy();
    await reach(/^To what waits/);
    await press('Enter');
    await reach(/^Report: Watch/);
    await press('Enter');
    await page.getByRole('dialog').waitFor();
    assert.equal(await focused(), 'Cancel');
    await press('Tab', 'Tab', 'Tab');
    assert.ok(
      await page.evaluate(
        'document.activeElement.closest("dialog") !== null || document.activeElement === document.body',
      ),
    );
    await press('Escape');
    await until(async () => /^Report: Watch/.test(await focused()));
    await press('Shift+Tab', 'Shift+Tab');
    assert.match(await focused(), /^Deny: Watch/);
    await press('Enter');
    await page.getByText('Nothing waits for you.').waitFor();
    await until(async () => (await focused()) === 'Waiting for your answer');
    await reach(/^Take off Watch/);
    await press('Enter');
    await page.getByRole('dialog').waitFor();
    await press('Tab', 'Enter');
    await page.getByText('taken off').waitFor();
    await until(async () => (await focused()) === 'Your devices');
    // The login begins at its heading, and so does what comes after it.
    await page.getByLabel('New password').fill('correct horse battery');
    await press('Enter');
    await page.getByText('The password is set').waitFor();
    await reach(/^Log out$/);
    await press('Enter');
    await until(async () => (await focused()) === 'Log in at this gateway');
    await reach(/^Password$/);
    await page.keyboard.type('correct horse battery');
    await press('Enter');
    await until(async () => (await focused()) === 'Hall, the gateway of Alice');
  });

  it('is read aloud with everything that is seen', async () => {
    await busy();
    const read = await page.locator('body').ariaSnapshot();
    for (const part of [
      '- heading "Hall, the gateway of Alice" [level=1]',
      '- region "Waiting for your answer"',
      '- status: 1 waiting for your answer',
      /- article "Alice’s gateway “Hall” wants your “Watch” to join “Family”; charges up to EUR 5\.00 in 30 days\."/,
      'button "Allow once: Watch, Hall"',
      'button "Report: Watch, Hall"',
      '- article "Family"',
      /img "Picture of “Family”: 1 of 2 linked with Hall\. The list below says the same\."/,
      /- listitem:\s+- paragraph: Lamp\s+- text: linked/,
      '- region "Notifications"',
      '- group "Passkeys"',
    ])
      assert.match(
        read,
        typeof part === 'string' ? new RegExp(part.replaceAll(/[[\]().?+*“”]/g, '\\$&')) : part,
      );
    // Marks and dots are for the eye alone.
    assert.ok(!/[✓✕]/.test(read), read);
    const story = page.locator('.story').filter({ hasText: 'A device joins' }).last();
    await story.locator('summary').first().click();
    const ladder = await story.getByRole('list', { name: 'Steps' }).ariaSnapshot();
    assert.match(ladder, /Step 6, done: The device signs everything that was said/);
    assert.match(ladder, /Step 9, done, not seen from here: The home answers/);
  });

  it('needs no second direction to scroll at 320 pixels or with letters twice as large, and any colours do', async () => {
    await busy();
    await page.locator('.story summary').first().click();
    /** What stands out at the right. */
    const outside = () =>
      page.evaluate(`[...document.querySelectorAll('main *, dialog *')].filter((element) =>
        element.getBoundingClientRect().right > innerWidth + 1 && !element.closest('.hidden'))
        .map(({ tagName, className, textContent }) => [tagName, className, textContent.slice(0, 60)].join(' '))`);
    /** What is so narrow that its words fall apart. */
    const broken = () =>
      page.evaluate(`[...document.querySelectorAll('main :is(dd, p, h2, h3, .label, .story-title)')].filter((element) =>
        element.checkVisibility() && !element.closest('.hidden') && element.textContent.length > 12 &&
        element.clientWidth < 5 * parseFloat(getComputedStyle(element).fontSize))
        .map(({ textContent, clientWidth }) => [textContent.slice(0, 60), clientWidth].join(' '))`);
    await page.setViewportSize({ width: 320, height: 640 });
    await page.locator('.graph-frame svg').waitFor();
    assert.deepEqual([await outside(), await broken()], [[], []]);
    await checkAccess(page);
    await page.setViewportSize(PHONE);
    await page.evaluate(`document.documentElement.style.fontSize = '200%'`);
    assert.deepEqual([await outside(), await broken()], [[], []]);
    // In the picture as well, names stand apart.
    const names = await page.locator('.graph-frame .name').all();
    const boxes = await Promise.all(names.map((each) => each.boundingBox()));
    for (const [i, box] of boxes.entries())
      for (const other of boxes.slice(0, i)) {
        if (!box || !other) assert.fail('no picture');
        const apart = Math.abs(box.y - other.y) > box.height || Math.abs(box.x - other.x) > 40;
        assert.ok(apart, JSON.stringify([box, other]));
      }
    // Both at once, and with a name that has no place to break.
    const session = await site.login();
    const { challenge } = (await site.post('passkey-new', {}, session)).json;
    const passkey = new SoftAuthenticator().register({ challenge, origin: site.origin });
    const name = 'LongName'.repeat(8);
    await site.post('passkey-add', { name, passkey }, session);
    await page.getByLabel(`Take away all else that was added: passkey “${name}”`).waitFor();
    await page.setViewportSize({ width: 320, height: 640 });
    assert.deepEqual(await outside(), []);
    site.clock.aheadMs += RECENT_MS + 1_000;
    await page.getByLabel('New password').fill('correct horse battery');
    await page.getByRole('button', { name: 'Set the password' }).click();
    await page.getByRole('dialog').waitFor();
    assert.deepEqual(await outside(), []);
    await page.keyboard.press('Escape');
    await page.setViewportSize(PHONE);
    await page.screenshot({ path: `${OUTPUT}../console/19-large.png`, fullPage: true });
    await page.evaluate(`document.documentElement.style.fontSize = ''`);
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ forcedColors: 'active', colorScheme });
      await page.setViewportSize(DESKTOP);
      await page.screenshot({
        path: `${OUTPUT}../console/20-own-colours-${colorScheme}.png`,
        fullPage: true,
      });
      const [ink, ground] = (await page.evaluate(`(() => {
        const style = (selector) => getComputedStyle(document.querySelector(selector));
        return [style('.node .name').fill, style('.node circle').fill];
      })()`)) as [string, string];
      assert.notEqual(ink, ground);
    }
  });

  it('weighs little', () => {
    const files = [...readPages().files].filter(([path]) => !path.startsWith('/pne/'));
    assert.deepEqual(files.map(([path]) => path.replace(/-[\w-]{8}\./, '.')).sort(), [
      '/',
      '/assets/icon.svg',
      '/assets/index.css',
      '/assets/index.js',
      '/service-worker.js',
    ]);
    const compressed = files.reduce((sum, [, { content }]) => sum + gzipSync(content).length, 0);
    assert.ok(compressed < MAX_COMPRESSED_BYTES, `${compressed} bytes`);
  });
});
