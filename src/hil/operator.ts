/**
 * Everything of a run that is not measured: the operator's server on loopback, the home gateway that owns the PNEs, and
 * for each run a new initiating gateway, enrolled, with a network of its own. All in this process, all in one directory.
 * The home gateway needs the real adapter only to enrol the PNEs; afterwards it hears nothing, on a radio of its own.
 */
import { join } from 'node:path';
import { openVirtualRadio, type VirtualRadio } from '../bluetooth/open.ts';
import { type GatewayConfig, gatewayDefaults } from '../config/gateway-config.ts';
import { type GatewayNode, type GatewayOptions, openGateway } from '../nodes/gateway/gateway.ts';
import { enrolGatewayState, makeGateway } from '../nodes/gateway/state.ts';
import { initServer, openServerAdmin } from '../nodes/server/admin.ts';
import { type CpnsServer, openServer } from '../nodes/server/server.ts';
import { makeDirectory } from '../security/durable-file.ts';
import { openPatiently } from './patience.ts';

const REALM = 'hil.cpns.example';
const OWNER = 'owner';
const INITIATOR = 'initiator';

type Watching = Pick<GatewayOptions, 'capture' | 'onEvent' | 'onTrace' | 'onSecret' | 'onRadioGone'>;

export class Operator {
  readonly #dir: string;
  readonly #server: CpnsServer;
  #radio: VirtualRadio | undefined;
  #home: GatewayNode | undefined;
  #gateways = 0;

  private constructor(dir: string, server: CpnsServer) {
    this.#dir = dir;
    this.#server = server;
  }

  /** @param dir empty, for all state */
  static async open(dir: string): Promise<Operator> {
    const stateDir = join(dir, 'server');
    initServer({ stateDir, realm: REALM, hosts: ['localhost', '127.0.0.1'] });
    const operator = new Operator(dir, await openServer({ stateDir, port: 0 }));
    const admin = openServerAdmin(stateDir);
    try {
      for (const user of [OWNER, INITIATOR]) admin.addUser(user);
    } finally {
      admin.close();
    }
    return operator;
  }

  /** The home gateway, on the adapter by which it finds its PNEs. */
  async openHome(adapter: string, watching: Watching): Promise<GatewayNode> {
    const stateDir = await this.#enrolled('home', OWNER);
    this.#home = await this.#openHome(stateDir, adapter, watching);
    return this.#home;
  }

  /** The home gateway leaves the adapter to others and goes on answering the server. */
  async moveHome(): Promise<void> {
    await this.#home?.close();
    this.#radio = await openVirtualRadio({ path: join(this.#dir, 'nobody.sock') });
    this.#home = await this.#openHome(join(this.#dir, 'home'), this.#radio.moniker, {});
  }

  #openHome(stateDir: string, adapter: string, watching: Watching): Promise<GatewayNode> {
    const config: GatewayConfig = {
      ...gatewayDefaults(this.#server.url),
      // Its owner has said in advance whom to trust: no person is measured.
      approvals: { default: 'ask', rules: [{ decision: 'allow', user: INITIATOR }] },
    };
    return openPatiently(() => openGateway({ stateDir, config, adapter, ...watching }));
  }

  /** A new initiating gateway: its network is new, and every step is gone through. */
  async openGateway(adapter: string, watching: Watching): Promise<GatewayNode> {
    const stateDir = await this.#enrolled(`gateway-${++this.#gateways}`, INITIATOR);
    const defaults = gatewayDefaults(this.#server.url);
    const config: GatewayConfig = { ...defaults, pn: { ...defaults.pn, name: 'HIL', invite: true } };
    return openPatiently(() => openGateway({ stateDir, config, adapter, ...watching }));
  }

  async #enrolled(name: string, user: string): Promise<string> {
    const stateDir = join(this.#dir, name);
    makeDirectory(stateDir);
    makeGateway(stateDir);
    const admin = openServerAdmin(join(this.#dir, 'server'));
    try {
      const { token } = admin.createToken({ user, gatewayLabel: name });
      await enrolGatewayState(stateDir, this.#server.url, token);
    } finally {
      admin.close();
    }
    return stateDir;
  }

  async close(): Promise<void> {
    await this.#home?.close().catch(() => {});
    await this.#server.close().catch(() => {});
    await this.#radio?.close();
  }
}
