/**
 * The initiating gateway's links: one machine each, its effects on store, server and routing table, and the way to find
 * the session of a join. Composition; what is said and checked is in src/establishment/gateway.ts.
 */
import { type Bytes, equal, toHex } from '../../base/bytes.ts';
import { CpnsError, statusOfError } from '../../base/errors.ts';
import type { GatewayId, JoinId, PnId } from '../../base/ids.ts';
import type { Status } from '../../base/statuses.ts';
import type { Clock } from '../../base/time.ts';
import { GATEWAY_MACHINE } from '../../establishment/gateway.ts';
import type {
  GatewayInput,
  GatewayJoin,
  GatewayOutput,
  GatewaySession,
  Invitation,
  Settlement,
} from '../../establishment/gateway-types.ts';
import { Machine } from '../../establishment/machine.ts';
import type { ServerClient } from '../../https/server-client.ts';
import { InventoryPayload } from '../../messages/inventory.ts';
import type { GatewayInfo } from '../../messages/registration.ts';
import { memberOf } from '../../network/inventory.ts';
import { RoutingTable } from '../../network/routing-table.ts';
import { parseSign1 } from '../../security/cose.ts';
import type { Primitives } from '../../security/primitives.ts';
import type { ServerKeys } from '../../security/server-keys.ts';
import type { NetworkStore } from '../../store/gateway-networks.ts';
import type { AnyMachineDriver, LinkSession, Opened } from '../link-session.ts';
import { MachineDriver } from '../machine-driver.ts';
import type { Registrations } from './registrations.ts';
import type { LearnKeys } from './server-keys.ts';

export interface SessionsOptions {
  readonly primitives: Primitives;
  readonly clock: Clock;
  readonly networks: NetworkStore;
  readonly client: ServerClient;
  readonly registrations: Registrations;
  readonly gatewayId: GatewayId;
  readonly serverKeys: () => ServerKeys;
  readonly serverKeysStatement: () => Bytes | undefined;
  readonly learnKeys: LearnKeys;
  readonly credential: () => Bytes;
  readonly gatewayInfo: GatewayInfo;
  readonly onLive: (join: GatewayJoin, version: number) => void;
  readonly onData: (join: GatewayJoin, body: Bytes) => void;
}

interface Running {
  readonly session: LinkSession;
  readonly data: GatewaySession;
  readonly driver: AnyMachineDriver;
  live: boolean;
  /** The server's no to step 3, which is not to be taken from a peer. */
  refusedWith: Status | undefined;
}

/** What a link had come to when it went down. */
export interface SessionEnd {
  readonly live: boolean;
  readonly refusedWith: Status | undefined;
  /** Step 5 was relayed, and nobody knows of a step 6: the PNE may have signed, and holds a pending join of this PN then. */
  readonly unheard: boolean;
}

export class Sessions {
  readonly routes = new RoutingTable<LinkSession>();
  readonly #options: SessionsOptions;
  readonly #running = new Map<LinkSession, Running>();

  constructor(options: SessionsOptions) {
    this.#options = options;
  }

  /**
   * The machine that invites the PNE of a link.
   * @param proven called when the PNE brought step 6: from then on the server judges it, within seconds
   */
  invite(invitation: Invitation, opened: Opened, session: LinkSession, proven: () => void): AnyMachineDriver {
    return this.#start({ ...this.#common(), invitation }, opened, session, proven);
  }

  /**
   * The machine that resumes a join.
   * @param proven called when the PNE is live
   */
  resume(
    join: GatewayJoin,
    settlement: Settlement | undefined,
    opened: Opened,
    session: LinkSession,
    proven: () => void,
  ): AnyMachineDriver {
    const waitingFor = this.#options.registrations.waitingFor(join.joinId);
    const data = {
      ...{ ...this.#common(), invitation: undefined, join },
      ...(settlement && { settlement }),
      ...(waitingFor && { waitingFor }),
    };
    return this.#start(data, opened, session, proven);
  }

  /** A link went down. */
  ended(session: LinkSession): SessionEnd {
    const { live = false, refusedWith, data } = this.#running.get(session) ?? {};
    this.routes.remove(session);
    this.#running.delete(session);
    const unheard = data?.join && !data.settlement && !this.#options.networks.join(data.join.joinId);
    return { live, refusedWith, unheard: unheard ?? false };
  }

  /**
   * Every session of the join: a PNE may be back on a new link before its old one is known to be dead, and of the two the
   * new one must not wait for ever for what the old one was told.
   */
  tell(joinId: JoinId, input: GatewayInput): void {
    for (const { data, driver } of this.#running.values()) {
      if (data.join && equal(data.join.joinId, joinId)) driver.feed(input);
    }
  }

  tellAll(pnId: PnId, input: GatewayInput): void {
    for (const { data, driver } of this.#running.values()) {
      if (data.join && equal(data.join.pnId, pnId)) driver.feed(input);
    }
  }

  /** Whether a session is inviting somebody to this PN, or has a member of it. */
  uses(pnId: PnId): boolean {
    return [...this.#running.values()].some(({ data }) =>
      equal(data.invitation?.pnId ?? data.join?.pnId ?? new Uint8Array(0), pnId),
    );
  }

  /** The operator has new keys: links that are open go on with these. */
  useServerKeys(serverKeys: ServerKeys, statement: Bytes | undefined): void {
    for (const { data } of this.#running.values()) {
      data.serverKeys = serverKeys;
      data.serverKeysStatement = statement;
    }
  }

  /** Joins whose PNE has a live link now. */
  liveJoins(): readonly JoinId[] {
    return [...this.#running.values()].flatMap(({ data, live }) =>
      live && data.join ? [data.join.joinId] : [],
    );
  }

  /** Asks the server for a fresh statement for every live member. */
  refreshAll(): void {
    for (const { data, driver, live } of this.#running.values()) {
      const { join, opening } = data;
      if (live && join && opening) this.#fetchFreshness(opening.th1, join.joinId, driver);
    }
  }

  /** Sends data to a member. @throws CpnsError link-lost when it has no live link */
  sendData(pnId: PnId, handle: number, body: Bytes): void {
    const session = this.routes.linkOfMember(pnId, handle);
    if (!session) throw new CpnsError('link-lost', 'the member has no live link');
    session.sendData(body);
  }

  #common() {
    const { primitives, serverKeys, serverKeysStatement, gatewayId, credential, gatewayInfo } = this.#options;
    return {
      primitives,
      serverKeys: serverKeys(),
      gatewayId,
      credential: credential(),
      serverKeysStatement: serverKeysStatement(),
      gatewayInfo,
    };
  }

