/**
 * A page of another service on the same host name, in the browser that is logged in at the console: to browsers the same
 * site, with the same cookies. Whatever it tries, it reads nothing and changes nothing.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { launchChromium } from '../web/chromium.ts';
import { buildPages, ConsoleSite } from './site.ts';
import { NAME, type Trusted, trustedCertificate } from './trusted.ts';

describe('a page of another service on the console’s host', function () {
  this.timeout(60_000);
  let trusted: Trusted;
  let browser: Browser;
  let context: BrowserContext;
  let page: Page;
  let site: ConsoleSite;
  let elsewhere: Server;
  let cookies = '';

  before(async function () {
    this.timeout(300_000);
    await buildPages();
    trusted = trustedCertificate();
    browser = await launchChromium(...trusted.flags);
    site = await ConsoleSite.open({ config: trusted.config });
    const { cert, key } = trusted.config;
    elsewhere = createServer(
      { cert: readFileSync(cert), key: readFileSync(key) },
      ({ headers }, response) => {
        cookies += headers.cookie ?? '';
        response.writeHead(200, { 'content-type': 'text/html' }).end('<title>evil</title>');
      },
    );
    await new Promise<void>((resolve) => elsewhere.listen(0, '127.0.0.1', resolve));
    const pne = await site.network.pne('Watch');
    await site.gateway.pair(pne.startEnrolment().code);
    context = await browser.newContext();
    page = await context.newPage();
    await page.goto(site.link());
    await page.locator('#app[data-ready]').waitFor();
    await page.goto(`https://${NAME}:${(elsewhere.address() as AddressInfo).port}/`);
  });
  after(async () => {
    await browser?.close();
    elsewhere?.close();
    elsewhere?.closeAllConnections();
    await site?.close();
    trusted?.remove();
  });

  const target = () => `https://${NAME}:${site.console.port}`;
  const revoke = () => JSON.stringify({ thumbprint: site.gateway.pnes()[0]?.thumbprint });
  /** In the page. @param code of an async function that is given `target` and `body` */
  const there = (code: string) =>
    page.evaluate(
      `(async (target, body) => { ${code} })(${JSON.stringify(target())}, ${JSON.stringify(revoke())})`,
    );

  it('gets the cookie of the console, as every service of that name does', () => {
    assert.match(cookies, /__Host-cpns-console=/);
  });

  it('reads nothing', async () => {
    const read = await there(`
      const tried = [
        fetch(target + '/api/state', { credentials: 'include' }).then((answer) => answer.text()),
        fetch(target + '/', { credentials: 'include' }).then((answer) => answer.text()),
        new Promise((resolve, reject) => {
          const source = new EventSource(target + '/api/events', { withCredentials: true });
          source.onmessage = ({ data }) => resolve(data);
          source.onerror = () => { source.close(); reject(); };
        }),
        new Promise((resolve, reject) => {
          const script = document.createElement('script');
          Object.assign(script, { src: target + '/api/state', onload: () => resolve('a script'), onerror: reject });
          document.body.append(script);
        }),
        new Promise((resolve, reject) => {
          const image = new Image();
          Object.assign(image, { src: target + '/api/state', onload: () => resolve('an image'), onerror: reject });
        }),
        new Promise((resolve, reject) => {
          const socket = new WebSocket(target.replace('https', 'wss') + '/api/events');
          Object.assign(socket, { onopen: () => resolve('a socket'), onerror: reject });
        }),
      ];
      return (await Promise.allSettled(tried)).map(({ value }) => value ?? null);
    `);
    assert.deepEqual(read, Array(6).fill(null));
  });

  it('changes nothing, by a request that it may make unasked or by a form', async () => {
    await there(`
      const json = { 'content-type': 'application/json', 'x-cpns-console': '1' };
      for (const init of [
        { mode: 'no-cors', headers: { 'content-type': 'text/plain' } },
        { mode: 'no-cors' },
        { headers: json },
        { headers: { 'content-type': 'application/json' } },
      ])
        await fetch(target + '/api/revoke', { method: 'POST', credentials: 'include', body, ...init }).catch(() => {});
      navigator.sendBeacon(target + '/api/revoke', body);
      const form = document.createElement('form');
      const frame = document.createElement('iframe');
      frame.name = 'frame';
      Object.assign(form, { method: 'post', enctype: 'text/plain', target: 'frame', action: target + '/api/revoke' });
      const input = document.createElement('input');
      const [name, value] = [body.slice(0, 15), body.slice(15)];
      Object.assign(input, { name, value });
      form.append(input);
      document.body.append(frame, form);
      const loaded = new Promise((resolve) => frame.addEventListener('load', resolve));
      form.submit();
      await Promise.race([loaded, new Promise((resolve) => setTimeout(resolve, 2_000))]);
    `);
    assert.equal(site.gateway.pnes()[0]?.revoked, false);
    assert.deepEqual(site.faults, []);
  });

  it('has no hold of the console’s window, and no frame of it', async () => {
    const opening = context.waitForEvent('page');
    const seen = await there(`
      window.other = open(target + '/');
      const frame = document.createElement('iframe');
      frame.src = target + '/';
      const loaded = new Promise((resolve) => frame.addEventListener('load', resolve));
      document.body.append(frame);
      await loaded;
      return frame.contentDocument?.title ?? null;
    `);
    assert.equal(seen, null);
    const opened = await opening;
    await opened.locator('#app[data-ready]').waitFor();
    assert.equal(await opened.evaluate('window.opener'), null);
    assert.equal(await page.evaluate('window.other.closed'), true);
    const [, framed] = page.frames();
    assert.equal(await framed?.locator('#app').count(), 0);
  });
});
