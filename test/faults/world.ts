/**
 * The world of one cell: a town (town.ts) with one PNE, its four processes under the matrix's names for them, and what PNE
 * and gateway said last. Must not know the matrix.
 */
import type { Status } from '../../src/base/statuses.ts';
import type { VirtualRadio } from '../../src/bluetooth/virtual-radio/server.ts';
import type { LifePlan, PartyProcess } from './party.ts';
import type { Party } from './plan.ts';
import type { JournalEntry } from './safety.ts';
import { type Template, Town } from './town.ts';

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
  readonly told: Told;
  readonly #town: Town;

  private constructor(town: Town, told: Told) {
    this.#town = town;
    this.told = told;
    this.parties = {
      pne: town.process('pne'),
      gw2: town.process('gw2'),
      server: town.process('server'),
      gw1: town.process('gw1'),
    };
  }

  static async open(options: WorldOptions): Promise<World> {
    const told: { -readonly [P in keyof Told]: Told[P] } = {};
    const town = await Town.open({
      ...options,
      keepJournal: true,
      onLine: (name, { event, status }) => {
        if (status === undefined || (name !== 'pne' && name !== 'gw2')) return;
        if (event === 'refused' || event === 'link') told[name] = status;
      },
    });
    return new World(town, told);
  }

  get radio(): VirtualRadio {
    return this.#town.radio;
  }

  async start(plans: { readonly [P in Party]?: LifePlan }): Promise<void> {
    await this.#town.start((name) => plans[name as Party]);
  }

  async kill(party: Party): Promise<void> {
    await this.#town.kill(party);
  }

  /** In order, as an operator would. */
  async terminate(party: Party): Promise<void> {
    await this.#town.terminate(party);
  }

  async restart(party: Party): Promise<void> {
    await this.#town.restart(party);
  }

  /** The radio link between PNE and gateway breaks. @returns whether there was one */
  dropLink(): boolean {
    const link = this.radio.counters().links.find(({ open }) => open);
    return link !== undefined && this.radio.dropLink(link.central, link.peripheral);
  }

  /** The operator has looked at the server's clock and says that it is right. */
  acceptServerClock(offsetMs: number): void {
    this.#town.administer((admin) => admin.acceptClock(), offsetMs);
  }

  stateDir(party: Party): string {
    return this.#town.stateDir(party);
  }

  /** Everything of it ends at once: nothing may happen behind the final look at the disks. */
  async end(): Promise<void> {
    await this.#town.end();
  }
}
