/**
 * What operations and faults of a soak have in common: the town, its residents (a home gateway with its PNE), who may be
 * restarted now, and what has been heard. Owns reaching the processes with a deadline; must not decide anything.
 */
import { Prng } from '../../src/base/prng.ts';
import type { Status } from '../../src/base/statuses.ts';
import type { HomeParts } from '../../src/cli/demo/cast.ts';
import type { ChildLine } from '../../src/cli/demo/children.ts';
import { callControl } from '../../src/nodes/control-socket.ts';
import { type FinalState, judge, type Outcome } from '../faults/outcome.ts';
import type { LifePlan } from '../faults/party.ts';
import type { Defect } from '../faults/plan.ts';
import type { JournalEntry } from '../faults/safety.ts';
import type { GatewayView, PneView, ServerView } from '../faults/state-view.ts';
import type { Town } from '../faults/town.ts';
import type { Ledger } from './ledger.ts';
import { within } from './pace.ts';
import type { Finding } from './report.ts';

/** Longest that a process is waited for: a fault stops some for seconds. */
const ANSWER_MS = 10_000;
/** Longest that a start and an orderly end may take, on a machine with other things to do. */
const [READY_MS, END_MS] = [60_000, 20_000];
/** Lengths of data by which it is known again. */
const [SHORTEST_BYTES, LENGTHS] = [200, 4_000];

/** There was nothing to do it to; no fault of anybody. */
export class InVain extends Error {
  override readonly name = 'InVain';
}

/** A user with a home gateway and a PNE. */
export interface Resident {
  readonly home: HomeParts;
  /** Of the PNE in the journal: another for each device that takes the place. */
  party: string;
  devices: number;
  /** The owner has said no to this device once. */
  saidNo: boolean;
  /** … and it is in nothing since. */
  refused: boolean;
  /** What the PNE said of its present or last link, or of the join on it. */
  told: Status | undefined;
  /** th3, when it has signed on that link. */
  join: string | undefined;
}

export class Dice {
  readonly #prng: Prng;

  constructor(seed: number) {
    this.#prng = new Prng(seed);
  }

