/**
 * A gateway's links, whichever side made them: what each is for, the machine for it, and what its end means. A link that
 * the gateway made has its purpose from the start; of one that a PNE made, its OPEN says what for.
 * Source: docs/protocol.md §2.2, §5.1, §7, §8.
 */
import { type Bytes, fromHex, toHex } from '../../base/bytes.ts';
import { CpnsError, statusOfError } from '../../base/errors.ts';
import { JoinId, type PnId } from '../../base/ids.ts';
import type { Status } from '../../base/statuses.ts';
import type { Clock } from '../../base/time.ts';
import type { GattLink } from '../../bluetooth/ports.ts';
import type { GatewayJoin, Invitation, Settlement } from '../../establishment/gateway-types.ts';
import { wentQuietly, wentSilently } from '../../establishment/session.ts';
import type { OpenRequest, OpenSide } from '../../link/open.ts';
import type { Primitives } from '../../security/primitives.ts';
import type { Signer } from '../../security/signer.ts';
import type { NetworkStore } from '../../store/gateway-networks.ts';
import { faultEvent } from '../fault.ts';
import { LinkSession, type Opened } from '../link-session.ts';
import type { OnTrace } from '../trace.ts';
import type { GatewayEvent } from './events.ts';
import type { Invitations } from './invitations.ts';
import type { Pairing, Pairings } from './pairing.ts';
import { rememberedJoin, settlementOf } from './registrations.ts';
import type { Sessions } from './sessions.ts';

/** How a link ends when its PNE or the server finds this gateway's credential, or its keys of the server, out of date. */
const DOUBTS: ReadonlySet<Status> = new Set([
  'credential-unknown-key',
  'credential-expired',
  'credential-invalid',
]);
/** Advertisement and scan response of a PNE, as on the air. */
const ADVERTISEMENT_BYTES = 21 + 31;
/** A PNE that has made a link waits 2 s for our OPEN; a nonce is fetched long before, or is not to be had. */
const NONCE_WITHIN_MS = 1_000;

/** Why a gateway makes a link. */
export type LinkPurpose =
  | { readonly kind: 'enrol'; readonly pairing: Pairing }
  | { readonly kind: 'resume'; readonly joinId: JoinId }
  | { readonly kind: 'establish' };

export interface GatewayLinksOptions {
  readonly primitives: Primitives;
  readonly signer: Signer;
  readonly clock: Clock;
  readonly networks: NetworkStore;
  readonly sessions: Sessions;
  readonly pairings: Pairings;
  readonly invitations: Invitations;
  /** Whether PNEs that are strangers may be established. */
  readonly invites: boolean;
  /** The credential, or the keys of the server, may be out of date. */
  readonly onDoubt: () => void;
  readonly onEvent: (event: GatewayEvent) => void;
  readonly onTrace: OnTrace | undefined;
  readonly onHeard: OnTrace | undefined;
  readonly onSecret: ((line: string) => void) | undefined;
}

/** What is done on a link, and with what. */
type Task =
  | { readonly kind: 'enrol'; readonly pairing: Pairing; readonly nonce: Bytes }
  | { readonly kind: 'resume'; readonly join: GatewayJoin; readonly settlement: Settlement | undefined }
  | { readonly kind: 'establish' };

export class GatewayLinks {
  readonly #options: GatewayLinksOptions;
  readonly #links = new Set<LinkSession>();

  constructor(options: GatewayLinksOptions) {
    this.#options = options;
  }

  get count(): number {
    return this.#links.size;
  }

  /**
   * A link that this gateway made. Settles when it is down: `ok` when there is no reason to wait before the next.
   * @param proven called when the peer did its part of the flow
   */
  async made(gatt: GattLink, purpose: LinkPurpose, proven: () => void): Promise<Status> {
    this.#emit({ kind: 'link', address: gatt.peerAddress, state: 'up' });
    const task = await this.#taskOf(purpose);
    if (!task) {
      await gatt.close();
      if (purpose.kind !== 'enrol') return 'ok';
      this.#options.pairings.ended(purpose.pairing, 'server-unreachable');
      return 'server-unreachable';
    }
    return this.#run(gatt, { side: 'central', request: this.#requestOf(task) }, () => task, proven, task);
  }

  /** A link that a PNE made. Settles when it is down. */
  async taken(gatt: GattLink, proven: () => void): Promise<Status> {
    const { networks, pairings, invites } = this.#options;
    this.#emit({ kind: 'link', address: gatt.peerAddress, state: 'up' });
    const pairing = pairings.shown;
    const nonce = pairing && (await soon(pairing.nonce));
    const accept = {
      establish: invites,
      ...(pairing && nonce && { enrolSecret: pairing.secret.slice() }),
      sessions: networks.resumable().map(({ joinId, rms }) => ({ rms, ref: toHex(joinId) })),
    };
    const taskOf = ({ linkKind, sessionRef }: Opened): Task => {
      if (linkKind === 'establish') return { kind: 'establish' };
      if (linkKind === 'enrol' && pairing && nonce) return { kind: 'enrol', pairing, nonce };
      const known = sessionRef === undefined ? undefined : networks.join(JoinId(fromHex(sessionRef)));
      if (!known) throw new CpnsError('unknown-session');
      return { kind: 'resume', join: rememberedJoin(known), settlement: settlementOf(networks, known) };
    };
    return this.#run(gatt, { side: 'peripheral', accept }, taskOf, proven);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#links].map((link) => link.close()));
  }

