/**
 * The PNE as a program: takes one link at a time, or makes it, runs enrolment or establishment on it, keeps what they
 * decide on disk. Composition only; every rule of the protocol is in the machines and the link.
 */
import { join } from 'node:path';
import { type Bytes, fromHex, toHex } from '../../base/bytes.ts';
import { CpnsError, statusOfError } from '../../base/errors.ts';
import { JOIN_ID_BYTES } from '../../base/ids.ts';
import type { Clock } from '../../base/time.ts';
import type { ChosenProfile } from '../../bluetooth/adapter-profile.ts';
import type { Central, Peripheral } from '../../bluetooth/ports.ts';
import {
  openReturningCentral,
  openReturningPeripheral,
  type RadioState,
  type ReturningCentral,
  type ReturningPeripheral,
} from '../../bluetooth/returning.ts';
import { deviceCapability } from '../../config/capability.ts';
import type { PneConfig } from '../../config/pne-config.ts';
import type { DeclineStatus, JoinQuestion, KnownJoin } from '../../establishment/pne-types.ts';
import { InventoryPayload } from '../../messages/inventory.ts';
import { parseSign1 } from '../../security/cose.ts';
import { thumbprintOf } from '../../security/cose-key.ts';
import {
  createEnrolmentCode,
  formatEnrolmentCode,
  parseEnrolmentCode,
} from '../../security/enrolment-code.ts';
import { loadOrCreateKey } from '../../security/keystore.ts';
import type { Primitives } from '../../security/primitives.ts';
import { nodePrimitives } from '../../security/primitives-node.ts';
import type { Signer } from '../../security/signer.ts';
import { openPneStore, type PneStore } from '../../store/pne-store.ts';
import type { Vitals } from '../health.ts';
import { LinkTaker } from '../link-taker.ts';
import { radioOf } from '../radio-options.ts';
import { systemClock } from '../system-clock.ts';
import type { OnTrace } from '../trace.ts';
import { PneCentral } from './central.ts';
import type { PneEvent } from './events.ts';
import type { GivenCode } from './link-events.ts';
import { PneLinks } from './links.ts';
import { PoweredClock } from './trust.ts';

const CODE_LIFE_MS = 10 * 60_000;
const CODE_SECRET_BYTES = 12;
const POWERED_WRITE_MS = 10 * 60_000;

export interface PneOptions {
  readonly stateDir: string;
  readonly config: PneConfig;
  /** Moniker of the controller; the configuration's by default. */
  readonly adapter?: string | undefined;
  readonly capture?: string | undefined;
  /** Its half of a controller that it shares with a gateway, instead of an adapter of its own; closed with the node. */
  readonly peripheral?: ReturningPeripheral | undefined;
  /** Takes one line per secret, for `cpns trace`. */
  readonly onSecret?: ((line: string) => void) | undefined;
  readonly onTrace?: OnTrace | undefined;
  readonly onEvent?: ((event: PneEvent) => void) | undefined;
  /** Whether to join; asked once per PN Setup Request that verified. */
  readonly ask: (question: JoinQuestion) => Promise<'ok' | DeclineStatus>;
  readonly clock?: Clock | undefined;
  /** The Bluetooth controller is gone and did not come back in time: this node is deaf from now on. */
  readonly onRadioGone?: (() => void) | undefined;
}

export interface PneStatus {
  readonly thumbprint: string;
  readonly owner: string | undefined;
  readonly homeAddress: string | undefined;
  readonly radio: RadioState;
  readonly link: 'none' | 'open';
  /** kids of the server keys it believes, hex. */
  readonly serverKeys: readonly string[];
  readonly pending: readonly { readonly pnId: string; readonly joinId: string }[];
  readonly memberships: readonly {
    readonly pnId: string;
    readonly joinId: string;
    readonly name: string;
    /** The server has not spoken of it for 24 h powered: no data until it does. */
    readonly stale: boolean;
    readonly version: number;
    readonly members: number;
    /** SHA-256 of the signed inventory's exact bytes. */
    readonly inventorySha256: string;
  }[];
}

interface Code {
  readonly secret: Bytes;
  readonly expiresAtMs: number;
  /** T of a code that a gateway shows; absent for one that this PNE shows. */
  readonly gateway?: Bytes;
}

/** @throws CpnsError, BluetoothUnavailableError, MonikerError, ProfileError */
export async function openPne(options: PneOptions): Promise<PneNode> {
  const signer = loadOrCreateKey(join(options.stateDir, 'identity.pem'));
  const store = openPneStore(join(options.stateDir, 'pne.sqlite'));
  try {
    const radio = options.peripheral ?? (await openRadio(options));
    const node = new PneNode(options, signer, store, radio);
    await node.start();
    return node;
  } catch (error) {
    store.close();
    throw error;
  }
}

function openRadio(options: PneOptions): Promise<ReturningCentral | ReturningPeripheral> {
  const { bluetooth } = options.config;
  const open = bluetooth.as === 'central' ? openReturningCentral : openReturningPeripheral;
  return open(...radioOf(bluetooth, options, options.onRadioGone));
}

