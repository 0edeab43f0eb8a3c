/**
 * The PNE as a program: advertises, takes one link at a time, runs enrolment or establishment on it, keeps what they
 * decide on disk. Composition only; every rule of the protocol is in the machines and the link.
 */
import { join } from 'node:path';
import { type Bytes, fromHex, toHex } from '../base/bytes.ts';
import { CpnsError, statusOfError } from '../base/errors.ts';
import { JOIN_ID_BYTES } from '../base/ids.ts';
import type { Status } from '../base/statuses.ts';
import type { Clock } from '../base/time.ts';
import type { ChosenProfile } from '../bluetooth/adapter-profile.ts';
import type { GattLink } from '../bluetooth/ports.ts';
import {
  openReturningPeripheral,
  type RadioState,
  type ReturningPeripheral,
} from '../bluetooth/returning.ts';
import { deviceCapability } from '../config/capability.ts';
import type { PneConfig } from '../config/pne-config.ts';
import { PNE_ENROL_MACHINE, type PneEnrolOutput } from '../enrolment/pne.ts';
import { Machine } from '../establishment/machine.ts';
import { PNE_MACHINE, serverTimeAt } from '../establishment/pne.ts';
import type {
  DeclineStatus,
  Floor,
  JoinQuestion,
  KnownJoin,
  PneInput,
  PneOutput,
} from '../establishment/pne-types.ts';
import { InventoryPayload } from '../messages/inventory.ts';
import { encodeAnnouncement } from '../network/advertisement.ts';
import { parseSign1 } from '../security/cose.ts';
import { coseKeyOf, thumbprintOf } from '../security/cose-key.ts';
import { createEnrolmentCode, formatEnrolmentCode } from '../security/enrolment-code.ts';
import { loadOrCreateKey } from '../security/keystore.ts';
import type { Primitives } from '../security/primitives.ts';
import { nodePrimitives } from '../security/primitives-node.ts';
import type { Signer } from '../security/signer.ts';
import { openPneStore, type PneStore } from '../store/pne-store.ts';
import { faultEvent } from './fault.ts';
import type { Vitals } from './health.ts';
import { type AnyMachineDriver, LinkSession, type Opened } from './link-session.ts';
import { MachineDriver } from './machine-driver.ts';
import { type Owner, PoweredClock, readFloor, readOwner } from './pne-trust.ts';
import { radioOf } from './radio-options.ts';
import { systemClock } from './system-clock.ts';
import type { OnTrace } from './trace.ts';

const SALT_LIFE_MS = 15 * 60_000;
const CROWDED_SALT_LIFE_MS = 30_000;
const ADVERTISED_TAGS = 3;
const CODE_LIFE_MS = 10 * 60_000;
const CODE_SECRET_BYTES = 12;
const ANNOUNCE_AGAIN_MS = 5_000;
const POWERED_WRITE_MS = 10 * 60_000;
const STRANGERS = 10;
const STRANGERS_WINDOW_MS = 10_000;
/** More than so many in the window come one by one, so that the places do not all fall to whoever is fastest. */
const STRANGERS_AT_ONCE = 5;
const STRANGERS_APART_MS = 1_000;
/** After so long without a word of the server a PNE stops data, docs/protocol.md §8. */
const STALE_POWERED_SECONDS = 24 * 3600;

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

export type PneEvent =
  | { readonly kind: 'enrolled'; readonly userLabel: string; readonly homeAddress: string }
  | { readonly kind: 'joined' | 'resumed' | 'updated'; readonly pnId: string; readonly version: number }
  | { readonly kind: 'refused'; readonly pnId: string; readonly status: Status }
  | { readonly kind: 'data'; readonly bytes: Bytes }
  | { readonly kind: 'problem'; readonly what: string; readonly status: Status }
  | ({ readonly kind: 'radio' } & RadioState)
  | { readonly kind: 'link'; readonly state: 'up' | 'down'; readonly status?: Status };

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
}

