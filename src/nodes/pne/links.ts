/**
 * A PNE's one link, whichever side made it, and the machine on it: enrolment, establishment or resumption, with what they
 * decide kept on disk in the machines' order. Owns owner, floor and session as they are now. Every rule is in the machines.
 */
import { type Bytes, toHex } from '../../base/bytes.ts';
import { CpnsError } from '../../base/errors.ts';
import type { Thumbprint } from '../../base/ids.ts';
import type { Status } from '../../base/statuses.ts';
import type { Clock } from '../../base/time.ts';
import type { GattLink } from '../../bluetooth/gatt-link.ts';
import { PNE_ENROL_MACHINE, type PneEnrolOutput } from '../../enrolment/pne.ts';
import { Machine } from '../../establishment/machine.ts';
import { PNE_MACHINE, serverTimeAt } from '../../establishment/pne.ts';
import type {
  DeclineStatus,
  Floor,
  JoinQuestion,
  KnownJoin,
  PneInput,
  PneOutput,
} from '../../establishment/pne-types.ts';
import { wentQuietly } from '../../establishment/session.ts';
import type { OpenRequest, OpenSide } from '../../link/open.ts';
import { type Contents, Waiting } from '../../messages/setup.ts';
import { coseKeyOf } from '../../security/cose-key.ts';
import type { Primitives } from '../../security/primitives.ts';
import type { Signer } from '../../security/signer.ts';
import type { PneKeeper } from '../../store/pne-kept.ts';
import { BackOff } from '../back-off.ts';
import { faultEvent } from '../fault.ts';
import { type AnyMachineDriver, LinkSession, type Opened } from '../link-session.ts';
import { MachineDriver } from '../machine-driver.ts';
import type { OnTrace } from '../trace.ts';
import type { PneLinkEvent, PnePurpose } from './link-events.ts';
import { type Owner, type PoweredClock, readFloor, readOwner } from './trust.ts';

/** Advertisement and scan response of a gateway, as on the air. */
const ADVERTISEMENT_BYTES = 21 + 31;
/** After so long without a word of the server a PNE stops data, docs/protocol.md §8. */
const STALE_POWERED_SECONDS = 24 * 3600;
const DECLINED_FIRST_MS = 5_000;
const DECLINED_LONGEST_MS = 10 * 60_000;
const DECLINED_GATEWAYS = 256;

/** What a PNE says of itself beside its capability. */
export interface PneDevice {
  readonly pneId: string | undefined;
  readonly contents: Contents;
}

export interface PneLinksOptions {
  readonly signer: Signer;
  readonly store: PneKeeper;
  readonly primitives: Primitives;
  readonly clock: Clock;
  readonly powered: PoweredClock;
  readonly thumbprint: Thumbprint;
  readonly capability: Bytes;
  readonly device: PneDevice;
  /** S of the code that this PNE shows, or was given. */
  readonly code: () => { readonly secret: Bytes } | undefined;
  /** It is on disk whose PNE this is: the code is used up. */
  readonly onOwned: () => void;
  /** Whether to join; asked once per PN Setup Request that verified. */
  readonly ask: (question: JoinQuestion) => Promise<'ok' | DeclineStatus>;
  readonly onEvent: (event: PneLinkEvent) => void;
  readonly onTrace: OnTrace | undefined;
  readonly onSecret: ((line: string) => void) | undefined;
  /** Each step of the machine, for whoever shows it; `waiting` where the gateway said what for. */
  readonly onStep?: ((state: string, waiting: Status | undefined) => void) | undefined;
}

export class PneLinks {
  readonly #options: PneLinksOptions;
  #owner: Owner | undefined;
  #floor: Floor;
  #session: LinkSession | undefined;
  /** th3 of the membership that the present link is live with. */
  #liveJoin: Bytes | undefined;
  /** The peer of the present link proved itself: it was no stranger. */
  #proven: () => void = () => {};
  /** By gateway. */
  readonly #declined = new BackOff(DECLINED_FIRST_MS, DECLINED_LONGEST_MS, DECLINED_GATEWAYS);

  constructor(options: PneLinksOptions) {
    this.#options = options;
    this.#owner = readOwner(options.store, options.primitives);
    this.#floor = readFloor(options.store, options.clock);
  }

  get owner(): Owner | undefined {
    return this.#owner;
  }

  get linked(): boolean {
    return this.#session !== undefined;
  }

  /** Whether the server has not spoken of a membership for too long. */
  isStale(th3: Bytes | undefined): boolean {
    const { store, powered } = this.#options;
    const freshAt = th3 && store.freshAt(th3);
    return freshAt === undefined || powered.seconds - freshAt > STALE_POWERED_SECONDS;
  }

