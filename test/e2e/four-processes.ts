/**
 * Server, home gateway, initiating gateway and PNE as the demo starts them, everybody enrolled and nobody invited yet; each
 * can be stopped, killed and started again by name, and all that they say is kept. Owns lifetimes only: processes,
 * configurations and enrolment are the demo's and the commands'.
 */
import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type BackEnd, openVirtualRadio, type VirtualRadio } from '../../src/bluetooth/open.ts';
import {
  type Cast,
  gatewaysOf,
  type HomeParts,
  INITIATOR,
  layOut,
  type Part,
  writeHomeConfig,
  writeInitiatorConfig,
  writePneConfig,
  writeServerConfig,
} from '../../src/cli/demo/cast.ts';
import { type Child, Children, logTail } from '../../src/cli/demo/children.ts';
import { issueTokens } from '../../src/cli/demo/enrol-gateways.ts';
import { callControl } from '../../src/nodes/control-socket.ts';
import { enrolGatewayState, makeGateway } from '../../src/nodes/gateway/state.ts';
import { initServer } from '../../src/nodes/server/admin.ts';
import type { TraceEvent } from '../../src/nodes/trace.ts';
import { type FinalState, judge, type Outcome } from '../faults/outcome.ts';
import { checkJournal, type JournalEntry } from '../faults/safety.ts';
import {
  type GatewayView,
  type PartyView,
  type PneView,
  type ServerView,
  StateReader,
} from '../faults/state-view.ts';

export const PARTIES = ['server', 'gw1', 'gw2', 'pne'] as const;
export type Party = (typeof PARTIES)[number];

const ROLES = { server: 'server', gw1: 'gateway', gw2: 'gateway', pne: 'pne' } as const;
const MAIN = join(
  import.meta.dirname,
  `../../src/cli/main${import.meta.filename.endsWith('.ts') ? '.ts' : '.js'}`,
);
const LOOK_MS = 20;
const PATIENCE_MS = 40_000;

/** What the parties with a radio meet on: a virtual radio of this world's own, or adapters that the caller has. */
export interface Air {
  readonly adapters: Readonly<Record<'gw1' | 'gw2' | 'pne', string>>;
  /** Breaks the link that there is. @returns whether there was one */
  dropLink(): boolean;
  close(): Promise<void>;
}

/**
 * Parties that are somebody else's programs, by the command that starts each. It gets `--adapter` and `--state`, a PNE
 * `--accept USER` and at first `--enrol`, a gateway `--server URL` and its token in the file `token` of the state
 * directory. It prints events as our programs do, and keeps what it holds in `view.json` (state-view.ts).
 */
export type Foreign = Partial<Readonly<Record<'gw2' | 'pne', readonly string[]>>>;

export interface FourProcessesOptions {
  readonly foreign?: Foreign;
  /** Lines for the server's table of limits. */
  readonly limits?: string;
  readonly air?: Air;
  /** What each state directory is put on. Default: the disk of the temporary directory. */
  readonly disks?: Disks;
  /** Bluetooth back-ends other than the usual one. */
  readonly backEnds?: Partial<Readonly<Record<'gw1' | 'gw2' | 'pne', BackEnd>>>;
  /** GATT roles the other way round: gateways are peripherals, the PNE is central. Default: false. */
  readonly mirrored?: boolean;
  /** A folder that gets everybody's log at the end. */
  readonly logsTo?: string;
  /** How long a state is waited for, 40 s unless said otherwise. */
  readonly patienceMs?: number;
}

async function openOwnAir(root: string): Promise<Air> {
  const radio = await openVirtualRadio({ path: join(root, 'radio.sock') });
  const { moniker } = radio;
  return {
    adapters: { gw1: moniker, gw2: moniker, pne: moniker },
    dropLink: () => dropOpenLink(radio),
    close: () => radio.close(),
  };
}

/** The link between PNE and gateway breaks. @returns whether there was one */
export function dropOpenLink(radio: VirtualRadio): boolean {
  const link = radio.counters().links.find(({ open }) => open);
  return link !== undefined && radio.dropLink(link.central, link.peripheral);
}

