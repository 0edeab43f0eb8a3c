/**
 * A whole network in one process for tests: the real server, gateways and PNEs, real TLS on loopback, real SQLite files,
 * the unmodified noble and bleno on the virtual radio. Processes of their own are in test/e2e.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromHex } from '../../src/base/bytes.ts';
import { openVirtualRadio, type VirtualRadio, type VirtualRadioOptions } from '../../src/bluetooth/open.ts';
import type { GatewayConfig } from '../../src/config/gateway-config.ts';
import type { PneConfig } from '../../src/config/pne-config.ts';
import { enrolAtServer } from '../../src/nodes/gateway/enrol.ts';
import type { GatewayEvent } from '../../src/nodes/gateway/events.ts';
import { type GatewayNode, openGateway } from '../../src/nodes/gateway/gateway.ts';
import type { PneEvent } from '../../src/nodes/pne/events.ts';
import { openPne, type PneNode, type PneOptions } from '../../src/nodes/pne/pne.ts';
import { initServer, openServerAdmin } from '../../src/nodes/server/admin.ts';
import { type CpnsServer, openServer, type ServerOptions } from '../../src/nodes/server/server.ts';
import { systemClock } from '../../src/nodes/system-clock.ts';
import type { TraceEvent } from '../../src/nodes/trace.ts';
import { loadOrCreateKey } from '../../src/security/keystore.ts';
import { nodePrimitives } from '../../src/security/primitives-node.ts';
import { openGatewayStore } from '../../src/store/gateway-store.ts';

export interface NetworkOptions {
  readonly radio?: Omit<VirtualRadioOptions, 'path'>;
  readonly server?: Partial<ServerOptions>;
}

export class TestNetwork {
  readonly dir = mkdtempSync(join(tmpdir(), 'cpns-test-'));
  readonly trace: TraceEvent[] = [];
  readonly events: (GatewayEvent | PneEvent)[] = [];
  readonly #options: NetworkOptions;
  readonly #closers: (() => Promise<unknown>)[] = [];
  radio!: VirtualRadio;
  server!: CpnsServer;

  private constructor(options: NetworkOptions) {
    this.#options = options;
  }

  static async open(options: NetworkOptions = {}): Promise<TestNetwork> {
    const network = new TestNetwork(options);
    network.radio = await openVirtualRadio({ path: join(network.dir, 'radio.sock'), ...options.radio });
    const { clock } = options.server ?? {};
    initServer({ stateDir: network.serverDir, realm: 'op.example', ...(clock && { clock }) });
    await network.startServer();
    return network;
  }

  get serverDir(): string {
    return join(this.dir, 'server');
  }

  async startServer(): Promise<void> {
    const port = this.server ? Number(new URL(this.server.url).port) : 0;
    this.server = await openServer({
      stateDir: this.serverDir,
      port,
      onTrace: (event) => this.trace.push(event),
      ...this.#options.server,
    });
  }

  /** Enrols and opens a gateway of a user; the user is added when new. */
  async gateway(
    user: string,
    label: string,
    changes: {
      pn?: Partial<GatewayConfig['pn']>;
      approvals?: GatewayConfig['approvals'];
      adapter?: string;
      bluetooth?: Partial<GatewayConfig['bluetooth']>;
      onTrace?: (event: TraceEvent) => void;
      onHeard?: (event: TraceEvent) => void;
      onEvent?: (event: GatewayEvent) => void;
    } = {},
    beforeStart: () => void = () => {},
  ): Promise<GatewayNode> {
    const stateDir = join(this.dir, `gateway-${user}-${label}`);
    mkdirSync(stateDir, { mode: 0o700, recursive: true });
    await this.enrolGateway(stateDir, user, label);
    const config: GatewayConfig = {
      server: { url: this.server.url },
      bluetooth: {
        ...{ adapter: this.radio.moniker, capture: undefined, randomAddress: true },
        ...changes.bluetooth,
      },
      pn: {
        name: `${label} PN`,
        invite: false,
        capability: fromHex('a0'),
        subscription: 'sub',
        ...changes.pn,
      },
      approvals: changes.approvals ?? { default: 'allow', rules: [{ decision: 'allow' }] },
      log: { level: 'silent' },
    };
    beforeStart();
    const gateway = await openGateway({
      stateDir,
      config,
      adapter: changes.adapter,
      onTrace: (event) => {
        this.trace.push(event);
        changes.onTrace?.(event);
      },
      onHeard: changes.onHeard,
      onEvent: (event) => {
        this.events.push(event);
        changes.onEvent?.(event);
      },
    });
    this.#closers.unshift(() => gateway.close());
    return gateway;
  }

  /** A token for a gateway of a user, who is added when new. */
  token(user: string, label: string): string {
    const admin = openServerAdmin(this.serverDir, this.#options.server?.clock);
    if (!admin.users().some((known) => known.label === user)) admin.addUser(user);
    const { token } = admin.createToken({ user, gatewayLabel: label });
    admin.close();
    return token;
  }

  async enrolGateway(stateDir: string, user: string, label: string): Promise<void> {
    const token = this.token(user, label);
    const store = openGatewayStore(join(stateDir, 'gateway.sqlite'));
    await enrolAtServer({
      store,
      signer: loadOrCreateKey(join(stateDir, 'identity.pem')),
      primitives: nodePrimitives(),
      clock: systemClock,
      serverUrl: this.server.url,
      token,
    });
    store.close();
  }

  async pne(
    name: string,
    changes: Partial<Pick<PneOptions, 'ask' | 'capture' | 'adapter' | 'clock'>> & {
      device?: Partial<PneConfig['device']>;
      bluetooth?: Partial<PneConfig['bluetooth']>;
    } = {},
  ): Promise<PneNode> {
    const stateDir = join(this.dir, `pne-${name}`);
    mkdirSync(stateDir, { mode: 0o700, recursive: true });
    const config: PneConfig = {
      bluetooth: {
        ...{ adapter: this.radio.moniker, capture: undefined, randomAddress: true },
        ...changes.bluetooth,
      },
      device: {
        kind: 'device',
        model: undefined,
        pneId: name,
        capability: new Uint8Array(60),
        contents: [],
        ...changes.device,
      },
      join: { policy: 'accept', rules: [] },
      log: { level: 'silent' },
    };
    const pne = await openPne({
      stateDir,
      config,
      capture: changes.capture,
      adapter: changes.adapter,
      clock: changes.clock,
      ask: changes.ask ?? (() => Promise.resolve('ok' as const)),
      onTrace: (event) => this.trace.push(event),
      onEvent: (event) => this.events.push(event),
    });
    this.#closers.unshift(() => pne.close());
    return pne;
  }

  /** A code that a gateway shows; its user finds the digits the same where a PNE of this network shows them. */
  showCode(home: GatewayNode): ReturnType<GatewayNode['showCode']> {
    return home.showCode((comparison) => {
      if (comparison) void this.#compare(home, comparison.digits);
    });
  }

  async #compare(home: GatewayNode, digits: string): Promise<void> {
    const isShown = () => this.events.some((event) => event.kind === 'comparing' && event.digits === digits);
    const same = await this.until('the same digits at a PNE', isShown).then(
      () => true,
      () => false,
    );
    home.compared(digits, same);
  }

  /** Settles when the condition holds; looked at often, for what has no event. */
  async until(what: string, holds: () => boolean, limitMs = 8_000): Promise<void> {
    const endAt = performance.now() + limitMs;
    while (!holds()) {
      if (performance.now() > endAt) throw new Error(`${what}: not within ${limitMs} ms`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  async close(): Promise<void> {
    for (const close of this.#closers) await close();
    await this.server.close();
    await this.radio.close();
    rmSync(this.dir, { recursive: true, force: true });
  }
}
