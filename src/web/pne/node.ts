/**
 * The PNE in a browser: puts the machines of enrolment and establishment on a link that the page opened as GATT central,
 * keeps what they decide, tells the page what happens. Composition only, as src/nodes/pne.ts is on a host; every rule
 * of the protocol is in the machines and the link. Owns no radio and no view.
 */
import { type Bytes, equal } from '../../base/bytes.ts';
import { CpnsError, statusOfError } from '../../base/errors.ts';
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
import type { OpenRequest } from '../../link/open.ts';
import type { Contents } from '../../messages/setup.ts';
import { Waiting } from '../../messages/setup.ts';
import { faultEvent } from '../../nodes/fault.ts';
import { type AnyMachineDriver, LinkSession, type Opened } from '../../nodes/link-session.ts';
import { MachineDriver } from '../../nodes/machine-driver.ts';
import { type Owner, PoweredClock, readFloor, readOwner } from '../../nodes/pne-trust.ts';
import { coseKeyOf, thumbprintOf } from '../../security/cose-key.ts';
import type { EnrolmentCode } from '../../security/enrolment-code.ts';
import type { Primitives } from '../../security/primitives.ts';
import type { Signer } from '../../security/signer.ts';
import type { RecordStore } from './record-store.ts';
import * as changes from './records.ts';
import { freshAt, joinsOf, membershipsOf } from './records.ts';

/** After so long without a word of the server a PNE stops data, docs/protocol.md §8. */
const STALE_POWERED_SECONDS = 24 * 3600;

/** What this device says of itself. */
export interface DeviceFacts {
  readonly capability: Bytes;
  readonly contents: Contents | undefined;
  readonly pneId: string | undefined;
}

export interface BrowserPneOptions {
  readonly primitives: Primitives;
  readonly signer: Signer;
  readonly store: RecordStore;
  readonly clock: Clock;
  /** As it is now; asked at the start of each link. */
  readonly device: () => DeviceFacts;
  /** Whether to join; asked once per PN Setup Request that verified. */
  readonly ask: (question: JoinQuestion) => Promise<'ok' | DeclineStatus>;
  readonly onEvent: (event: PneEvent) => void;
}

export type LinkPurpose =
  | { readonly kind: 'enrol'; readonly code: EnrolmentCode }
  | { readonly kind: 'establish' }
  | { readonly kind: 'resume'; readonly th3: Bytes };

export type PneEvent =
  /** A machine has taken an input: what the ladder is drawn from. */
  | {
      readonly kind: 'step';
      readonly input: string;
      readonly state: string;
      readonly status?: Status | undefined;
    }
  | { readonly kind: 'enrolled'; readonly userLabel: string; readonly homeAddress: string }
  | { readonly kind: 'joined' | 'resumed' | 'updated'; readonly join: KnownJoin }
  | { readonly kind: 'refused'; readonly join: KnownJoin; readonly status: Status }
  | { readonly kind: 'data'; readonly bytes: Bytes }
  | { readonly kind: 'problem'; readonly what: string; readonly status: Status };

export class BrowserPne {
  readonly #options: BrowserPneOptions;
  readonly #powered: PoweredClock;
  readonly thumbprint;
  #owner: Owner | undefined;
  #floor: Floor;
  #session: LinkSession | undefined;

  /** @throws CpnsError malformed when what was kept is damaged */
  constructor(options: BrowserPneOptions) {
    const { primitives, signer, store, clock } = options;
    this.#options = options;
    this.#powered = new PoweredClock(clock, store.records.poweredSeconds);
    this.thumbprint = thumbprintOf(primitives, signer.publicKey);
    this.#owner = this.#readOwner();
    this.#floor = readFloor({ clock: () => store.records }, clock);
  }

  get owner(): Owner | undefined {
    return this.#owner;
  }

  get linked(): boolean {
    return this.#session !== undefined;
  }