  #start(data: GatewaySession, opened: Opened, session: LinkSession, proven: () => void): AnyMachineDriver {
    const driver = new MachineDriver(
      new Machine(GATEWAY_MACHINE, data),
      { ...session.effects, ...this.#effects(session, (input) => driver.feed(input), proven) },
      this.#options.clock,
    );
    const running: Running = {
      session,
      data,
      driver: driver as AnyMachineDriver,
      live: false,
      refusedWith: undefined,
    };
    this.#running.set(session, running);
    const { th1, prk1, openG, openP } = opened;
    driver.feed({ kind: 'opened', th1, prk1, openG, openP });
    return running.driver;
  }

  #effects(session: LinkSession, feed: (input: GatewayInput) => void, proven: () => void) {
    const { networks, registrations, clock, onData } = this.#options;
    type On<K> = Extract<GatewayOutput, { readonly kind: K }>;
    return {
      provisional: ({ pnId, txn }: On<'provisional'>) => {
        networks.proveWritable(pnId);
        this.routes.addProvisional(pnId, txn, session);
        session.nameJoin(toHex(txn));
      },
      register: ({ txn, request }: On<'register'>) => {
        const refused = (error: unknown) => {
          const status = statusOfError(error);
          const running = this.#running.get(session);
          if (running) running.refusedWith = status;
          feed({ kind: 'refused', status });
        };
        registrations
          .register(txn, request)
          .then((challenge) => feed({ kind: 'challenged', challenge }), refused);
      },
      persistJoin: ({ join, registration, response }: On<'persistJoin'>) => {
        this.routes.nameJoin(session, join.joinId);
        networks.saveJoin({ ...join, registration, response }, clock.wallSeconds());
        proven();
      },
      respond: ({ join, response }: On<'respond'>) => {
        void registrations.respond(join.txn, join.joinId, response);
      },
      persistAcknowledged: ({ join }: On<'persistAcknowledged'>) => networks.acknowledgeJoin(join.joinId),
      live: ({ join, version }: On<'live'>) => {
        proven();
        this.#becameLive(session, join, version);
      },
      fetchFreshness: ({ th1, joinId }: On<'fetchFreshness'>) => {
        const running = this.#running.get(session);
        if (running) this.#fetchFreshness(th1, joinId, running.driver);
      },
      data: ({ body }: On<'data'>) => {
        const join = this.#running.get(session)?.data.join;
        if (join) onData(join, body);
      },
    };
  }

  #becameLive(session: LinkSession, join: GatewayJoin, version: number): void {
    const running = this.#running.get(session);
    const settlement = running?.data.settlement;
    if (!running || settlement?.status !== 'ok') return;
    running.live = true;
    session.nameJoin(toHex(join.txn));
    const inventory = InventoryPayload.decode(parseSign1(settlement.inventory).payload);
    const handle = memberOf(inventory, join.joinId)?.handle;
    if (handle !== undefined) {
      void this.routes.makeLive(join.pnId, join.joinId, handle, session)?.close();
    }
    this.#options.onLive(join, version);
  }

  /** A server that can't be reached now is asked again with the next round. */
  #fetchFreshness(th1: Bytes, joinId: JoinId, driver: AnyMachineDriver): void {
    const { client, learnKeys } = this.#options;
    const fetch = async () => {
      const statement = await client.freshness(th1, joinId);
      await learnKeys([statement]);
      driver.feed({ kind: 'freshness', statement } as { kind: string });
    };
    fetch().catch(() => {});
  }
}
