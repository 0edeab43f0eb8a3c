/**
 * The PNE in a browser: src/nodes/pne/links.ts, which is a PNE's links on a host, with the page's store, key and clock.
 * Composition only, as src/nodes/pne/pne.ts is on a host. Owns no radio and no view.
 */
import { type Bytes, equal } from '../../base/bytes.ts';
import { CpnsError } from '../../base/errors.ts';
import type { Status } from '../../base/statuses.ts';
import type { Clock } from '../../base/time.ts';
import type { GattLink } from '../../bluetooth/gatt-link.ts';
import type { DeclineStatus, JoinQuestion, KnownJoin } from '../../establishment/pne-types.ts';
import type { Contents } from '../../messages/setup.ts';
import type { PneLinkEvent, PnePurpose } from '../../nodes/pne/link-events.ts';
import { PneLinks } from '../../nodes/pne/links.ts';
import { type Owner, PoweredClock } from '../../nodes/pne/trust.ts';
import { thumbprintOf } from '../../security/cose-key.ts';
import type { EnrolmentCode } from '../../security/enrolment-code.ts';
import type { Primitives } from '../../security/primitives.ts';
import type { Signer } from '../../security/signer.ts';
import type { Membership } from '../../store/pne-kept.ts';
import type { RecordStore } from './record-store.ts';

/** What this device says of itself. */
export interface DeviceFacts {
  readonly capability: Bytes;
  readonly contents: Contents;
  readonly pneId: string | undefined;
}

/** What happens, told to whoever shows it. */
export interface PneHooks {
  /** Whether to join; asked once per PN Setup Request that verified. */
  readonly ask: (question: JoinQuestion) => Promise<'ok' | DeclineStatus>;
  readonly onEvent: (event: PneLinkEvent) => void;
  /** A machine has come to a state; `waiting` where the gateway said what for. */
  readonly onStep: (state: string, waiting: Status | undefined) => void;
}

export interface BrowserPneOptions extends PneHooks {
  readonly primitives: Primitives;
  readonly signer: Signer;
  readonly store: RecordStore;
  readonly clock: Clock;
  /** As it is now; asked on each link. */
  readonly device: () => DeviceFacts;
}

export type LinkPurpose =
  | { readonly kind: 'enrol'; readonly code: EnrolmentCode }
  | { readonly kind: 'establish' }
  | { readonly kind: 'resume'; readonly th3: Bytes };

export class BrowserPne {
  readonly thumbprint;
  readonly #store: RecordStore;
  readonly #powered: PoweredClock;
  readonly #links: PneLinks;

  /** @throws CpnsError malformed when what was kept is damaged */
  constructor(options: BrowserPneOptions) {
    const { primitives, signer, store, clock, device, ask, onEvent, onStep } = options;
    this.#store = store;
    this.#powered = new PoweredClock(clock, store.clock().poweredSeconds);
    this.thumbprint = thumbprintOf(primitives, signer.publicKey);
    this.#links = new PneLinks({
      ...{ signer, store, primitives, clock, ask, onEvent, onStep },
      powered: this.#powered,
      thumbprint: this.thumbprint,
      get capability() {
        return device().capability;
      },
      get device() {
        return device();
      },
      // A page shows no code; the one it was given is of one attempt.
      code: () => undefined,
      onOwned: () => {},
      onTrace: undefined,
      onSecret: undefined,
    });
  }

  get owner(): Owner | undefined {
    return this.#links.owner;
  }

  /** Pending joins first, newest first, then memberships. */
  get joins(): readonly KnownJoin[] {
    return this.#store.joins();
  }

  get memberships(): readonly Membership[] {
    return this.#store.memberships();
  }

  /** Whether the server has not spoken of a membership for too long. */
  isStale(th3: Bytes): boolean {
    return this.#links.isStale(th3);
  }

  /**
   * Runs one link to its end.
   * @returns why it ended; `ok` where nobody found fault
   * @throws CpnsError busy when there is a link already, not-enrolled, unknown-session, cannot-persist
   */
  async run(gatt: GattLink, purpose: LinkPurpose): Promise<Status> {
    try {
      if (this.#links.linked) throw new CpnsError('busy');
      if (purpose.kind !== 'enrol' && !this.owner) throw new CpnsError('not-enrolled');
      if (purpose.kind === 'enrol') await this.#store.forgetCode();
      return await this.#links.made(gatt, this.#purposeOf(purpose), () => {});
    } catch (error) {
      await gatt.close();
      throw error;
    }
  }

  /** Ends the link, if there is one. */
  hangUp(): Promise<void> {
    return this.#links.close();
  }

  /** Leaves a PN from this side: its keys and inventory are erased. @throws CpnsError cannot-persist */
  async forget(pnId: Bytes): Promise<void> {
    await this.#store.forgetMember(pnId);
    await this.hangUp();
  }

  /** Writes down how long this page has been open. @throws CpnsError cannot-persist */
  countPowered(): Promise<void> {
    return this.#store.savePowered(this.#powered.seconds);
  }

  #purposeOf(purpose: LinkPurpose): PnePurpose {
    if (purpose.kind !== 'resume') return purpose;
    const join = this.joins.find(({ th3 }) => equal(th3, purpose.th3));
    if (!join) throw new CpnsError('unknown-session');
    return { kind: 'resume', join };
  }
}