/** One JSON line of a daemon: an event of its own, or a message that it sent. */
export type Line = Partial<TraceEvent> & {
  readonly party: Party;
  readonly event?: string;
  /** Of a radio, a link or a channel. */
  readonly state?: string;
  readonly pnId?: string;
  readonly joinId?: string;
};

type Disks = Readonly<Record<'mount' | 'unmount', (stateDir: string) => void>>;

interface Reader {
  read(): PartyView | undefined;
  close(): void;
}

function foreignReader(stateDir: string): Reader {
  const file = join(stateDir, 'view.json');
  return {
    read: () => (existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as PartyView) : undefined),
    close: () => {},
  };
}

export class FourProcesses {
  readonly lines: Line[] = [];
  readonly #air: Air;
  readonly #patienceMs: number;
  readonly #foreign: Foreign;
  readonly #mirrored: boolean;
  readonly #logsTo: string | undefined;
  readonly #disks: Disks | undefined;
  readonly #root: string;
  readonly #cast: Cast;
  readonly #home: HomeParts;
  readonly #children: Children;
  readonly #running = new Map<Party, Child>();
  /** Parties whose end is our doing. */
  readonly #ending = new Set<Party>();
  readonly #readers: ReadonlyMap<Party, Reader>;
  readonly #journal: JournalEntry[] = [];
  /** How processes ended that nobody had ended, with the last that each logged. */
  readonly #deaths: string[] = [];
  #url = '';

