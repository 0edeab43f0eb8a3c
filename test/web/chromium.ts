/**
 * A real Chromium for the tests of the pages: Debian's, installed by apt where it is missing and may be, driven by
 * playwright-core. Owns finding it, the flags, and what every page test watches: CSP breaches, requests to elsewhere, errors.
 */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';

const PATH = '/usr/bin/chromium';

/** @throws Error saying why there is none */
export function chromiumPath(): string {
  if (existsSync(PATH)) return PATH;
  if (process.getuid?.() !== 0)
    throw new Error(
      'the tests of the pages need Chromium: apt-get install chromium (this process is not root)',
    );
  const options = { stdio: 'pipe', env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } } as const;
  execFileSync('apt-get', ['update'], options);
  execFileSync('apt-get', ['install', '--yes', '--no-install-recommends', 'chromium'], options);
  return PATH;
}

/** @param more flags of one test */
export function launchChromium(...more: readonly string[]): Promise<Browser> {
  return chromium.launch({
    executablePath: chromiumPath(),
    args: [
      '--headless=new',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--enable-features=WebBluetooth',
      '--enable-experimental-web-platform-features',
      ...more,
    ],
  });
}

export const PHONE = { width: 390, height: 844 } as const;
export const DESKTOP = { width: 1280, height: 800 } as const;

/** What must stay empty, whatever a page does. */
export interface Complaints {
  readonly breaches: string[];
  readonly foreign: string[];
  readonly errors: string[];
}

/** Watches every page of a context from its first line on. @param origin where requests may go */
export async function watch(context: BrowserContext, origin: string): Promise<Complaints> {
  const complaints: Complaints = { breaches: [], foreign: [], errors: [] };
  await context.exposeFunction('cpnsBreach', (text: string) => complaints.breaches.push(text));
  await context.addInitScript(`
    document.addEventListener('securitypolicyviolation', (event) =>
      cpnsBreach(event.violatedDirective + ' ' + event.blockedURI + ' ' + event.sourceFile + ':' + event.lineNumber));
  `);
  context.on('request', (request) => {
    if (!request.url().startsWith(origin)) complaints.foreign.push(request.url());
  });
  context.on('page', (page: Page) => {
    page.on('pageerror', (error) => complaints.errors.push(error.stack ?? error.message));
    page.on('console', (message) => {
      if (message.type() === 'error') complaints.errors.push(message.text());
    });
  });
  return complaints;
}