  /** Undefined when the reason for the link is gone, or the server can't be reached for it. */
  async #taskOf(purpose: LinkPurpose): Promise<Task | undefined> {
    if (purpose.kind === 'establish') return purpose;
    if (purpose.kind === 'enrol') {
      const nonce = await purpose.pairing.nonce;
      return nonce && { ...purpose, nonce };
    }
    const { networks } = this.#options;
    const known = networks.join(purpose.joinId);
    return (
      known && { kind: 'resume', join: rememberedJoin(known), settlement: settlementOf(networks, known) }
    );
  }

  #requestOf(task: Task): OpenRequest {
    if (task.kind === 'enrol') return { kind: 'enrol', secret: task.pairing.secret.slice() };
    if (task.kind === 'resume') return { kind: 'resume', rms: task.join.rms.slice() };
    return { kind: 'establish' };
  }

  /** @param task what the link is for, where that is known before it opens */
  #run(
    gatt: GattLink,
    side: OpenSide,
    taskOf: (opened: Opened) => Task,
    proven: () => void,
    task?: Task,
  ): Promise<Status> {
    const { primitives, signer, clock, networks, sessions, pairings, invitations } = this.#options;
    let doing = task;
    let invitation: Invitation | undefined;
    return new Promise((resolve) => {
      const session: LinkSession = new LinkSession({
        ...{ gatt, party: 'gateway', signer, clock },
        onTrace: this.#options.onTrace,
        onHeard: this.#options.onHeard,
        onSecret: this.#options.onSecret,
        link: {
          ...side,
          role: 'gateway',
          transportSegmentBytes: gatt.maxSegmentBytes,
          primitives,
          ephemeral: primitives.generateEphemeral(),
        },
        start: (opened, session) => {
          const now = taskOf(opened);
          doing = now;
          if (side.side === 'central') session.traceDiscovery(ADVERTISEMENT_BYTES, now.kind === 'establish');
          if (now.kind === 'enrol') return pairings.start(now.pairing, now.nonce, opened, session, proven);
          if (now.kind === 'resume') {
            // Read now: the server may have settled the join while the link was opening.
            const known = networks.join(now.join.joinId);
            const settlement = known ? settlementOf(networks, known) : now.settlement;
            return sessions.resume(now.join, settlement, opened, session, proven);
          }
          // Chosen now, when its use begins to count: a network without a member vanishes with the last link that uses it.
          invitation = invitations.current();
          return sessions.invite(invitation, opened, session, proven);
        },
        onFault: (error) => this.#emit(faultEvent(error)),
        onEnd: (status) => {
          this.#links.delete(session);
          const { live, refusedWith, unheard } = sessions.ended(session);
          // With the next join under the same PN ID the PNE may forget what it signed and nobody heard.
          const kept = unheard && wentSilently(status);
          const pnId = invitation?.pnId ?? (doing?.kind === 'resume' ? doing.join.pnId : undefined);
          this.#ended(gatt, doing, kept ? undefined : pnId, status);
          // Looked for again at once: a member that was lost, and one whose PN ID the server (no peer) says is taken.
          const again = (live && wentQuietly(status)) || refusedWith === 'pn-id-collision';
          resolve(again ? 'ok' : status);
        },
      });
      this.#links.add(session);
    });
  }

  /** A PN that no other link needs and that never had a member vanishes with the failure. */
  #ended(gatt: GattLink, task: Task | undefined, pnId: PnId | undefined, status: Status): void {
    const { sessions, pairings, networks } = this.#options;
    if (task?.kind === 'enrol') pairings.ended(task.pairing, status);
    if (DOUBTS.has(status)) this.#options.onDoubt();
    try {
      if (pnId && !sessions.uses(pnId)) networks.removePn(pnId, 'provisional');
    } catch (error) {
      // It vanishes with the next link that ends.
      this.#emit({ kind: 'problem', what: 'provisional network', status: statusOfError(error) });
    }
    this.#emit({ kind: 'link', address: gatt.peerAddress, state: 'down', status });
  }

  #emit(event: GatewayEvent): void {
    this.#options.onEvent(event);
  }
}

function soon<T>(wanted: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), NONCE_WITHIN_MS);
  });
  return Promise.race([wanted, late]).finally(() => clearTimeout(timer));
}
