/**
 * Server, initiating gateway and any number of homes, each a gateway with its PNE, as processes of the real program on a
 * virtual radio of their own, everybody enrolled and nobody joined. Enrolment is done once, for a template whose state each
 * town copies. Owns lifetimes, ports and files; must not know what is done to the processes, nor why.
 */
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openVirtualRadio, type VirtualRadio } from '../../src/bluetooth/virtual-radio/server.ts';
import {
  type Cast,
  gatewaysOf,
  type HomeParts,
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
import { GATEWAY_DATABASE, makeGateway } from '../../src/nodes/gateway/state.ts';
import { initServer, openServerAdmin, type ServerAdmin } from '../../src/nodes/server/admin.ts';
import { openGatewayStore } from '../../src/store/gateway-store.ts';
import { type LifePlan, PartyProcess, underPlan } from './party.ts';
import type { Plan } from './plan.ts';
import type { JournalEntry } from './safety.ts';

const PRELOAD = fileURLToPath(new URL('./preload.js', import.meta.url));
/** Below the ports that systems give to outgoing connections, so that a server finds its own again after a restart. */
const [FIRST_PORT, LAST_PORT] = [15_000, 31_999];
/** How long ago everybody was enrolled: a clock that jumps back by an hour must not be before their certificates. */
const ENROLLED_AGO_MS = 6 * 3_600_000;

/** A directory with everybody's state, enrolled. */
export interface Template {
  readonly root: string;
  readonly pnes: number;
}

/** A process of the cast. */
interface Role {
  readonly part: Part;
  readonly role: Plan['role'];
}

const rolesOf = ({ server, initiator, homes }: Cast): readonly Role[] => [
  { part: server, role: 'server' },
  { part: initiator.gateway, role: 'gateway' },
  ...homes.flatMap(({ gateway, pne }): readonly Role[] => [
    { part: gateway, role: 'gateway' },
    { part: pne, role: 'pne' },
  ]),
];

/** Enrols all gateways and PNEs with real processes, once. @param pnes 1 to 5, each with a home gateway */
export async function makeTemplate(root: string, pnes = 1): Promise<Template> {
  const cast = layOut(root, pnes, false);
  const children = new Children({ onLine: () => {}, onDeath: () => {} });
  const radio = await openVirtualRadio({ path: join(root, 'radio.sock') });
  const run = (role: Plan['role'], { name, stateDir, configFile, logFile }: Part, ...more: string[]) => {
    const clockFile = join(root, `${name}.clock`);
    writeFileSync(clockFile, `-${ENROLLED_AGO_MS}`);
    const plan: Plan = { party: name, role, stateDir, clockFile };
    const args = [role, 'run', '--state', stateDir, '--config', configFile, ...more];
    return children.start(
      name,
      args,
      logFile,
      underPlan(PRELOAD, plan, (wire) => wire.resume()),
    );
  };
  const pair = async (home: HomeParts, url: string): Promise<void> => {
    writePneConfig(home, radio.moniker);
    writeHomeConfig(home, url, radio.moniker);
    const pne = run('pne', home.pne, '--enrol');
    const gateway = run('gateway', home.gateway);
    const [shown] = await Promise.all([pne.waitFor('code'), gateway.waitFor('ready')]);
    await callControl(home.gateway.stateDir, 'pair', { code: shown.code ?? '' });
    await pne.waitFor('enrolled');
  };
  try {
    writeServerConfig(cast);
    initServer({
      stateDir: cast.server.stateDir,
      realm: cast.realm,
      hosts: ['localhost', '127.0.0.1'],
      clock: { wallSeconds: () => Math.floor((Date.now() - ENROLLED_AGO_MS) / 1000) },
    });
    const { url = '' } = await run('server', cast.server).waitFor('ready');
    for (const { part } of gatewaysOf(cast)) makeGateway(part.stateDir);
    await enrolGateways(cast, url);
    await Promise.all(cast.homes.map((home) => pair(home, url)));
    return { root, pnes };
  } finally {
    await children.stop();
    await radio.close();
  }
}

export interface TownOptions {
  readonly template: Template;
  /** New, and short enough for the sockets in it. */
  readonly root: string;
  /** Lines for the server's configuration. */
  readonly serverConfig?: string | undefined;
  /** Whether the owners have laid down nothing in advance, so that each question waits for somebody who answers. */
  readonly ownersAreAsked?: boolean;
  /** Whether each process listens for errands (preload-errands.ts). */
  readonly errands?: boolean;
  /** Whether the journal is kept in a file. */
  readonly keepJournal: boolean;
  readonly onEntry: (entry: JournalEntry) => void;
  readonly onLine: (name: string, line: ChildLine) => void;
  /** A process ended that nobody had ended. */
  readonly onDeath: (name: string, how: string) => void;
}

export class Town {
  readonly cast: Cast;
  readonly radio: VirtualRadio;
  readonly #options: TownOptions;
  readonly #children: Children;
  readonly #processes = new Map<string, PartyProcess>();
  /** Processes whose end is our doing. */
  readonly #ending = new Set<string>();

  private constructor(cast: Cast, radio: VirtualRadio, options: TownOptions) {
    this.cast = cast;
    this.radio = radio;
    this.#options = options;
    this.#children = new Children({
      onLine: options.onLine,
      onDeath: ({ name }, how) => {
        if (!this.#ending.has(name)) options.onDeath(name, how);
      },
    });
    for (const { part, role } of rolesOf(cast)) this.#processes.set(part.name, this.#process(part, role));
  }

  static async open(options: TownOptions): Promise<Town> {
    const { template, root, serverConfig, ownersAreAsked } = options;
    mkdirSync(root, { recursive: true, mode: 0o700 });
    const cast = layOut(root, template.pnes, false);
    const port = await freePort();
    const url = `https://127.0.0.1:${port}`;
    for (const { part } of rolesOf(cast))
      cpSync(join(template.root, part.name), part.stateDir, {
        recursive: true,
        filter: (path) => !path.endsWith('.sock'),
      });
    for (const { part } of gatewaysOf(cast)) moveServer(part.stateDir, url);
    const radio = await openVirtualRadio({ path: join(root, 'radio.sock') });
    writeServerConfig(cast, port, serverConfig);
    writeInitiatorConfig(cast, url, radio.moniker);
    for (const home of cast.homes) {
      writeHomeConfig(home, url, radio.moniker);
      writePneConfig(home, radio.moniker);
      if (ownersAreAsked) askOwner(home.gateway.configFile);
    }
    return new Town(cast, radio, options);
  }

  /** Of every process. */
  get names(): readonly string[] {
    return [...this.#processes.keys()];
  }

  process(name: string): PartyProcess {
    const process = this.#processes.get(name);
    if (!process) throw new Error(`there is no ${name}`);
    return process;
  }

  stateDir(name: string): string {
    const found = rolesOf(this.cast).find(({ part }) => part.name === name);
    if (!found) throw new Error(`there is no ${name}`);
    return found.part.stateDir;
  }

  /** Where {@link TownOptions.errands} are served. */
  errandsOf(name: string): string {
    return join(this.#options.root, 'e', name);
  }

  /** The server first and the rest together: the flow begins as soon as PNE and gateway see each other. */
  async start(planOf: (name: string) => LifePlan | undefined = () => undefined): Promise<void> {
    const { name: server } = this.cast.server;
    await this.process(server).start(planOf(server));
    await Promise.all(
      this.names.filter((name) => name !== server).map((name) => this.process(name).start(planOf(name))),
    );
  }

  async kill(name: string): Promise<void> {
    this.#ending.add(name);
    await this.process(name).kill();
  }

  /** In order, as an operator would. */
  async terminate(name: string): Promise<void> {
    this.#ending.add(name);
    await this.process(name).terminate();
  }

  async restart(name: string, plan?: LifePlan): Promise<void> {
    this.#ending.delete(name);
    await this.process(name).start(plan);
  }

  /**
   * Another device in place of one that does not run: new key, nobody's, everything of the old one gone.
   * @param party its name in the journal
   */
  replacePne(name: string, party: string): void {
    const stateDir = this.stateDir(name);
    for (const file of readdirSync(stateDir)) rmSync(join(stateDir, file), { recursive: true });
    const { part } = rolesOf(this.cast).find((known) => known.part.name === name) ?? {};
    if (!part) throw new Error(`there is no ${name}`);
    this.process(name).close();
    this.#processes.set(name, this.#process(part, 'pne', party));
  }

  /** What an operator does at the server, under the server's clock. */
  administer<T>(act: (admin: ServerAdmin) => T, clockOffsetMs = 0): T {
    const wallSeconds = () => Math.floor((Date.now() + clockOffsetMs) / 1000);
    const admin = openServerAdmin(this.cast.server.stateDir, { wallSeconds });
    try {
      return act(admin);
    } finally {
      admin.close();
    }
  }

  /** Everything of it ends at once: nothing may happen behind the final look at the disks. */
  async end(): Promise<void> {
    for (const name of this.names) this.#ending.add(name);
    await this.#children.stop('SIGKILL');
    await this.radio.close();
    for (const process of this.#processes.values()) process.close();
  }

  #process(part: Part, role: Plan['role'], party = part.name): PartyProcess {
    const { root, onEntry, keepJournal, errands } = this.#options;
    return new PartyProcess({
      party,
      part,
      role,
      children: this.#children,
      args: [role, 'run'],
      preload: PRELOAD,
      clockFile: join(root, `${part.name}.clock`),
      ...(keepJournal && { journalFile: join(root, 'journal.jsonl') }),
      ...(errands && { errands: this.errandsOf(part.name) }),
      onEntry,
    });
  }
}

/** Without the rules that answer for the owner. */
function askOwner(configFile: string): void {
  const config = readFileSync(configFile, 'utf8');
  writeFileSync(configFile, config.replace(/\[\[approvals\.rule\]\][^[]*/, ''));
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