  private constructor(root: string, cast: Cast, home: HomeParts, air: Air, options: FourProcessesOptions) {
    this.#root = root;
    this.#cast = cast;
    this.#home = home;
    this.#air = air;
    this.#patienceMs = options.patienceMs ?? PATIENCE_MS;
    this.#foreign = options.foreign ?? {};
    this.#mirrored = options.mirrored ?? false;
    this.#logsTo = options.logsTo;
    this.#disks = options.disks;
    this.#readers = new Map(
      PARTIES.map((party) => {
        const stateDir = this.stateDir(party);
        const foreign = this.#foreignCommand(party) !== undefined;
        return [party, foreign ? foreignReader(stateDir) : new StateReader(ROLES[party], stateDir)];
      }),
    );
    this.#children = new Children({
      onLine: (name, line) => this.lines.push({ ...(line as Partial<Line>), party: name as Party }),
      onDeath: ({ name, logFile }, how) => {
        this.#running.delete(name as Party);
        if (!this.#ending.has(name as Party)) this.#deaths.push(`${name} ended: ${how}\n${logTail(logFile)}`);
      },
    });
  }

  static async open(options: FourProcessesOptions = {}): Promise<FourProcesses> {
    const root = mkdtempSync(join(tmpdir(), 'cpns-four-'));
    const cast = layOut(root, 1, false);
    const [home] = cast.homes;
    if (!home) throw new Error('a cast without a home');
    const air = options.air ?? (await openOwnAir(root));
    const world = new FourProcesses(root, cast, home, air, options);
    try {
      await world.#setUp(options);
      return world;
    } catch (error) {
      await world.close();
      throw error;
    }
  }

  /** Everybody's owner does what owners do before anything is joined; the initiating gateway is not started. */
  async #setUp({ limits = '', backEnds = {} }: FourProcessesOptions): Promise<void> {
    const { server, realm } = this.#cast;
    const { adapters } = this.#air;
    for (const party of PARTIES) this.#disks?.mount(this.stateDir(party));
    writeServerConfig(this.#cast, 0, `[limits]\n${limits}\n`);
    initServer({ stateDir: server.stateDir, realm, hosts: ['localhost', '127.0.0.1'] });
    writePneConfig(this.#home, adapters.pne);
    this.#configure('pne', backEnds.pne);
    const pne = this.start('pne', ['--enrol']);
    const { url = '' } = await (await this.start('server')).waitFor('ready');
    this.#url = url;
    await this.#enrolGateways();
    writeInitiatorConfig(this.#cast, url, adapters.gw2);
    writeHomeConfig(this.#home, url, adapters.gw1);
    this.#configure('gw1', backEnds.gw1);
    this.#configure('gw2', backEnds.gw2);
    // The owner has laid down nothing in advance: each question is put to a person.
    const { configFile } = this.#home.gateway;
    writeFileSync(configFile, readFileSync(configFile, 'utf8').replace(/\[\[approvals\.rule\]\][^[]*/, ''));
    await this.start('gw1');
    if (this.#mirrored) await this.#useCodeOfGateway(await pne);
    else {
      const { code } = await (await pne).waitFor('code');
      await callControl(this.stateDir('gw1'), 'pair', { code });
    }
    await (await pne).waitFor('enrolled');
  }

  /** As somebody does who has both in front of them: takes the code to the PNE, and compares the digits. */
  async #useCodeOfGateway(pne: Child): Promise<void> {
    const home = this.stateDir('gw1');
    const compare = async ({ digits }: { readonly digits: string }) => {
      const same = (await pne.waitFor('comparing')).digits === digits;
      await callControl(home, 'compared', { digits, same });
    };
    await new Promise<void>((resolve, reject) => {
      const onEvent = (event: unknown) => {
        const { code, comparing } = event as { code?: string; comparing?: { digits: string } | null };
        if (code !== undefined) callControl(this.stateDir('pne'), 'use-code', { code }).catch(reject);
        else if (comparing) compare(comparing).catch(reject);
      };
      callControl(home, 'show-code', {}, { onEvent }).then(() => resolve(), reject);
    });
  }

  #configure(party: Party, backEnd: BackEnd | undefined): void {
    if (backEnd === undefined) return;
    const { configFile } = this.#part(party);
    const table = `[bluetooth]\nbackend = ${JSON.stringify(backEnd)}\n`;
    writeFileSync(configFile, readFileSync(configFile, 'utf8').replace('[bluetooth]\n', table));
  }

  async #enrolGateways(): Promise<void> {
    const gateways = gatewaysOf(this.#cast);
    const tokens = issueTokens(this.#cast, gateways);
    const enrol = async ({ name, stateDir }: Part, token: string) => {
      if (this.#foreignCommand(name as Party)) {
        writeFileSync(join(stateDir, 'token'), token, { mode: 0o600 });
        return;
      }
      makeGateway(stateDir);
      await enrolGatewayState(stateDir, this.#url, token);
    };
    await Promise.all(gateways.map(({ part }, i) => enrol(part, tokens[i] ?? '')));
  }

  #foreignCommand(party: Party): readonly string[] | undefined {
    return party === 'gw2' || party === 'pne' ? this.#foreign[party] : undefined;
  }

  /** What a program of somebody else is told. */
  #foreignArgs(party: 'gw2' | 'pne'): readonly string[] {
    const { stateDir } = this.#part(party);
    const ofRole = party === 'pne' ? ['--accept', INITIATOR] : ['--server', this.#url];
    return ['--adapter', this.#air.adapters[party], '--state', stateDir, ...ofRole];
  }

  #part(party: Party): Part {
    const { server, initiator } = this.#cast;
    return { server, gw2: initiator.gateway, gw1: this.#home.gateway, pne: this.#home.pne }[party];
  }

  stateDir(party: Party): string {
    return this.#part(party).stateDir;
  }

  /** @returns once the program says that it is ready */
  async start(party: Party, more: readonly string[] = []): Promise<Child> {
    const { name, stateDir, configFile, logFile } = this.#part(party);
    const command = this.#foreignCommand(party);
    const args = command
      ? this.#foreignArgs(party as 'gw2' | 'pne')
      : [ROLES[party], 'run', '--state', stateDir, '--config', configFile, ...this.#side(party)];
    this.#ending.delete(party);
    const child = this.#children.start(name, [...args, ...more], logFile, command ? { command } : {});
    this.#running.set(party, child);
    await child.waitFor('ready');
    return child;
  }

  #side(party: Party): readonly string[] {
    if (!this.#mirrored || party === 'server') return [];
    return ['--as', party === 'pne' ? 'central' : 'peripheral'];
  }

  /** SIGKILL, or SIGTERM as an operator would. @returns once it is gone */
  async end(party: Party, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    this.#ending.add(party);
    const child = this.#child(party);
    child.signal(signal);
    await child.ended;
  }

  /** Stands still, or goes on: what is sent to it meanwhile waits in its sockets. */
  pause(party: Party, how: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child(party).signal(how);
  }

  #child(party: Party): Child {
    const child = this.#running.get(party);
    if (!child) throw new Error(`${party} does not run`);
    return child;
  }

  /** The link between PNE and gateway breaks. @returns whether there was one */
  dropLink(): boolean {
    return this.#air.dropLink();
  }

  /** What a command prints to a person. */
  async cpns(...args: readonly string[]): Promise<string> {
    const command = [...process.execArgv, MAIN, ...args];
    const { stdout } = await promisify(execFile)(process.execPath, command);
    return stdout;
  }

  said(party: Party, what: (line: Line) => boolean): readonly Line[] {
    return this.lines.filter((line) => line.party === party && what(line));
  }

  /** The questions that the home gateway has put to its owner. */
  asked(): readonly Line[] {
    return this.said('gw1', ({ event }) => event === 'asked');
  }

  /** The owner allows the join that was asked for last, this once. */
  async allow(): Promise<void> {
    await this.answer(true);
  }

  /** The owner's answer to the join that was asked for last, this once. */
  async answer(allow: boolean): Promise<void> {
    const joinId = this.asked().at(-1)?.joinId;
    if (joinId === undefined) throw new Error('nobody asked');
    await callControl(this.stateDir('gw1'), 'decide', { joinId, allow, always: false });
  }

  /** What is on everybody's disk. Each look goes into the journal, which the safety rules are checked on. */
  look(): FinalState {
    const views = PARTIES.map((party) => {
      const view = this.#readers.get(party)?.read();
      if (!view) throw new Error(`${party} has no state`);
      this.#journal.push({ atNs: String(process.hrtime.bigint()), party, role: ROLES[party], view });
      return view;
    });
    const [server, gw1, gw2, pne] = views as [ServerView, GatewayView, GatewayView, PneView];
    return { server, gw1, gw2, pne };
  }

  /** Waits for a state of the disks, or for something said. */
  async until(
    what: string,
    holds: (state: FinalState) => boolean,
    limitMs = this.#patienceMs,
  ): Promise<FinalState> {
    for (const endAt = performance.now() + limitMs; ; ) {
      const state = this.look();
      if (holds(state)) return state;
      if (this.#deaths.length > 0) throw new Error(`${what}: ${this.#deaths.join(', ')}`);
      if (performance.now() > endAt)
        throw new Error(`${what}: not within ${limitMs} ms; ${JSON.stringify(judge(state))}`);
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }

  async untilOutcome(kind: Outcome['kind']): Promise<FinalState> {
    return this.until(`outcome ${kind}`, (state) => judge(state).kind === kind);
  }

  /** What the looks so far have shown of S1–S5. */
  get violations() {
    return checkJournal(this.#journal);
  }

  get deaths(): readonly string[] {
    return this.#deaths;
  }

  async close(): Promise<void> {
    for (const party of this.#running.keys()) {
      this.#ending.add(party);
      this.pause(party, 'SIGCONT');
    }
    await this.#children.stop();
    await this.#air.close();
    for (const reader of this.#readers.values()) reader.close();
    for (const party of PARTIES) this.#disks?.unmount(this.stateDir(party));
    if (this.#logsTo !== undefined) cpSync(join(this.#root, 'logs'), this.#logsTo, { recursive: true });
    rmSync(this.#root, { recursive: true, force: true });
  }
}
