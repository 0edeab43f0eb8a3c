/**
 * A gateway with its console, in a real network on the virtual radio, and an HTTPS client that says exactly what it is told
 * to.
 */
import assert from 'node:assert/strict';
import { Agent, request as httpsRequest, type RequestOptions } from 'node:https';
import { join } from 'node:path';
import type { Clock } from '../../src/base/time.ts';
import { type ConsoleConfig, NO_CONTACT } from '../../src/config/console-config.ts';
import type { GattRole } from '../../src/config/parts.ts';
import { type Console, openConsole } from '../../src/console/console.ts';
import type { GatewayNode } from '../../src/nodes/gateway/gateway.ts';
import { systemClock } from '../../src/nodes/system-clock.ts';
import { TestNetwork } from '../nodes/network.ts';
import { buildWith } from '../web/page-server.ts';

/** Builds both pages, once a process. */
export async function buildPages(): Promise<void> {
  await buildWith('scripts/web/pne.config.ts');
  await buildWith('scripts/web/console.config.ts');
}

export interface SiteOptions {
  readonly as?: GattRole;
  readonly config?: Partial<ConsoleConfig>;
  readonly pn?: { readonly name: string; readonly invite: boolean };
  /** What push services of a test are believed under. */
  readonly pushCa?: string;
}

/** A clock that a test puts forward. */
export class TestClock implements Clock {
  aheadMs = 0;
  monotonicMs = (): number => systemClock.monotonicMs() + this.aheadMs;
  wallMs = (): number => systemClock.wallMs() + this.aheadMs;
  wallSeconds = (): number => Math.floor(this.wallMs() / 1000);
}

export interface Answer {
  readonly http: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: what the console answers, judged by the test
  readonly json: any;
}

export class ConsoleSite {
  readonly network: TestNetwork;
  readonly gateway: GatewayNode;
  readonly clock = new TestClock();
  readonly faults: unknown[] = [];
  readonly #config: Partial<ConsoleConfig>;
  /** A browser keeps its connections, too. */
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 8 });
  console!: Console;
  /** What push services of a test are believed under. */
  pushCa: string | undefined;

  private constructor(network: TestNetwork, gateway: GatewayNode, config: Partial<ConsoleConfig>) {
    this.network = network;
    this.gateway = gateway;
    this.#config = config;
  }

  static async open({ as = 'central', config = {}, pn, pushCa }: SiteOptions = {}): Promise<ConsoleSite> {
    const network = await TestNetwork.open();
    let site: ConsoleSite | undefined;
    const gateway = await network.gateway('Alice', 'Hall', {
      approvals: { default: 'ask', rules: [] },
      bluetooth: { as },
      ...(pn && { pn }),
      onTrace: (event) => site?.console?.trace(event),
      onHeard: (event) => site?.console?.trace(event),
      onEvent: (event) => site?.console?.event(event),
    });
    site = new ConsoleSite(network, gateway, config);
    site.pushCa = pushCa;
    await site.openConsole({}, as);
    return site;
  }

  get stateDir(): string {
    return join(this.network.dir, 'gateway-Alice-Hall');
  }

  /** Once more, with what it had at first. @param change of that */
  async openConsole(change: Partial<ConsoleConfig> = {}, as: GattRole = 'central'): Promise<void> {
    this.console = await openConsole({
      stateDir: this.stateDir,
      config: {
        ...{ listen: { host: '127.0.0.1', port: 0 }, names: ['localhost'] },
        ...{ pushHosts: [], pushContact: NO_CONTACT, ...this.#config, ...change },
      },
      pushCa: this.pushCa,
      gateway: this.gateway,
      as,
      clock: this.clock,
      onFault: (error) => this.faults.push(error),
    });
  }

  get origin(): string {
    return `https://localhost:${this.console.port}`;
  }

  /** A link as the shell prints it. */
  link(): string {
    return this.console.link().urls[0] ?? '';
  }

  token(): string {
    return this.link().split('#login=')[1] ?? '';
  }

  send(method: string, path: string, options: RequestOptions = {}, body?: string): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const request = httpsRequest(
        {
          ...{ host: '127.0.0.1', port: this.console.port, path, method, agent: this.#agent },
          // Which certificate it is, the test of certificates says.
          rejectUnauthorized: false,
          ...options,
          headers: { host: `localhost:${this.console.port}`, ...options.headers },
        },
        (response) => {
          let text = '';
          response.setEncoding('utf8');
          response.on('data', (chunk) => (text += chunk));
          response.on('error', reject);
          response.on('end', () => {
            const isJson = response.headers['content-type']?.startsWith('application/json');
            const { statusCode: http = 0, headers } = response;
            resolve({ http, headers, text, json: isJson ? JSON.parse(text) : undefined });
          });
        },
      );
      request.on('error', reject);
      request.end(body);
    });
  }

  get(path: string, headers: Record<string, string> = {}): Promise<Answer> {
    return this.send('GET', path, { headers });
  }

  /** As the page posts, with what a test changes. */
  post(name: string, body: unknown, headers: Record<string, string | undefined> = {}): Promise<Answer> {
    const usual = { origin: this.origin, 'content-type': 'application/json', 'x-cpns-console': '1' };
    const all = Object.entries({ ...usual, ...headers }).filter((entry) => entry[1] !== undefined);
    return this.send(
      'POST',
      `/api/${name}`,
      { headers: Object.fromEntries(all) as Record<string, string> },
      typeof body === 'string' ? body : JSON.stringify(body),
    );
  }

  /** @returns the Cookie header of a new session */
  async login(): Promise<{ readonly cookie: string }> {
    return cookieOf(await this.post('login-link', { token: this.token() }));
  }

  async close(): Promise<void> {
    this.#agent.destroy();
    await this.console.close();
    await this.network.close();
  }
}

/** What a browser would send back. */
export function cookieOf({ headers }: Answer): { readonly cookie: string } {
  const [first = ''] = [headers['set-cookie'] ?? ''].flat();
  return { cookie: first.split(';')[0] ?? '' };
}

/** Hooks of a suite: the pages built once, a console of its own for each test, and nothing at the end that it took for a fault. */
export function openForEach(use: (site: ConsoleSite) => void): void {
  let site: ConsoleSite;
  before(async function () {
    this.timeout(300_000);
    await buildPages();
  });
  beforeEach(async () => {
    site = await ConsoleSite.open();
    use(site);
  });
  afterEach(async () => {
    await site.close();
    assert.deepEqual(site.faults, []);
  });
}
