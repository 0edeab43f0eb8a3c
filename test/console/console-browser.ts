/**
 * For a describe: a Chromium, and for each of its tests a gateway with its console and a page in a browser that knows nothing
 * yet, watched from its first line on. Owns opening and closing them, and what must not have been heard by then.
 */
import assert from 'node:assert/strict';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { type Complaints, launchChromium, PHONE, watch } from '../web/chromium.ts';
import { buildPages, ConsoleSite, type SiteOptions } from './site.ts';
import { NAME, NAME_FLAG, type Trusted, trustedCertificate } from './trusted.ts';

export interface ConsoleBrowserOptions {
  /** With a certificate that the browser trusts, at {@link NAME}; without, it takes any. */
  readonly isTrusted?: boolean;
  /** What a browser calls an error and the tests want: a refusal of the gateway, say. */
  readonly wanted: RegExp;
}

export interface Opened {
  readonly site: ConsoleSite;
  readonly context: BrowserContext;
  readonly page: Page;
}

export class ConsoleBrowser {
  readonly #wanted: RegExp;
  #trusted: Trusted | undefined;
  #browser!: Browser;
  #site: ConsoleSite | undefined;
  #context: BrowserContext | undefined;
  #complaints: Complaints = { breaches: [], foreign: [], errors: [] };

  constructor({ isTrusted = false, wanted }: ConsoleBrowserOptions) {
    this.#wanted = wanted;
    const begin = async () => {
      await buildPages();
      if (isTrusted) this.#trusted = trustedCertificate();
      this.#browser = await launchChromium(...(this.#trusted?.flags ?? [NAME_FLAG]));
    };
    before(async function () {
      this.timeout(300_000);
      await begin();
    });
    after(async () => {
      await this.#browser?.close();
      this.#trusted?.remove();
    });
    afterEach(() => this.#end());
  }

  get browser(): Browser {
    return this.#browser;
  }

  /** @param origin where requests may go: as an address begins; the site's own by default */
  async open({ config, ...options }: SiteOptions = {}, origin?: string): Promise<Opened> {
    const site = await ConsoleSite.open({ ...options, config: { ...this.#trusted?.config, ...config } });
    this.#site = site;
    const own = this.#trusted ? `https://${NAME}:${site.console.port}` : site.origin;
    return { site, ...(await this.another(origin ?? own)) };
  }

  /** In the place of the one before. @param origin as for {@link open} */
  async another(origin: string): Promise<Omit<Opened, 'site'>> {
    await this.#context?.close();
    const context = await this.#browser.newContext({
      ignoreHTTPSErrors: this.#trusted === undefined,
      viewport: PHONE,
      reducedMotion: 'reduce',
    });
    this.#context = context;
    this.#complaints = await watch(context, origin);
    return { context, page: await context.newPage() };
  }

  /** What one test alone wants. */
  forgive(error: RegExp): void {
    const { errors } = this.#complaints;
    errors.splice(0, errors.length, ...errors.filter((text) => !error.test(text)));
  }

  async #end(): Promise<void> {
    await this.#context?.close();
    await this.#site?.close();
    const faults = this.#site?.faults ?? [];
    this.#context = undefined;
    this.#site = undefined;
    const errors = this.#complaints.errors.filter((text) => !this.#wanted.test(text));
    assert.deepEqual({ ...this.#complaints, errors }, { breaches: [], foreign: [], errors: [] });
    assert.deepEqual(faults, []);
  }
}