  /** For a thing that draws at times of its own, so that it takes nothing from the others' sequence. */
  apart(): Dice {
    return new Dice(Math.floor(this.#prng.next() * 0x1_0000_0000));
  }

  between(low: number, high: number): number {
    return low + this.#prng.next() * (high - low);
  }

  chance(probability: number): boolean {
    return this.#prng.chance(probability);
  }

  /** @throws InVain when there is nothing to pick from */
  pick<T>(items: readonly T[]): T {
    const item = items[Math.floor(this.#prng.next() * items.length)];
    if (item === undefined) throw new InVain('nothing to pick from');
    return item;
  }

  /** One of them, in proportion to its weight. */
  weigh<T extends { readonly weight: number }>(items: readonly T[]): T {
    let left = this.#prng.next() * items.reduce((sum, { weight }) => sum + weight, 0);
    for (const item of items) {
      left -= item.weight;
      if (left < 0) return item;
    }
    return this.pick(items);
  }
}

export interface SiteOptions {
  readonly town: Town;
  readonly ledger: Ledger;
  readonly signal: AbortSignal;
  readonly defect?: { readonly role: string; readonly kind: Defect } | undefined;
  readonly onFinding: (kind: Finding['kind'], what: string) => void;
}

export class Site {
  readonly town: Town;
  readonly ledger: Ledger;
  readonly signal: AbortSignal;
  readonly residents: readonly Resident[];
  readonly find: SiteOptions['onFinding'];
  /** Processes that something is being done to, and `radio`: one thing at a time. */
  readonly busy = new Set<string>();
  readonly #defect: SiteOptions['defect'];
  readonly #heard = new Set<string>();
  #datum = 0;
  #era: 0 | 1 = 0;

  constructor({ town, ledger, signal, defect, onFinding }: SiteOptions) {
    this.town = town;
    this.ledger = ledger;
    this.signal = signal;
    this.find = onFinding;
    this.#defect = defect;
    this.residents = town.cast.homes.map((home) => ({
      home,
      party: home.pne.name,
      devices: 1,
      ...{ saidNo: false, refused: false, told: undefined, join: undefined },
    }));
  }

  get server(): string {
    return this.town.cast.server.name;
  }

  get gateway(): string {
    return this.town.cast.initiator.gateway.name;
  }

  /** In each half of a run, half of the processes live on, so that it can be seen whether they grow. */
  set era(era: 0 | 1) {
    this.#era = era;
  }

  mayRestart(name: string): boolean {
    const spared = this.residents.flatMap(({ home }, i) => [
      (i & 1) === this.#era ? home.pne.name : home.gateway.name,
    ]);
    spared.push(this.#era === 0 ? this.server : this.gateway);
    return !spared.includes(name);
  }

  /** Processes that run and that nothing is being done to. */
  get free(): readonly string[] {
    return this.town.names.filter((name) => !this.busy.has(name) && this.town.process(name).alive);
  }

  /** Does something to one process, and nothing else meanwhile. @throws InVain when something else is being done */
  async alone(name: string, act: () => Promise<void>): Promise<void> {
    if (this.busy.has(name)) throw new InVain(`${name} is busy`);
    this.busy.add(name);
    try {
      await act();
    } finally {
      this.busy.delete(name);
    }
  }

  /** What a process is started with. */
  planOf(name: string): LifePlan | undefined {
    if (!this.#defect) return undefined;
    const role = name === this.server ? 'server' : name.startsWith('pne') ? 'pne' : 'gateway';
    return this.#defect.role === role ? { defect: this.#defect.kind } : undefined;
  }

  /** Started again on its state. */
  async start(name: string): Promise<void> {
    if (await within(this.town.restart(name, this.planOf(name)), READY_MS)) return;
    this.find('death', `${name} was not ready ${READY_MS / 1000} s after its start`);
    await this.town.kill(name);
  }

  /** Ended as an operator would. */
  async terminate(name: string): Promise<void> {
    if (await within(this.town.terminate(name), END_MS)) return;
    this.find('death', `${name} did not end within ${END_MS / 1000} s of SIGTERM`);
    await this.town.kill(name);
  }

  /** A question to a process, as a person's command asks it. @throws NoDaemonError, ControlError, or at the deadline */
  control(name: string, method: string, params: object = {}, limitMs = ANSWER_MS): Promise<unknown> {
    const signal = AbortSignal.timeout(limitMs);
    return callControl(this.town.stateDir(name), method, { ...params }, { signal });
  }

  /** See preload-errands.ts. */
  errand(name: string, method: string, params: object = {}): Promise<unknown> {
    const signal = AbortSignal.timeout(ANSWER_MS);
    return callControl(this.town.errandsOf(name), method, { ...params }, { signal });
  }

  hear(name: string, line: ChildLine): void {
    if (line.event === 'data') this.#heard.add(`${name} ${(line as { readonly bytes?: number }).bytes}`);
    const resident = this.residents.find(({ home }) => home.pne.name === name);
    if (!resident || (line.event !== 'refused' && line.event !== 'link')) return;
    if (line.status !== undefined) resident.told = line.status;
    // A link comes up: another attempt.
    else Object.assign(resident, { told: undefined, join: undefined });
  }

  take(entry: JournalEntry): void {
    this.ledger.push(entry);
    const resident = this.residents.find(({ party }) => party === entry.party);
    if (resident && entry.signed !== undefined) resident.join = entry.signed;
  }

  /** A length that no data had lately. */
  nextDatum(): number {
    const bytes = SHORTEST_BYTES + (this.#datum++ % LENGTHS);
    for (const name of this.town.names) this.#heard.delete(`${name} ${bytes}`);
    return bytes;
  }

  hasHeard(name: string, bytes: number): boolean {
    return this.#heard.has(`${name} ${bytes}`);
  }

  /** What everybody holds that one PNE's join concerns; nothing while somebody has said nothing. */
  stateOf({ home, party, told, join }: Resident): FinalState | undefined {
    const { ledger } = this;
    const [server, gw2] = [ledger.view(this.server), ledger.view(this.gateway)];
    const [gw1, pne] = [ledger.view(home.gateway.name), ledger.view(party)];
    if (!server || !gw2 || !gw1 || !pne) return undefined;
    return {
      server: server as ServerView,
      gw2: gw2 as GatewayView,
      gw1: gw1 as GatewayView,
      pne: pne as PneView,
      // What GW2 says of a link does not say which PNE's it was.
      told: { pne: told, join },
    };
  }

  outcomeOf(resident: Resident): Outcome | undefined {
    const state = this.stateOf(resident);
    return state && judge(state);
  }
}