/** @throws CpnsError, BluetoothUnavailableError, MonikerError, ProfileError */
export async function openPne(options: PneOptions): Promise<PneNode> {
  const signer = loadOrCreateKey(join(options.stateDir, 'identity.pem'));
  const store = openPneStore(join(options.stateDir, 'pne.sqlite'));
  try {
    const peripheral =
      options.peripheral ??
      (await openReturningPeripheral(...radioOf(options.config.bluetooth, options, options.onRadioGone)));
    const node = new PneNode(options, signer, store, peripheral);
    await node.announce();
    return node;
  } catch (error) {
    store.close();
    throw error;
  }
}

export class PneNode {
  readonly #options: PneOptions;
  readonly #signer: Signer;
  readonly #store: PneStore;
  readonly #peripheral: ReturningPeripheral;
  readonly #primitives: Primitives = nodePrimitives();
  readonly #clock: Clock;
  readonly #powered: PoweredClock;
  readonly #thumbprint;
  readonly #capability: Bytes;
  #owner: Owner | undefined;
  #floor: Floor;
  #code: Code | undefined;
  #session: LinkSession | undefined;
  /** th3 of the membership that the present link is live with. */
  #liveJoin: Bytes | undefined;
  #turn = 0;
  #strangers: number[] = [];
  #poweredTimer: NodeJS.Timeout | undefined;
  #codeTimer: NodeJS.Timeout | undefined;
  #saltTimer: NodeJS.Timeout | undefined;
  #closing = false;
  #closed: Promise<void> | undefined;
  #whenEnrolled: (() => void)[] = [];

  constructor(options: PneOptions, signer: Signer, store: PneStore, peripheral: ReturningPeripheral) {
    this.#options = options;
    this.#signer = signer;
    this.#store = store;
    this.#peripheral = peripheral;
    this.#clock = options.clock ?? systemClock;
    this.#powered = new PoweredClock(this.#clock, store.clock().poweredSeconds);
    this.#thumbprint = thumbprintOf(this.#primitives, signer.publicKey);
    this.#capability = deviceCapability(options.config.device, peripheral.adapter.detection.profile);
    this.#owner = readOwner(store, this.#primitives);
    this.#floor = readFloor(store, this.#clock);
    peripheral.onLink = (gatt) => this.#accept(gatt);
    peripheral.onRadio = (radio) => this.#radioChanged(radio);
    this.#poweredTimer = setInterval(() => this.#countPowered(), POWERED_WRITE_MS);
  }

