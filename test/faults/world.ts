/**
 * The world of one cell: server, home gateway, initiating gateway and PNE as processes of the real program on a virtual
 * radio of their own, everybody enrolled and nobody joined. Enrolment is done once, for a template whose state each world
 * copies. Owns lifetimes, ports and what was said; must not know the matrix.
 */
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Status } from '../../src/base/statuses.ts';
import { openVirtualRadio, type VirtualRadio } from '../../src/bluetooth/virtual-radio/server.ts';
import { GATEWAY_DATABASE, makeGateway } from '../../src/cli/actions/gateway-setup.ts';
import {
  type Cast,
  gatewaysOf,
  layOut,
  type Part,
  writeHomeConfig,
  writeInitiatorConfig,
  writePneConfig,
  writeServerConfig,
} from '../../src/cli/demo/cast.ts';
import { type ChildLine, Children } from '../../src/cli/demo/children.ts';
import { enrolGateways } from '../../src/cli/demo/enrol-gateways.ts';
import { callControl } from '../../src/nodes/control-socket.ts';
import { initServer, openServerAdmin } from '../../src/nodes/server-admin.ts';
import { openGatewayStore } from '../../src/store/gateway-store.ts';
import { type LifePlan, PartyProcess, underPlan } from './party.ts';
import { PARTIES, type Party, type Plan, ROLES } from './plan.ts';
import type { JournalEntry } from './safety.ts';

const PRELOAD = fileURLToPath(new URL('./preload.js', import.meta.url));
/** Below the ports that systems give to outgoing connections, so that a server finds its own again after a restart. */
const [FIRST_PORT, LAST_PORT] = [15_000, 31_999];
const ARGUMENTS: Readonly<Record<Party, readonly string[]>> = {
  pne: ['pne', 'run'],
  gw2: ['gateway', 'run'],
  server: ['server', 'run'],
  gw1: ['gateway', 'run'],
};

/** A directory with everybody's state, enrolled. */
export interface Template {
  readonly root: string;
}

/** How long ago everybody was enrolled: a clock that jumps back by an hour must not be before their certificates. */
const ENROLLED_AGO_MS = 6 * 3_600_000;

/** Enrols both gateways and the PNE with real processes, once. */
export async function makeTemplate(root: string): Promise<Template> {
  const cast = layOut(root, 1, false);
  const [home] = cast.homes;
  if (!home) throw new Error('a cast without a home');
  const children = new Children({ onLine: () => {}, onDeath: () => {} });
  const radio = await openVirtualRadio({ path: join(root, 'radio.sock') });
  const run = (role: string, { name, stateDir, configFile, logFile }: Part, ...more: string[]) => {
    const clockFile = join(root, `${name}.clock`);
    writeFileSync(clockFile, `-${ENROLLED_AGO_MS}`);
    const plan: Plan = { party: name as Party, role: ROLES[name as Party], stateDir, clockFile };
    const args = [role, 'run', '--state', stateDir, '--config', configFile, ...more];
    return children.start(
      name,
      args,
      logFile,
      underPlan(PRELOAD, plan, (wire) => wire.resume()),
    );
  };
  try {
    writePneConfig(home, radio.moniker);
    writeServerConfig(cast);
    initServer({
      stateDir: cast.server.stateDir,
      realm: cast.realm,
      hosts: ['localhost', '127.0.0.1'],
      clock: { wallSeconds: () => Math.floor((Date.now() - ENROLLED_AGO_MS) / 1000) },
    });
    const pne = run('pne', home.pne, '--enrol');
    const { url = '' } = await run('server', cast.server).waitFor('ready');
    for (const { part } of gatewaysOf(cast)) makeGateway(part.stateDir);
    await enrolGateways(cast, url);
    writeHomeConfig(home, url, radio.moniker);
    const gateway = run('gateway', home.gateway);
    const [shown] = await Promise.all([pne.waitFor('code'), gateway.waitFor('ready')]);
    await callControl(home.gateway.stateDir, 'pair', { code: shown.code ?? '' });
    await pne.waitFor('enrolled');
    return { root };
  } finally {
    await children.stop();
    await radio.close();
  }
}

export interface WorldOptions {
  readonly template: Template;
  /** New, and short enough for the sockets in it. */
  readonly root: string;
  /** Lines for the server's configuration. */
  readonly serverConfig?: string;
  readonly onEntry: (entry: JournalEntry) => void;
  /** A process ended that nobody had ended. */
  readonly onDeath: (party: string, how: string) => void;
}

/** The last thing a party said of a link or a join, by its status. */
type Told = { readonly [P in 'pne' | 'gw2']?: Status };

export class World {
  readonly parties: Readonly<Record<Party, PartyProcess>>;
  readonly radio: VirtualRadio;
  readonly #cast: Cast;
  readonly #children: Children;
  readonly #told: { -readonly [P in keyof Told]: Told[P] } = {};
  /** Parties whose end is our doing. */
  readonly #ending = new Set<Party>();

