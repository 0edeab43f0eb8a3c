/** Every screen and every refusal of the protocol as the page shows it: words, a next action, axe-core, no breach of the policy. */
import assert from 'node:assert/strict';
import type { Browser, Page } from 'playwright-core';
import { STATUSES } from '../../src/base/statuses.ts';
import { checkAccess } from './access.ts';
import { type Complaints, launchChromium, PHONE, watch } from './chromium.ts';
import { buildWith, type PageServer, serveFolder } from './page-server.ts';
import { OUTPUT, takePicture } from './pictures.ts';

const FITS = 'document.documentElement.scrollWidth <= document.documentElement.clientWidth';

interface Names {
  readonly screens: readonly string[];
  readonly browsers: readonly string[];
  readonly refusals: readonly string[];
}

describe('the views of the PNE’s page', function () {
  this.timeout(120_000);
  let browser: Browser;
  let server: PageServer;
  let page: Page;
  let complaints: Complaints;
  let names: Names;

  before(async function () {
    this.timeout(300_000);
    await buildWith('scripts/web/gallery.config.ts');
    server = await serveFolder(`${OUTPUT}gallery`);
    browser = await launchChromium();
    const context = await browser.newContext({ viewport: PHONE, reducedMotion: 'reduce' });
    complaints = await watch(context, server.origin);
    page = await context.newPage();
    await page.goto(server.url);
    names = (await page.evaluate('cpnsNames')) as Names;
  });
  after(async () => {
    await browser?.close();
    await server?.close();
  });
  afterEach(() => assert.deepEqual({ ...complaints }, { breaches: [], foreign: [], errors: [] }));

  const show = (name: string) => page.evaluate(`cpnsShow(${JSON.stringify(name)})`);

  it('have words and a next action for every refusal, and no two alike', async () => {
    assert.equal(names.refusals.length, Object.keys(STATUSES).length - 1);
    const told = new Map<string, string>();
    for (const status of names.refusals) {
      await show(status);
      const says = await page.locator('.notice h2').textContent();
      const next = await page.locator('.notice p').first().textContent();
      assert.ok(says && next && says.length > 10 && next.length > 10, status);
      assert.ok(!/[<>{}]|undefined|PNE|GW/.test(says + next), `${status}: ${says} ${next}`);
      assert.equal(told.get(says), undefined, `${status} says the same`);
      told.set(says, status);
      assert.equal(await page.locator('.notice .button-primary').count(), 1, status);
      assert.equal(await page.locator('.step-failed').count(), 1, `${status} has its place on the ladder`);
      assert.ok(await page.evaluate(FITS), `${status} fits a phone`);
    }
  });

  it('are accessible and inert whatever a network is called', async () => {
    for (const name of [...names.screens, ...names.browsers, 'user-refused']) {
      await show(name);
      await takePicture(page, `gallery-${name.replaceAll(/\W+/g, '-')}`);
      await checkAccess(page);
      assert.equal(await page.locator('b, img').count(), 0, `${name}: markup of a label came alive`);
      assert.ok(await page.evaluate(FITS), `${name} fits a phone`);
    }
  });
});