  /** Sends application data to the gateway. @throws CpnsError link-lost, credential-expired when stale */
  sendData(body: Bytes): void {
    if (!this.#session) throw new CpnsError('link-lost');
    if (this.isStale(this.#liveJoin))
      throw new CpnsError('credential-expired', 'no word of the server for 24 h powered');
    this.#session.sendData(body);
  }

  /** Ends the link, where there is one. */
  async close(): Promise<void> {
    await this.#session?.close();
  }

  /** A link that a gateway made: what for is in its OPEN. Settles when it is down. */
  taken(gatt: GattLink, proven: () => void): Promise<Status> {
    const code = this.#options.code();
    const joins = this.#options.store.joins();
    const accept = {
      establish: this.#owner !== undefined,
      ...(code && { enrolSecret: code.secret.slice() }),
      sessions: joins.map((known) => ({ rms: known.rms.slice(), ref: toHex(known.th3) })),
    };
    return this.#run(gatt, { side: 'peripheral', accept }, proven, (opened, session) => {
      const known = joins.find(({ th3 }) => toHex(th3) === opened.sessionRef);
      return opened.linkKind === 'enrol'
        ? this.#enrol(opened, session, undefined)
        : this.#establish(opened, session, joins, known);
    });
  }

  /** A link that this PNE made. Settles when it is down: `ok` when there is no reason to wait before the next. */
  async made(gatt: GattLink, purpose: PnePurpose, proven: () => void): Promise<Status> {
    const joins = this.#options.store.joins();
    let live = false;
    const status = await this.#run(
      gatt,
      { side: 'central', request: requestOf(purpose) },
      () => {
        live = true;
        proven();
      },
      (opened, session) => {
        session.traceDiscovery(ADVERTISEMENT_BYTES, purpose.kind === 'establish');
        return purpose.kind === 'enrol'
          ? this.#enrol(opened, session, purpose.code.thumbprintPrefix)
          : this.#establish(opened, session, joins, purpose.kind === 'resume' ? purpose.join : undefined);
      },
    );
    return live && wentQuietly(status) ? 'ok' : status;
  }