  #radioChanged(radio: RadioState): void {
    if (radio.state === 'ready') this.#reannounce();
    this.#emit({ kind: 'radio', ...radio });
  }

  get adapter(): ChosenProfile {
    return this.#peripheral.adapter;
  }

  /** Settles once the PNE is somebody's; at once when it is already. */
  get enrolled(): Promise<void> {
    if (this.#owner) return Promise.resolve();
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
      owner: this.#owner?.userLabel,
      homeAddress: this.#owner?.homeAddress,
      radio: this.#peripheral.radio,
      link: this.#session ? 'open' : 'none',
      serverKeys: this.#owner?.serverKeys.keys.map(({ kid }) => toHex(kid)) ?? [],
      pending: joins.map(name),
      memberships: this.#store.memberships().map(({ join: known, inventory }) => {
        const { name: pnName, members } = InventoryPayload.decode(parseSign1(inventory).payload);
        return {
          ...name(known),
          name: pnName,
          version: known.version,
          stale: this.#isStale(known.th3),
          members: members.length,
          inventorySha256: toHex(this.#primitives.sha256(inventory)),
        };
      }),
    };
  }

  /** How it is, for the watchdog. */
  async vitals(): Promise<Vitals> {
    const peripheral = this.#peripheral;
    const controller =
      (await peripheral.answers()) || (peripheral.radio.state === 'waiting' ? 'away' : false);
    const owner =
      this.#owner === undefined ? 'not enrolled' : `member of ${this.#store.memberships().length}`;
    return { controller, remark: `${owner}, link ${this.#session ? 'open' : 'none'}` };
  }

  /** The signed inventory of a PN this PNE is in. @param pnId hex */
  inventory(pnId: string): Bytes | undefined {
    return this.#store.memberships().find(({ join: known }) => toHex(known.pnId) === pnId)?.inventory;
  }

  /** Shows a new code; the one before is void. */
  startEnrolment(): { readonly code: string; readonly expiresInMs: number } {
    const secret = this.#primitives.randomBytes(CODE_SECRET_BYTES);
    this.#store.forgetCode();
    this.#code = { secret, expiresAtMs: this.#clock.monotonicMs() + CODE_LIFE_MS };
    clearTimeout(this.#codeTimer);
    this.#codeTimer = setTimeout(() => this.#endCode(secret), CODE_LIFE_MS);
    this.#reannounce();
    const code = createEnrolmentCode(this.#primitives, 'pne', this.#thumbprint, secret);
    return { code: formatEnrolmentCode(code), expiresInMs: CODE_LIFE_MS };
  }

  /**
   * Leaves a PN from this side: its keys and inventory are erased, the link ends. The server still lists the PNE until
   * it joins again (a refresh) or is revoked.
   * @param pnId hex
   * @throws CpnsError not-found when it is no member
   */
  async forget(pnId: string): Promise<void> {
    if (!this.#store.forgetMember(fromHex(pnId))) throw new CpnsError('not-found', 'not a member of this PN');
    // The end of the link announces by itself.
    if (this.#session) await this.#session.close();
    else await this.announce();
  }

  /** Sends application data to the gateway. @throws CpnsError link-lost, credential-expired when stale */
  sendData(body: Bytes): void {
    if (!this.#session) throw new CpnsError('link-lost');
    if (this.#isStale(this.#liveJoin))
      throw new CpnsError('credential-expired', 'no word of the server for 24 h powered');
    this.#session.sendData(body);
  }

  /** Ends the link, frees the controller, writes what is left. Calling it again waits for the first. */
  close(): Promise<void> {
    this.#closed ??= this.#end();
    return this.#closed;
  }

  async #end(): Promise<void> {
    this.#closing = true;
    for (const timer of [this.#poweredTimer, this.#codeTimer, this.#saltTimer]) clearTimeout(timer);
    await this.#session?.close();
    await this.#peripheral.close();
    this.#store.savePowered(this.#powered.seconds);
    this.#store.close();
  }

  /** Advertises what holds now, under a fresh salt. */
  async announce(): Promise<void> {
    if (this.#closing || this.#session) return;
    clearTimeout(this.#saltTimer);
    const fullForMs = this.#fullForMs();
    if (fullForMs > 0) {
      // Silent meanwhile: whoever connects most often would take the next place, too, if it were always in the race.
      this.#saltTimer = setTimeout(() => this.#reannounce(), fullForMs);
      await this.#peripheral.stopAdvertising();
      return;
    }
    const joins = this.#store.joins();
    const secrets = [...joins.map(({ rms }) => rms), ...(this.#owner ? [this.#owner.homeRms] : [])];
    const serviceData = encodeAnnouncement(this.#primitives, {
      mode: this.#options.peripheral ? 'both' : 'pne',
      enrolSecret: this.#liveCode()?.secret,
      join: this.#owner !== undefined,
      secrets,
      turn: this.#turn++,
    });
    const lifeMs = secrets.length > ADVERTISED_TAGS ? CROWDED_SALT_LIFE_MS : SALT_LIFE_MS;
    this.#saltTimer = setTimeout(() => this.#reannounce(), lifeMs);
    await this.#peripheral.startAdvertising({ serviceData });
  }

  /** Whether the server has not spoken of a membership for too long. */
  #isStale(th3: Bytes | undefined): boolean {
    const freshAt = th3 && this.#store.freshAt(th3);
    return freshAt === undefined || this.#powered.seconds - freshAt > STALE_POWERED_SECONDS;
  }

  #countPowered(): void {
    try {
      this.#store.savePowered(this.#powered.seconds);
    } catch (error) {
      this.#emit({ kind: 'problem', what: 'powered time', status: statusOfError(error) });
    }
  }

  /** Announces anew in the background; a controller that refuses now is asked again. */
  #reannounce(): void {
    this.announce().catch((error) => {
      this.#emit({ kind: 'problem', what: 'advertising', status: statusOfError(error) });
      if (!this.#closing) this.#saltTimer = setTimeout(() => this.#reannounce(), ANNOUNCE_AGAIN_MS);
    });
  }

  /** The code that is being shown; none once its time is over, whenever the timer that erases it may come. */
  #liveCode(): Code | undefined {
    return this.#code && this.#clock.monotonicMs() < this.#code.expiresAtMs ? this.#code : undefined;
  }

  #endCode(secret: Bytes): void {
    if (this.#code?.secret !== secret) return;
    secret.fill(0);
    this.#code = undefined;
    this.#reannounce();
  }

  /** How long no further link may be served: strangers share ten per ten seconds (docs/protocol.md §10). */
  #fullForMs(): number {
    const nowMs = this.#clock.monotonicMs();
    this.#strangers = this.#strangers.filter((atMs) => nowMs - atMs < STRANGERS_WINDOW_MS);
    const [oldest = 0] = this.#strangers;
    const newest = this.#strangers.at(-1) ?? 0;
    if (this.#strangers.length < STRANGERS_AT_ONCE) return 0;
    const apartMs = newest + STRANGERS_APART_MS - nowMs;
    const placeMs = this.#strangers.length < STRANGERS ? 0 : oldest + STRANGERS_WINDOW_MS - nowMs;
    return Math.max(0, apartMs, placeMs);
  }

  #admit(): boolean {
    if (this.#fullForMs() > 0) return false;
    this.#strangers.push(this.#clock.monotonicMs());
    return true;
  }

  /** The peer of the present link proved itself: it was no stranger. */
  #proven(): void {
    this.#strangers.pop();
  }

  #accept(gatt: GattLink): void {
    if (this.#closing || this.#session || !this.#admit()) {
      void gatt.close();
      return;
    }
    this.#emit({ kind: 'link', state: 'up' });
    // Otherwise the controller would resume with what was announced before, under an address that the next
    // announcement changes at once: a gateway would connect to nobody.
    this.#peripheral.stopAdvertising().catch(() => {});
    const code = this.#liveCode();
    const joins = this.#store.joins();
    this.#session = new LinkSession({
      gatt,
      party: 'pne',
      signer: this.#signer,
      clock: this.#clock,
      onTrace: this.#options.onTrace,
      onSecret: this.#options.onSecret,
      link: {
        side: 'peripheral',
        role: 'pne',
        transportSegmentBytes: gatt.maxSegmentBytes,
        primitives: this.#primitives,
        ephemeral: this.#primitives.generateEphemeral(),
        accept: {
          establish: this.#owner !== undefined,
          ...(code && { enrolSecret: code.secret.slice() }),
          sessions: joins.map((known) => ({ rms: known.rms.slice(), ref: toHex(known.th3) })),
        },
      },
      start: (opened, session) =>
        opened.linkKind === 'enrol' ? this.#enrol(opened, session) : this.#establish(opened, session, joins),
      onFault: (error) => this.#emit(faultEvent(error)),
      onEnd: (status) => this.#linkEnded(status),
    });
  }

  #linkEnded(status: Status): void {
    this.#session = undefined;
    this.#liveJoin = undefined;
    this.#emit({ kind: 'link', state: 'down', status });
    this.#reannounce();
  }

  #enrol(opened: Opened, session: LinkSession): AnyMachineDriver {
    const { epoch, spentOn } = this.#store.enrolmentCode();
    const { device } = this.#options.config;
    const machine = new Machine(PNE_ENROL_MACHINE, {
      primitives: this.#primitives,
      publicKey: this.#signer.publicKey,
      coseKey: coseKeyOf(this.#signer.publicKey),
      pneId: device.pneId,
      capability: this.#capability,
      epoch: epoch + 1,
      spentOn,
    });
    type On<K> = Extract<PneEnrolOutput, { readonly kind: K }>;
    const driver = new MachineDriver(
      machine,
      {
        ...session.effects,
        persistSpent: (out: On<'persistSpent'>) => this.#store.spendCode(out.gatewayThumbprint, out.epoch),
        persistOwnership: (out: On<'persistOwnership'>) => this.#own(out.ownership),
        enrolled: (out: On<'enrolled'>) => {
          this.#proven();
          const { userLabel, homeAddress } = out.ownership;
          this.#emit({ kind: 'enrolled', userLabel, homeAddress });
          for (const resolve of this.#whenEnrolled.splice(0)) resolve();
        },
      },
      this.#clock,
    );
    driver.feed({ kind: 'opened', th1: opened.th1, prk1: opened.prk1 });
    return driver as AnyMachineDriver;
  }

  #own(ownership: Extract<PneEnrolOutput, { readonly kind: 'persistOwnership' }>['ownership']): void {
    const { offer, userLabel, epoch, rms, serverTime } = ownership;
    const stored = { offer, userLabel, epoch, homeRms: rms, serverKeysStatement: undefined };
    this.#store.saveOwnership(stored, serverTime, this.#powered.seconds);
    this.#owner = readOwner(this.#store, this.#primitives);
    this.#floor = { serverTime, atMs: this.#clock.monotonicMs() };
    this.#code?.secret.fill(0);
    this.#code = undefined;
  }

  #establish(opened: Opened, session: LinkSession, joins: readonly KnownJoin[]): AnyMachineDriver {
    const owner = this.#owner;
    // Establishment and resumption are accepted only when there is an owner (the link's `accept` above).
    if (!owner) throw new CpnsError('not-enrolled');
    const { device } = this.#options.config;
    const machine = new Machine(PNE_MACHINE, {
      primitives: this.#primitives,
      identity: {
        thumbprint: this.#thumbprint,
        homeAddress: owner.homeAddress,
        capability: this.#capability,
        contents: device.contents.length > 0 ? device.contents : undefined,
        pneId: device.pneId,
      },
      serverKeys: owner.serverKeys,
      floor: this.#floor,
      joins,
    });
    const driver = new MachineDriver(
      machine,
      { ...session.effects, ...this.#effects(session, (input) => driver.feed(input)) },
      this.#clock,
    );
    const known = joins.find(({ th3 }) => toHex(th3) === opened.sessionRef);
    driver.feed({ kind: 'opened', th1: opened.th1, prk1: opened.prk1, join: known });
    return driver as AnyMachineDriver;
  }

  #effects(session: LinkSession, feed: (input: PneInput) => void) {
    type On<K> = Extract<PneOutput, { readonly kind: K }>;
    const powered = () => this.#powered.seconds;
    const report = (out: Extract<PneOutput, { readonly kind: 'joined' | 'resumed' | 'updated' }>) => {
      this.#liveJoin = out.join.th3;
      if (out.kind !== 'updated') this.#proven();
      session.trace('MembershipStored', 'local', 0);
      this.#emit({ kind: out.kind, pnId: toHex(out.join.pnId), version: out.join.version });
    };
    return {
      ask: (out: On<'ask'>) => {
        const answer = (status: 'ok' | DeclineStatus) => feed({ kind: 'decided', status });
        this.#options.ask(out.question).then(answer, () => answer('declined'));
      },
      persistPending: (out: On<'persistPending'>) => {
        this.#floor = out.floor;
        this.#store.savePending(out.join, this.#serverTime(out.floor), powered());
      },
      forgetPending: (out: On<'forgetPending'>) => this.#store.forgetPending(out.th3),
      persistMember: (out: On<'persistMember'>) => this.#store.saveMember(out.join, out.inventory, powered()),
      persistFloor: (out: On<'persistFloor'>) => {
        this.#floor = out.floor;
        this.#store.saveFloor(this.#serverTime(out.floor), powered() - out.ageSeconds, out.th3);
      },
      persistServerKeys: (out: On<'persistServerKeys'>) => {
        this.#store.saveServerKeys(out.statement);
        this.#owner = readOwner(this.#store, this.#primitives);
      },
      joined: report,
      resumed: report,
      updated: report,
      refused: (out: On<'refused'>) =>
        this.#emit({ kind: 'refused', pnId: toHex(out.join.pnId), status: out.status }),
      data: (out: On<'data'>) => {
        if (!this.#isStale(this.#liveJoin)) this.#emit({ kind: 'data', bytes: out.body });
      },
    };
  }

  #serverTime(floor: Floor): number {
    return serverTimeAt(floor, this.#clock.monotonicMs());
  }

  #emit(event: PneEvent): void {
    this.#options.onEvent?.(event);
  }
}