  get joins(): readonly KnownJoin[] {
    return joinsOf(this.#options.store.records);
  }

  get memberships() {
    return membershipsOf(this.#options.store.records);
  }

  /** Whether the server has not spoken of a membership for too long. */
  isStale(th3: Bytes): boolean {
    const at = freshAt(this.#options.store.records, th3);
    return at === undefined || this.#powered.seconds - at > STALE_POWERED_SECONDS;
  }

  /**
   * Runs one link to its end.
   * @returns why it ended
   * @throws CpnsError busy when there is a link already, not-enrolled, unknown-session, cannot-persist
   */
  async run(gatt: GattLink, purpose: LinkPurpose): Promise<Status> {
    try {
      if (this.#session) throw new CpnsError('busy');
      if (purpose.kind !== 'enrol' && !this.#owner) throw new CpnsError('not-enrolled');
      if (purpose.kind === 'enrol') await this.#options.store.change(changes.forgetCode);
      return await this.#run(gatt, purpose, this.#request(purpose));
    } catch (error) {
      await gatt.close();
      throw error;
    }
  }

  /** Ends the link, if there is one. */
  async hangUp(): Promise<void> {
    await this.#session?.close();
  }

  /** Leaves a PN from this side: its keys and inventory are erased. @throws CpnsError cannot-persist */
  async forget(pnId: Bytes): Promise<void> {
    await this.#options.store.change(changes.forgetMember(pnId));
    await this.hangUp();
  }

  /** Writes down how long this page has been open. @throws CpnsError cannot-persist */
  countPowered(): Promise<void> {
    return this.#options.store.change(changes.savePowered(this.#powered.seconds));
  }

  #request(purpose: LinkPurpose): OpenRequest {
    if (purpose.kind === 'enrol') return { kind: 'enrol', secret: purpose.code.secret.slice() };
    if (purpose.kind === 'establish') return purpose;
    return { kind: 'resume', rms: this.#join(purpose.th3).rms.slice() };
  }

  #join(th3: Bytes): KnownJoin {
    const join = this.joins.find((known) => equal(known.th3, th3));
    if (!join) throw new CpnsError('unknown-session');
    return join;
  }

  #run(gatt: GattLink, purpose: LinkPurpose, request: OpenRequest): Promise<Status> {
    const { primitives, signer, clock } = this.#options;
    return new Promise((resolve) => {
      this.#session = new LinkSession({
        gatt,
        party: 'pne',
        signer,
        clock,
        onTrace: undefined,
        onSecret: undefined,
        link: {
          side: 'central',
          role: 'pne',
          // The gateway knows the ATT MTU and states it in its OPEN, which comes first; a browser can't tell.
          transportSegmentBytes: gatt.maxSegmentBytes,
          primitives,
          ephemeral: primitives.generateEphemeral(),
          request,
        },
        start: (opened, session) =>
          purpose.kind === 'enrol'
            ? this.#enrol(opened, session, purpose.code)
            : this.#establish(
                opened,
                session,
                purpose.kind === 'resume' ? this.#join(purpose.th3) : undefined,
              ),
        onFault: (error) => this.#options.onEvent(faultEvent(error)),
        onEnd: (status) => {
          this.#session = undefined;
          resolve(status);
        },
      });
    });
  }