  #run(
    gatt: GattLink,
    side: OpenSide,
    proven: () => void,
    start: (opened: Opened, session: LinkSession) => AnyMachineDriver,
  ): Promise<Status> {
    this.#emit({ kind: 'link', state: 'up' });
    this.#proven = proven;
    return new Promise((resolve) => {
      this.#session = new LinkSession({
        ...{ gatt, party: 'pne', signer: this.#options.signer, clock: this.#options.clock, start },
        onTrace: this.#options.onTrace,
        onSecret: this.#options.onSecret,
        link: {
          ...side,
          role: 'pne',
          transportSegmentBytes: gatt.maxSegmentBytes,
          primitives: this.#options.primitives,
          ephemeral: this.#options.primitives.generateEphemeral(),
        },
        onFault: (error) => this.#emit(faultEvent(error)),
        onEnd: (status) => {
          this.#session = undefined;
          this.#liveJoin = undefined;
          this.#proven = () => {};
          this.#emit({ kind: 'link', state: 'down', status });
          resolve(status);
        },
      });
    });
  }

  /** @param expectedGateway T of the code, where it is one that the gateway shows */
  #enrol(opened: Opened, session: LinkSession, expectedGateway: Bytes | undefined): AnyMachineDriver {
    const { epoch, spentOn } = this.#options.store.enrolmentCode();
    const { device } = this.#options;
    const machine = new Machine(PNE_ENROL_MACHINE, {
      primitives: this.#options.primitives,
      publicKey: this.#options.signer.publicKey,
      coseKey: coseKeyOf(this.#options.signer.publicKey),
      pneId: device.pneId,
      capability: this.#options.capability,
      epoch: epoch + 1,
      spentOn,
      expectedGateway,
    });
    type On<K> = Extract<PneEnrolOutput, { readonly kind: K }>;
    const driver = new MachineDriver(
      machine,
      {
        ...session.effects,
        persistSpent: (out: On<'persistSpent'>) =>
          this.#options.store.spendCode(out.gatewayThumbprint, out.epoch),
        compare: ({ digits }: On<'compare'>) => this.#emit({ kind: 'comparing', digits }),
        persistOwnership: (out: On<'persistOwnership'>) => this.#own(out.ownership),
        enrolled: (out: On<'enrolled'>) => {
          this.#proven();
          const { userLabel, homeAddress } = out.ownership;
          this.#emit({ kind: 'enrolled', userLabel, homeAddress });
        },
      },
      this.#options.clock,
    );
    driver.onStep = (_before, input, state) => this.#step(input, state);
    driver.feed({ kind: 'opened', th1: opened.th1, prk1: opened.prk1 });
    return driver as AnyMachineDriver;
  }

  async #own(
    ownership: Extract<PneEnrolOutput, { readonly kind: 'persistOwnership' }>['ownership'],
  ): Promise<void> {
    const { offer, userLabel, epoch, rms, serverTime } = ownership;
    const stored = { offer, userLabel, epoch, homeRms: rms, serverKeysStatement: undefined };
    await this.#options.store.saveOwnership(stored, serverTime, this.#options.powered.seconds);
    this.#owner = readOwner(this.#options.store, this.#options.primitives);
    this.#floor = { serverTime, atMs: this.#options.clock.monotonicMs() };
    this.#options.onOwned();
  }

  /** @param known the join that is resumed, where one is */
  #establish(
    opened: Opened,
    session: LinkSession,
    joins: readonly KnownJoin[],
    known: KnownJoin | undefined,
  ): AnyMachineDriver {
    const owner = this.#owner;
    // Establishment and resumption are accepted only when there is an owner (the link's `accept` above).
    if (!owner) throw new CpnsError('not-enrolled');
    const { device } = this.#options;
    const machine = new Machine(PNE_MACHINE, {
      primitives: this.#options.primitives,
      identity: {
        thumbprint: this.#options.thumbprint,
        homeAddress: owner.homeAddress,
        capability: this.#options.capability,
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
      this.#options.clock,
    );
    driver.onStep = (_before, input, state) => this.#step(input, state);
    driver.feed({ kind: 'opened', th1: opened.th1, prk1: opened.prk1, join: known });
    return driver as AnyMachineDriver;
  }

  #effects(session: LinkSession, feed: (input: PneInput) => void) {
    type On<K> = Extract<PneOutput, { readonly kind: K }>;
    const powered = () => this.#options.powered.seconds;
    const report = (out: Extract<PneOutput, { readonly kind: 'joined' | 'resumed' | 'updated' }>) => {
      this.#liveJoin = out.join.th3;
      if (out.kind !== 'updated') this.#proven();
      session.trace('MembershipStored', 'local', 0);
      this.#emit({ kind: out.kind, pnId: toHex(out.join.pnId), version: out.join.version });
    };
    return {
      ask: (out: On<'ask'>) => {
        void this.#decide(out.question).then((status) => feed({ kind: 'decided', status }));
      },
      persistPending: (out: On<'persistPending'>) => {
        this.#floor = out.floor;
        return this.#options.store.savePending(out.join, this.#serverTime(out.floor), powered());
      },
      forgetPending: (out: On<'forgetPending'>) => this.#options.store.forgetPending(out.th3),
      persistMember: (out: On<'persistMember'>) =>
        this.#options.store.saveMember(out.join, out.inventory, powered()),
      persistFloor: (out: On<'persistFloor'>) => {
        this.#floor = out.floor;
        return this.#options.store.saveFloor(
          this.#serverTime(out.floor),
          powered() - out.ageSeconds,
          out.th3,
        );
      },
      persistServerKeys: async (out: On<'persistServerKeys'>) => {
        await this.#options.store.saveServerKeys(out.statement);
        this.#owner = readOwner(this.#options.store, this.#options.primitives);
      },
      joined: report,
      resumed: report,
      updated: report,
      refused: (out: On<'refused'>) =>
        this.#emit({ kind: 'refused', pnId: toHex(out.join.pnId), status: out.status }),
      data: (out: On<'data'>) => {
        if (!this.isStale(this.#liveJoin)) this.#emit({ kind: 'data', bytes: out.body });
      },
    };
  }

  /** A gateway that was declined is declined for a while without asking: its next invitation is a second away. */
  async #decide(question: JoinQuestion): Promise<'ok' | DeclineStatus> {
    const { clock, ask } = this.#options;
    const gateway = toHex(question.gatewayId);
    if (this.#declined.holds(gateway, clock.monotonicMs())) return 'declined';
    const status = await ask(question).catch(() => 'declined' as const);
    if (status === 'ok') this.#declined.succeeded(gateway);
    else this.#declined.failed(gateway, clock.monotonicMs());
    return status;
  }

  #step(input: { readonly kind: string; readonly body?: Bytes }, state: string): void {
    const { onStep } = this.#options;
    onStep?.(state, input.kind === 'Waiting' && input.body ? waitingFor(input.body) : undefined);
  }

  #serverTime(floor: Floor): number {
    return serverTimeAt(floor, this.#options.clock.monotonicMs());
  }

  #emit(event: PneLinkEvent): void {
    this.#options.onEvent(event);
  }
}

function requestOf(purpose: PnePurpose): OpenRequest {
  if (purpose.kind === 'enrol') return { kind: 'enrol', secret: purpose.code.secret.slice() };
  if (purpose.kind === 'resume') return { kind: 'resume', rms: purpose.join.rms.slice() };
  return { kind: 'establish' };
}

function waitingFor(body: Bytes): Status | undefined {
  try {
    return Waiting.decode(body).status;
  } catch {
    // The machine has refused it.
    return undefined;
  }
}
