/** The usual cast of a simulation: an operator's server, gateways of some users, PNEs enrolled at their homes. */
import type { Faults, Shape } from '../support/virtual-world.ts';
import { VirtualWorld } from '../support/virtual-world.ts';
import { Audit, assertNothingProvisional } from '../support/virtual-world-audit.ts';
import { VirtualGateway } from '../support/virtual-world-gateway.ts';
import { VirtualPne } from '../support/virtual-world-pne.ts';
import { VirtualServer } from '../support/virtual-world-server.ts';

export interface SceneOptions {
  readonly seed?: number;
  readonly shape?: Shape;
  /** One user each; the first one's gateway may be `bob`, who invites. */
  readonly owners: readonly string[];
}

/** `bob` has the initiating gateway; each owner has a home gateway, bob his own. */
export class Scene {
  readonly world: VirtualWorld;
  readonly server: VirtualServer;
  readonly gateways: VirtualGateway[] = [];
  readonly pnes: VirtualPne[] = [];
  readonly gw2: VirtualGateway;
  readonly audit: Audit;

  constructor({ seed = 1, shape, owners }: SceneOptions) {
    this.world = new VirtualWorld(seed, shape);
    this.server = new VirtualServer(this.world);
    this.gw2 = this.#gateway('bob');
    this.audit = new Audit(this.world, this.server, this);
    for (const [i, owner] of owners.entries()) {
      this.#gateway(owner);
      this.pnes.push(new VirtualPne(this.world, `pne${i + 1}`, this.gateways));
    }
    for (const [i, pne] of this.pnes.entries()) this.home(owners[i] ?? '').pair(pne.showCode());
    this.world.pass(500);
    for (const pne of this.pnes) pne.announce();
    this.world.until(
      'all PNEs to be enrolled',
      () => this.pnes.every(({ owner }) => owner) && this.noLinks(),
    );
  }

  home(owner: string): VirtualGateway {
    const found = this.gateways.find(({ user }) => user === owner);
    if (!found) throw new Error(`no gateway of ${owner}`);
    return found;
  }

  noLinks(): boolean {
    return (
      this.pnes.every(({ linkUp }) => !linkUp) && this.gateways.every(({ sessions }) => sessions.size === 0)
    );
  }

  /** The only PNE, or the first. */
  get pne(): VirtualPne {
    const [pne] = this.pnes;
    if (!pne) throw new Error('no PNE');
    return pne;
  }

  #gateway(user: string): VirtualGateway {
    const known = this.gateways.find((gateway) => gateway.user === user);
    if (known) return known;
    const gateway = new VirtualGateway(this.world, this.server, user, `gw-${user}`);
    this.gateways.push(gateway);
    return gateway;
  }

  /** Bob's gateway opens its network and looks around. */
  invite(name = 'living room'): this {
    this.world.log.length = 0;
    this.gw2.invite(name);
    for (const pne of this.pnes) pne.announce();
    return this;
  }

  untilMembers(withinMs?: number): this {
    this.world.until('every PNE to be a live member', () => this.allLive(), withinMs);
    return this;
  }

  allLive(): boolean {
    return (
      this.pnes.every(({ store }) => store.memberships().length === 1) &&
      this.gw2.liveJoins().length === this.pnes.length
    );
  }

  /** All links down, and no more tries. */
  untilQuiet(withinMs?: number): this {
    this.world.until('all links to be down', () => this.noLinks(), withinMs);
    return this;
  }

  faults(faults: Faults): this {
    this.world.faults = faults;
    return this;
  }

  /** Everybody shuts down in good order; afterwards nothing is due any more. */
  end(): void {
    for (const pne of this.pnes) pne.powerOff();
    for (const gateway of this.gateways) gateway.powerOff();
    this.world.drain();
  }

  assertNothingProvisional(): void {
    assertNothingProvisional(this);
  }

  /** What was said, as `who what`. */
  said(): string[] {
    return this.world.log.map(({ who, what }) => `${who} ${what}`);
  }
}