  #enrol(opened: Opened, session: LinkSession, _code: EnrolmentCode): AnyMachineDriver {
    const { primitives, signer, store, clock, device, onEvent } = this.#options;
    const { pneId, capability } = device();
    const machine = new Machine(PNE_ENROL_MACHINE, {
      primitives,
      publicKey: signer.publicKey,
      coseKey: coseKeyOf(signer.publicKey),
      pneId,
      capability,
      epoch: store.records.code.epoch + 1,
      spentOn: store.records.code.spentOn,
    });
    type On<K> = Extract<PneEnrolOutput, { readonly kind: K }>;
    const driver = new MachineDriver(
      machine,
      {
        ...session.effects,
        persistSpent: (out: On<'persistSpent'>) =>
          store.change(changes.spendCode(out.gatewayThumbprint, out.epoch)),
        persistOwnership: (out: On<'persistOwnership'>) => this.#own(out.ownership),
        enrolled: ({ ownership: { userLabel, homeAddress } }: On<'enrolled'>) =>
          onEvent({ kind: 'enrolled', userLabel, homeAddress }),
      },
      clock,
    );
    driver.onStep = (_before, input, state) => this.#tell(input, state);
    driver.feed({ kind: 'opened', th1: opened.th1, prk1: opened.prk1 });
    return driver as AnyMachineDriver;
  }

  async #own({ offer, userLabel, epoch, rms, serverTime }: Ownership): Promise<void> {
    const kept = { offer, userLabel, epoch, homeRms: rms, serverKeysStatement: undefined };
    await this.#options.store.change(changes.saveOwnership(kept, serverTime, this.#powered.seconds));
    this.#owner = this.#readOwner();
    this.#floor = { serverTime, atMs: this.#options.clock.monotonicMs() };
  }

  #establish(opened: Opened, session: LinkSession, known: KnownJoin | undefined): AnyMachineDriver {
    const { primitives, clock, device } = this.#options;
    const owner = this.#owner;
    if (!owner) throw new CpnsError('not-enrolled');
    const { capability, contents, pneId } = device();
    const machine = new Machine(PNE_MACHINE, {
      primitives,
      identity: { thumbprint: this.thumbprint, homeAddress: owner.homeAddress, capability, contents, pneId },
      serverKeys: owner.serverKeys,
      floor: this.#floor,
      joins: this.joins,
    });
    const driver = new MachineDriver(
      machine,
      { ...session.effects, ...this.#effects((input) => driver.feed(input)) },
      clock,
    );
    driver.onStep = (_before, input, state) => this.#tell(input, state);
    driver.feed({ kind: 'opened', th1: opened.th1, prk1: opened.prk1, join: known });
    return driver as AnyMachineDriver;
  }

  #effects(feed: (input: PneInput) => void) {
    type On<K> = Extract<PneOutput, { readonly kind: K }>;
    const { store, clock, ask, onEvent } = this.#options;
    const powered = () => this.#powered.seconds;
    const serverTime = (floor: Floor) => serverTimeAt(floor, clock.monotonicMs());
    const report = ({ kind, join }: On<'joined'> | On<'resumed'> | On<'updated'>) => onEvent({ kind, join });
    return {
      ask: ({ question }: On<'ask'>) => {
        const answer = (status: 'ok' | DeclineStatus) => feed({ kind: 'decided', status });
        ask(question).then(answer, () => answer('declined'));
      },
      persistPending: ({ join, floor }: On<'persistPending'>) => {
        this.#floor = floor;
        return store.change(changes.savePending(join, serverTime(floor), powered()));
      },
      forgetPending: ({ th3 }: On<'forgetPending'>) => store.change(changes.forgetPending(th3)),
      persistMember: ({ join, inventory }: On<'persistMember'>) =>
        store.change(changes.saveMember(join, inventory, powered())),
      persistFloor: ({ floor, th3, ageSeconds }: On<'persistFloor'>) => {
        this.#floor = floor;
        return store.change(changes.saveFloor(serverTime(floor), powered() - ageSeconds, th3));
      },
      persistServerKeys: async ({ statement }: On<'persistServerKeys'>) => {
        await store.change(changes.saveServerKeys(statement));
        this.#owner = this.#readOwner();
      },
      joined: report,
      resumed: report,
      updated: report,
      refused: ({ join, status }: On<'refused'>) => onEvent({ kind: 'refused', join, status }),
      data: ({ body }: On<'data'>) => onEvent({ kind: 'data', bytes: body }),
    };
  }

  /** Tells a step of a machine; a Waiting says what is waited for. */
  #tell(input: StepInput, state: string): void {
    this.#options.onEvent({ kind: 'step', input: input.kind, state, status: statedStatus(input) });
  }

  #readOwner(): Owner | undefined {
    const { store, primitives } = this.#options;
    return readOwner({ ownership: () => store.records.ownership }, primitives);
  }
}

type Ownership = Extract<PneEnrolOutput, { readonly kind: 'persistOwnership' }>['ownership'];

interface StepInput {
  readonly kind: string;
  readonly status?: Status | undefined;
  readonly body?: Bytes | undefined;
}

function statedStatus({ kind, status, body }: StepInput): Status | undefined {
  if (kind !== 'Waiting' || !body) return status;
  try {
    return Waiting.decode(body).status;
  } catch (error) {
    return statusOfError(error);
  }
}
