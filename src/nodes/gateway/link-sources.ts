/**
 * Where a gateway's links come from: those it makes, as GATT central that scans, and those that are made to it, as GATT
 * peripheral that announces itself. Owns whom to connect to and what is announced; links are links.ts.
 */
import { toHex } from '../../base/bytes.ts';
import type { Clock, MonotonicMs } from '../../base/time.ts';
import type { Central, Peripheral } from '../../bluetooth/ports.ts';
import type { Announced } from '../../network/advertisement.ts';
import type { Primitives } from '../../security/primitives.ts';
import type { NetworkStore } from '../../store/gateway-networks.ts';
import { LinkTaker } from '../link-taker.ts';
import { Recognition } from '../recognition.ts';
import { type Purpose, Scan } from '../scan.ts';
import type { GatewayEvent } from './events.ts';
import type { GatewayLinks, LinkPurpose } from './links.ts';
import type { Pairings } from './pairing.ts';
import type { Radios } from './radios.ts';

/** Somebody who got no link is worth telling of so long. */
const CROWDED_MS = 60_000;

export interface LinkSourcesOptions {
  readonly radios: Radios;
  readonly clock: Clock;
  readonly primitives: Primitives;
  readonly networks: NetworkStore;
  readonly pairings: Pairings;
  readonly links: GatewayLinks;
  /** PNEs that set JOIN are asked. */
  readonly invites: boolean;
  readonly onEvent: (event: GatewayEvent) => void;
}

export class LinkSources {
  readonly #options: LinkSourcesOptions;
  readonly #recognition: Recognition;
  readonly #scan: Scan<LinkPurpose> | undefined;
  readonly #taker: LinkTaker | undefined;
  #crowd: { readonly links: number; readonly atMs: MonotonicMs } | undefined;

  constructor(options: LinkSourcesOptions) {
    this.#options = options;
    const { radios, networks, primitives } = options;
    this.#recognition = new Recognition(networks, primitives);
    this.#scan = radios.central && this.#scanner(radios.central);
    this.#taker = radios.peripheral && this.#acceptor(radios.peripheral);
  }

  /** It is a GATT central. */
  get scans(): boolean {
    return this.#scan !== undefined;
  }

  /** How many links there were when a PNE in sight got none for want of another; undefined a minute later. */
  get crowdedAt(): number | undefined {
    const { links, atMs = Number.NEGATIVE_INFINITY } = this.#crowd ?? {};
    return this.#options.clock.monotonicMs() - atMs < CROWDED_MS ? links : undefined;
  }

  /** It is a GATT peripheral. */
  get accepts(): boolean {
    return this.#taker !== undefined;
  }

  async start(): Promise<void> {
    await this.#scanIfUseful();
    await this.#taker?.announce();
  }

  /** Somebody to look for came up, or is no more: who was passed over is judged again. */
  async lookAgain(): Promise<void> {
    this.#scan?.reconsider();
    await this.#scanIfUseful();
  }

  /** What is announced has changed. */
  announceAgain(): void {
    this.#taker?.reannounce();
  }

  /** The adapter is back: whoever failed while it went is not to wait for it. */
  radioIsBack(): void {
    this.#scan?.reconsider();
    this.#taker?.reannounce();
  }

  async stop(): Promise<void> {
    this.#taker?.stop();
    await this.#scan?.stop().catch(() => {});
  }

  async #scanIfUseful(): Promise<void> {
    const { invites, pairings, networks } = this.#options;
    if (invites || pairings.waiting > 0 || networks.joins().length > 0) await this.#scan?.start();
  }

  #scanner(central: Central): Scan<LinkPurpose> {
    const { clock, links, onEvent } = this.#options;
    return new Scan<LinkPurpose>({
      ...{ central, clock },
      choose: (announced, repeated) => this.#choose(announced, repeated),
      serve: (gatt, purpose, proven) => links.made(gatt, purpose, proven),
      onConnectFailed: (address, status) => onEvent({ kind: 'link', address, state: 'down', status }),
      onCrowded: () => {
        this.#crowd = { links: links.count, atMs: clock.monotonicMs() };
      },
    });
  }

  #acceptor(peripheral: Peripheral): LinkTaker {
    const { clock, primitives, networks, pairings, links, invites, onEvent } = this.#options;
    return new LinkTaker({
      ...{ peripheral, primitives, clock },
      content: () => ({
        mode: 'gateway',
        join: invites,
        enrolSecret: pairings.shown?.secret,
        // The newest first: its PNE is the likeliest to be near.
        secrets: networks
          .resumable()
          .map(({ rms }) => rms)
          .reverse(),
      }),
      take: (gatt, proven) => links.taken(gatt, proven),
      onProblem: (status) => onEvent({ kind: 'problem', what: 'advertising', status }),
    });
  }

  /** docs/protocol.md §2.2, first match wins. */
  #choose(announced: Announced, repeated: boolean): Purpose<LinkPurpose> | 'later' | undefined {
    if (announced.mode === 'gateway') return undefined;
    const { pairings, clock, invites } = this.#options;
    const pairing = pairings.find(announced);
    if (pairing)
      return { key: `enrol ${toHex(pairing.secret)}`, stranger: false, value: { kind: 'enrol', pairing } };
    const joinId = this.#recognition.joinOf(announced, repeated, clock.monotonicMs());
    if (joinId === 'later') return 'later';
    if (joinId) return { key: `resume ${toHex(joinId)}`, stranger: false, value: { kind: 'resume', joinId } };
    if (!announced.join || !invites) return undefined;
    return {
      key: `establish ${toHex(announced.salt)}${toHex(announced.tags)}`,
      stranger: true,
      value: { kind: 'establish' },
    };
  }
}