export class PneNode {
  readonly #options: PneOptions;
  readonly #store: PneStore;
  readonly #radio: ReturningCentral | ReturningPeripheral;
  /** Where links come from: those that gateways make, or those that this PNE makes. */
  readonly #taker: LinkTaker | undefined;
  readonly #central: PneCentral | undefined;
  readonly #primitives: Primitives = nodePrimitives();
  readonly #clock: Clock;
  readonly #powered: PoweredClock;
  readonly #thumbprint;
  readonly #links: PneLinks;
  #code: Code | undefined;
  #poweredTimer: NodeJS.Timeout | undefined;
  #codeTimer: NodeJS.Timeout | undefined;
  #closing = false;
  #closed: Promise<void> | undefined;
  #whenEnrolled: (() => void)[] = [];

  constructor(
    options: PneOptions,
    signer: Signer,
    store: PneStore,
    radio: ReturningCentral | ReturningPeripheral,
  ) {
    this.#options = options;
    this.#store = store;
    this.#radio = radio;
    this.#clock = options.clock ?? systemClock;
    this.#powered = new PoweredClock(this.#clock, store.clock().poweredSeconds);
    this.#thumbprint = thumbprintOf(this.#primitives, signer.publicKey);
    this.#links = new PneLinks({
      ...{ signer, store, primitives: this.#primitives, clock: this.#clock, powered: this.#powered },
      thumbprint: this.#thumbprint,
      capability: deviceCapability(options.config.device, radio.adapter.detection.profile),
      device: options.config.device,
      code: () => this.#liveCode(),
      onOwned: () => this.#eraseCode(),
      ask: options.ask,
      onEvent: (event) => this.#emit(event),
      onTrace: options.onTrace,
      onSecret: options.onSecret,
    });
    if ('startScan' in radio) this.#central = this.#connector(radio);
    else this.#taker = this.#acceptor(radio);
    radio.onRadio = (state) => this.#radioChanged(state);
    this.#poweredTimer = setInterval(() => this.#countPowered(), POWERED_WRITE_MS);
  }

  #radioChanged(radio: RadioState): void {
    if (radio.state === 'ready') this.#changed();
    this.#emit({ kind: 'radio', ...radio });
  }

  get adapter(): ChosenProfile {
    return this.#radio.adapter;
  }

  #acceptor(peripheral: Peripheral): LinkTaker {
    return new LinkTaker({
      peripheral,
      primitives: this.#primitives,
      clock: this.#clock,
      content: () => ({
        mode: this.#options.peripheral ? 'both' : 'pne',
        enrolSecret: this.#liveCode()?.secret,
        join: this.#links.owner !== undefined,
        secrets: [
          ...this.#store.joins().map(({ rms }) => rms),
          ...(this.#links.owner ? [this.#links.owner.homeRms] : []),
        ],
      }),
      take: (gatt, proven) => this.#links.taken(gatt, proven),
      onProblem: (status) => this.#emit({ kind: 'problem', what: 'advertising', status }),
    });
  }

  #connector(central: Central): PneCentral {
    return new PneCentral({
      central,
      primitives: this.#primitives,
      clock: this.#clock,
      state: () => ({
        linked: this.#links.linked || this.#closing,
        enrolled: this.#links.owner !== undefined,
        code: this.#givenCode(),
        joins: this.#store.joins(),
      }),
      made: (gatt, purpose, proven) => this.#links.made(gatt, purpose, proven),
      onConnectFailed: (_address, status) => this.#emit({ kind: 'link', state: 'down', status }),
    });
  }

  async start(): Promise<void> {
    await this.#taker?.announce();
    await this.#central?.start();
  }

  /** Codes, joins or owner are others than before. */
  #changed(): void {
    if (this.#closing) return;
    this.#taker?.reannounce();
    this.#central?.reconsider();
  }

  /** Settles once the PNE is somebody's; at once when it is already. */
  get enrolled(): Promise<void> {
    if (this.#links.owner) return Promise.resolve();
    return new Promise((resolve) => this.#whenEnrolled.push(resolve));
  }

  status(): PneStatus {
    const joins = this.#store.joins().filter(({ state }) => state === 'pending');
    const name = (known: KnownJoin) => ({
      pnId: toHex(known.pnId),
      joinId: toHex(known.th3.slice(0, JOIN_ID_BYTES)),
    });
    return {
      thumbprint: toHex(this.#thumbprint),
      owner: this.#links.owner?.userLabel,
      homeAddress: this.#links.owner?.homeAddress,
      radio: this.#radio.radio,
      link: this.#links.linked ? 'open' : 'none',
      serverKeys: this.#links.owner?.serverKeys.keys.map(({ kid }) => toHex(kid)) ?? [],
      pending: joins.map(name),
      memberships: this.#store.memberships().map(({ join: known, inventory }) => {
        const { name: pnName, members } = InventoryPayload.decode(parseSign1(inventory).payload);
        return {
          ...name(known),
          name: pnName,
          version: known.version,
          stale: this.#links.isStale(known.th3),
          members: members.length,
          inventorySha256: toHex(this.#primitives.sha256(inventory)),
        };
      }),
    };
  }

  /** How it is, for the watchdog. */
  async vitals(): Promise<Vitals> {
    const radio = this.#radio;
    const controller = (await radio.answers()) || (radio.radio.state === 'waiting' ? 'away' : false);
    const owner =
      this.#links.owner === undefined ? 'not enrolled' : `member of ${this.#store.memberships().length}`;
    return { controller, remark: `${owner}, link ${this.#links.linked ? 'open' : 'none'}` };
  }

  /** The signed inventory of a PN this PNE is in. @param pnId hex */
  inventory(pnId: string): Bytes | undefined {
    return this.#store.memberships().find(({ join: known }) => toHex(known.pnId) === pnId)?.inventory;
  }

  /** Whether it is enrolled with a code that the gateway shows, and not with one of its own. */
  get takesCode(): boolean {
    return this.#central !== undefined;
  }

  /**
   * Enrols with a code that a gateway shows, as soon as it is near, within ten minutes.
   * @throws CpnsError enrolment-code-wrong, conflict when this PNE shows a code itself
   */
  useCode(codeText: string): void {
    if (!this.takesCode) throw new CpnsError('conflict', 'this PNE shows a code of its own');
    const { kind, secret, thumbprintPrefix } = parseEnrolmentCode(this.#primitives, codeText);
    if (kind !== 'gateway') throw new CpnsError('enrolment-code-wrong', 'this code is shown by a PNE');
    this.#keepCode({ secret, gateway: thumbprintPrefix });
  }

  /** Shows a new code; the one before is void. @throws CpnsError conflict when it is the gateway that shows one */
  startEnrolment(): { readonly code: string; readonly expiresInMs: number } {
    if (this.takesCode)
      throw new CpnsError('conflict', 'this PNE connects by itself: the gateway shows the code');
    const secret = this.#primitives.randomBytes(CODE_SECRET_BYTES);
    this.#keepCode({ secret });
    const code = createEnrolmentCode(this.#primitives, 'pne', this.#thumbprint, secret);
    return { code: formatEnrolmentCode(code), expiresInMs: CODE_LIFE_MS };
  }

  #keepCode(code: Omit<Code, 'expiresAtMs'>): void {
    this.#store.forgetCode();
    this.#code = { ...code, expiresAtMs: this.#clock.monotonicMs() + CODE_LIFE_MS };
    clearTimeout(this.#codeTimer);
    this.#codeTimer = setTimeout(() => this.#endCode(code.secret), CODE_LIFE_MS);
    this.#changed();
  }

  /**
   * Leaves a PN from this side: its keys and inventory are erased, the link ends. The server still lists the PNE until
   * it joins again (a refresh) or is revoked.
   * @param pnId hex
   * @throws CpnsError not-found when it is no member
   */
  async forget(pnId: string): Promise<void> {
    if (!this.#store.forgetMember(fromHex(pnId))) throw new CpnsError('not-found', 'not a member of this PN');
    // The end of a link announces by itself.
    if (this.#links.linked) await this.#links.close();
    else this.#changed();
    this.#central?.reconsider();
  }

  /** Sends application data to the gateway. @throws CpnsError link-lost, credential-expired when stale */
  sendData(body: Bytes): void {
    this.#links.sendData(body);
  }

  /** Ends the link, frees the controller, writes what is left. Calling it again waits for the first. */
  close(): Promise<void> {
    this.#closed ??= this.#end();
    return this.#closed;
  }

  async #end(): Promise<void> {
    this.#closing = true;
    for (const timer of [this.#poweredTimer, this.#codeTimer]) clearTimeout(timer);
    this.#taker?.stop();
    await this.#central?.stop().catch(() => {});
    await this.#links.close();
    await this.#radio.close();
    this.#countPowered();
    this.#store.close();
  }

  #countPowered(): void {
    try {
      this.#store.savePowered(this.#powered.seconds);
    } catch (error) {
      this.#emit({ kind: 'problem', what: 'powered time', status: statusOfError(error) });
    }
  }

  /** The code that is being shown; none once its time is over, whenever the timer that erases it may come. */
  #liveCode(): Code | undefined {
    return this.#code && this.#clock.monotonicMs() < this.#code.expiresAtMs ? this.#code : undefined;
  }

  #endCode(secret: Bytes): void {
    if (this.#code?.secret !== secret) return;
    this.#eraseCode();
    this.#changed();
  }

  #eraseCode(): void {
    this.#code?.secret.fill(0);
    this.#code = undefined;
  }

  #givenCode(): GivenCode | undefined {
    const code = this.#liveCode();
    return code?.gateway && { secret: code.secret, thumbprintPrefix: code.gateway };
  }

  #emit(event: PneEvent): void {
    if (event.kind === 'enrolled') for (const resolve of this.#whenEnrolled.splice(0)) resolve();
    this.#options.onEvent?.(event);
  }
}