  private constructor(cast: Cast, radio: VirtualRadio, options: WorldOptions) {
    this.#cast = cast;
    this.radio = radio;
    this.#children = new Children({
      onLine: (name, line) => this.#hear(name, line),
      onDeath: ({ name }, how) => {
        if (!this.#ending.has(name as Party)) options.onDeath(name, how);
      },
    });
    const { root, onEntry } = options;
    const process = (party: Party) =>
      new PartyProcess({
        party,
        part: partsOf(cast)[party],
        children: this.#children,
        args: ARGUMENTS[party],
        preload: PRELOAD,
        clockFile: join(root, `${party}.clock`),
        journalFile: join(root, 'journal.jsonl'),
        onEntry,
      });
    this.parties = {
      pne: process('pne'),
      gw2: process('gw2'),
      server: process('server'),
      gw1: process('gw1'),
    };
  }

  static async open(options: WorldOptions): Promise<World> {
    const { template, root, serverConfig } = options;
    mkdirSync(root, { recursive: true, mode: 0o700 });
    const cast = layOut(root, 1, false);
    const [home] = cast.homes;
    if (!home) throw new Error('a cast without a home');
    const port = await freePort();
    const url = `https://127.0.0.1:${port}`;
    for (const { stateDir, name } of Object.values(partsOf(cast)))
      cpSync(join(template.root, name), stateDir, {
        recursive: true,
        filter: (path) => !path.endsWith('.sock'),
      });
    for (const { part } of gatewaysOf(cast)) moveServer(part.stateDir, url);
    const radio = await openVirtualRadio({ path: join(root, 'radio.sock') });
    writeServerConfig(cast, port, serverConfig);
    writeHomeConfig(home, url, radio.moniker);
    writeInitiatorConfig(cast, url, radio.moniker);
    writePneConfig(home, radio.moniker);
    return new World(cast, radio, options);
  }

  /** The server first and the rest together: the flow begins as soon as PNE and GW2 see each other. */
  async start(plans: { readonly [P in Party]?: LifePlan }): Promise<void> {
    await this.parties.server.start(plans.server);
    await Promise.all(
      PARTIES.filter((party) => party !== 'server').map((party) => this.parties[party].start(plans[party])),
    );
  }

  async kill(party: Party): Promise<void> {
    this.#ending.add(party);
    await this.parties[party].kill();
  }

  /** In order, as an operator would. */
  async terminate(party: Party): Promise<void> {
    this.#ending.add(party);
    await this.parties[party].terminate();
  }

  async restart(party: Party): Promise<void> {
    this.#ending.delete(party);
    await this.parties[party].start();
  }

  /** The radio link between PNE and gateway breaks. @returns whether there was one */
  dropLink(): boolean {
    const link = this.radio.counters().links.find(({ open }) => open);
    return link !== undefined && this.radio.dropLink(link.central, link.peripheral);
  }

  /** The operator has looked at the server's clock and says that it is right. */
  acceptServerClock(offsetMs: number): void {
    const wallSeconds = () => Math.floor((Date.now() + offsetMs) / 1000);
    const admin = openServerAdmin(this.#cast.server.stateDir, { wallSeconds });
    try {
      admin.acceptClock();
    } finally {
      admin.close();
    }
  }

  stateDir(party: Party): string {
    return partsOf(this.#cast)[party].stateDir;
  }

  get told(): Told {
    return this.#told;
  }

  /** Everything of it ends at once: nothing may happen behind the final look at the disks. */
  async end(): Promise<void> {
    for (const party of PARTIES) this.#ending.add(party);
    await this.#children.stop('SIGKILL');
    await this.radio.close();
    for (const party of PARTIES) this.parties[party].close();
  }

  #hear(name: string, { event, status }: ChildLine): void {
    if (status === undefined || (name !== 'pne' && name !== 'gw2')) return;
    if (event === 'refused' || event === 'link') this.#told[name] = status;
  }
}

function partsOf({ server, initiator, homes }: Cast): Readonly<Record<Party, Part>> {
  const [home] = homes;
  if (!home) throw new Error('a cast without a home');
  return { server, gw2: initiator.gateway, gw1: home.gateway, pne: home.pne };
}

/** The server of the template had another port. */
function moveServer(stateDir: string, serverUrl: string): void {
  const store = openGatewayStore(join(stateDir, GATEWAY_DATABASE));
  try {
    const enrolment = store.enrolment();
    if (enrolment) store.saveEnrolment({ ...enrolment, serverUrl });
  } finally {
    store.close();
  }
}

async function freePort(): Promise<number> {
  for (;;) {
    const port = FIRST_PORT + Math.floor(Math.random() * (LAST_PORT - FIRST_PORT + 1));
    const free = await new Promise<boolean>((resolve) => {
      const probe = createServer().once('error', () => resolve(false));
      probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
    });
    if (free) return port;
  }
}
