/**
 * A gateway in the virtual world, initiating and home at once, over the real store in memory and the real Registrations
 * for what the server says; put together as src/nodes/gateway/gateway.ts and sessions.ts do. HTTPS legs are calls with
 * latency, loss and repetition.
 */
import { type Bytes, equal, toHex } from '../../src/base/bytes.ts';
import { type GatewayId, type JoinId, PnId, type TransactionId } from '../../src/base/ids.ts';
import type { Status } from '../../src/base/statuses.ts';
import { GATEWAY_MACHINE } from '../../src/establishment/gateway.ts';
import type {
  GatewayInput,
  GatewayJoin,
  GatewaySession,
  Invitation,
} from '../../src/establishment/gateway-types.ts';
import { Machine } from '../../src/establishment/machine.ts';
import { wentSilently } from '../../src/establishment/session.ts';
import type { ServerClient } from '../../src/https/server-client.ts';
import type { OpenRequest } from '../../src/link/open.ts';
import { JoinOutcome, PnRegistrationResponse } from '../../src/messages/channel.ts';
import { PneConfirmRequest } from '../../src/messages/confirmation.ts';
import type { TransactionState } from '../../src/messages/registration.ts';
import type { MessageName } from '../../src/messages/types.ts';
import { decodeAnnouncement, showsCode, showsTag } from '../../src/network/advertisement.ts';
import { Registrations, rememberedJoin, settlementOf } from '../../src/nodes/gateway/registrations.ts';
import type { Opened } from '../../src/nodes/link-session.ts';
import { gatewayIdOf } from '../../src/security/cose-key.ts';
import { parseEnrolmentCode } from '../../src/security/enrolment-code.ts';
import { deriveAdvertisingKey } from '../../src/security/key-schedule.ts';
import type { SoftwareSigner } from '../../src/security/keystore.ts';
import { openGatewayStore } from '../../src/store/gateway-store.ts';
import type { Delivery } from '../../src/store/server-store.ts';
import type { VirtualWorld } from './virtual-world.ts';
import { VirtualCalls } from './virtual-world-calls.ts';
import { VirtualDriver } from './virtual-world-driver.ts';
import { VirtualHome } from './virtual-world-home.ts';
import { type SessionMachine, VirtualGatt, VirtualSession } from './virtual-world-link.ts';
import { seededSigner } from './virtual-world-operator.ts';
import { type Pairing, startPairing } from './virtual-world-pairing.ts';
import type { VirtualPne } from './virtual-world-pne.ts';
import type { VirtualServer } from './virtual-world-server.ts';

const BACK_OFF_FIRST_MS = 5_000;
const BACK_OFF_LONGEST_MS = 600_000;

interface Running {
  readonly data: GatewaySession;
  readonly driver: SessionMachine;
  live: boolean;
}

type Purpose =
  | Pairing
  | { readonly kind: 'resume'; readonly joinId: JoinId }
  | { readonly kind: 'establish' };

export class VirtualGateway {
  readonly world: VirtualWorld;
  readonly server: VirtualServer;
  readonly name: string;
  readonly user: string;
  readonly signer: SoftwareSigner;
  readonly gatewayId: GatewayId;
  readonly store = openGatewayStore(':memory:');
  credential: Bytes;
  serverKeysStatement: Bytes | undefined;
  inviting: string | undefined;
  /** PN IDs to mint before random ones. */
  readonly pnIds: PnId[] = [];
  readonly statuses: Status[] = [];
  readonly problems: Status[] = [];
  readonly broken = new Set<string>();
  instead: ((message: MessageName, body: Bytes) => Bytes | undefined) | undefined;
  home: VirtualHome;
  calls: VirtualCalls;
  #registrations: Registrations;
  readonly #running = new Map<VirtualSession, Running>();
  readonly sessions = new Set<VirtualSession>();
  readonly #codes = new Map<string, Pairing>();
  readonly #seen = new Set<VirtualPne>();
  readonly #busy = new Set<string>();
  readonly #failures = new Map<string, { count: number; notBeforeMs: number }>();
  #on = true;

  constructor(world: VirtualWorld, server: VirtualServer, user: string, name: string) {
    this.world = world;
    this.server = server;
    this.user = user;
    this.name = name;
    this.signer = seededSigner(world.primitives);
    this.gatewayId = gatewayIdOf(world.primitives, this.signer.publicKey);
    this.credential = server.operator.credential(this.signer, { user, gateway: name });
    server.addGateway(this.signer, user, name);
    [this.calls, this.#registrations, this.home] = this.#parts();
    this.#start();
  }

  /** Takes a code that a PNE shows. */
  pair(codeText: string): void {
    const { secret, thumbprintPrefix } = parseEnrolmentCode(this.world.primitives, codeText);
    this.calls.request(
      'enrolment nonce',
      () => this.server.enrolmentNonce(this.gatewayId),
      { attempts: 4 },
      (answer) => {
        if (!('value' in answer)) return;
        this.#codes.set(toHex(secret), { kind: 'enrol', secret, thumbprintPrefix, nonce: answer.value });
        this.reconsider();
      },
    );
  }

  invite(name: string): void {
    this.inviting = name;
    this.reconsider();
  }

  /** Looks at everybody anew: there is a new code, network or member. */
  reconsider(): void {
    for (const pne of this.#seen) pne.beSeen(this);
  }

  see(pne: VirtualPne, serviceData: Bytes): void {
    this.#seen.add(pne);
    if (!this.#on || this.#busy.has(pne.name)) return;
    const announced = decodeAnnouncement(serviceData);
    const purpose = announced && this.#choose(announced);
    if (!purpose) return;
    const failure = this.#failures.get(pne.name);
    if (failure && failure.notBeforeMs > this.world.nowMs) {
      this.world.after(failure.notBeforeMs - this.world.nowMs, 'back-off', () => pne.beSeen(this));
      return;
    }
    this.#busy.add(pne.name);
    this.#connect(pne, purpose);
  }

  /** Killed and started again: only what is on disk is left. */
  restart(): void {
    this.world.say(this.name, 'restart');
    this.calls.kill();
    this.home.kill();
    this.server.hangUp(this.gatewayId);
    for (const session of this.sessions) session.kill();
    this.sessions.clear();
    this.#running.clear();
    this.#busy.clear();
    const { rules, owner, statuses } = this.home;
    [this.calls, this.#registrations, this.home] = this.#parts();
    Object.assign(this.home, { rules, owner, statuses });
    this.#start();
    this.reconsider();
  }

  /** Ends in good order. */
  powerOff(): void {
    this.#on = false;
    this.calls.kill();
    this.home.kill();
    this.server.hangUp(this.gatewayId);
    for (const session of this.sessions) session.stop();
  }

  online(): void {
    const { calls } = this;
    this.server.dial(this.gatewayId, {
      deliver: (delivery) =>
        calls.frame(
          () => this.#take(delivery),
          () => this.server.acknowledge(this.gatewayId, delivery.deliveryId),
          () => this.server.push(this.gatewayId),
        ),
      waiting: (txn, status) =>
        calls.frame(
          () => this.#registrations.onWaiting({ txn, status }),
          () => {},
          () => {},
        ),
    });
  }

  liveJoins(): readonly GatewayJoin[] {
    return [...this.#running.values()].flatMap(({ data, live }) => (live && data.join ? [data.join] : []));
  }

  #parts(): [VirtualCalls, Registrations, VirtualHome] {
    const { world, store, gatewayId, signer, server } = this;
    const serverKeys = server.operator.pinned();
    const calls = new VirtualCalls(world, this.name);
    const registrations = new Registrations({
      networks: store.networks,
      // Calls of this world go another way; what the server says in answer comes in by the channel's doors.
      client: {} as ServerClient,
      ...{ primitives: world.primitives, serverKeys: () => serverKeys, gatewayId, clock: world.clock },
      learnKeys: () => Promise.resolve(),
      tell: (joinId, input) => this.#tell((join) => equal(join.joinId, joinId), input),
      tellAll: (pnId, input) => this.#tell((join) => equal(join.pnId, pnId), input),
      onStored: () => world.say(this.name, 'PnInventoryStored'),
      onWaiting: () => {},
      onProblem: (_what, status) => this.problems.push(status),
    });
    const home = new VirtualHome(
      world,
      store.home,
      signer,
      { gatewayId, serverKeys },
      (joinId, answer, done) =>
        calls.request(
          'step 9',
          () => server.confirm(gatewayId, joinId, answer),
          { forEver: true },
          (result) => done('status' in result ? result.status : 'ok'),
        ),
    );
    home.name = this.name;
    return [calls, registrations, home];
  }

  #start(): void {
    this.online();
    this.home.start();
    for (const join of this.store.networks.joins('pending'))
      this.#respond(join.txn, join.joinId, join.response);
  }

  #tell(which: (join: GatewayJoin) => boolean, input: GatewayInput): void {
    for (const { data, driver } of [...this.#running.values()])
      if (data.join && which(data.join)) driver.feed(input);
  }

  #choose(announced: NonNullable<ReturnType<typeof decodeAnnouncement>>): Purpose | undefined {
    const { primitives } = this.world;
    for (const code of this.#codes.values()) if (showsCode(primitives, announced, code.secret)) return code;
    const known = this.store.networks
      .joins()
      .findLast(({ rms }) => showsTag(primitives, announced, deriveAdvertisingKey(primitives, rms)));
    if (known) return { kind: 'resume', joinId: known.joinId };
    return announced.join && this.inviting !== undefined ? { kind: 'establish' } : undefined;
  }

  #connect(pne: VirtualPne, purpose: Purpose): void {
    const { networks } = this.store;
    const { primitives } = this.world;
    const known = purpose.kind === 'resume' ? networks.join(purpose.joinId) : undefined;
    let invitation: Invitation | undefined;
    const [central, peripheral] = VirtualGatt.connect(this.world);
    const request: OpenRequest =
      purpose.kind === 'enrol'
        ? { kind: 'enrol', secret: purpose.secret.slice() }
        : known
          ? { kind: 'resume', rms: known.rms.slice() }
          : { kind: 'establish' };
    const session = new VirtualSession({
      ...{ gatt: central, who: this.name, signer: this.signer },
      instead: (message, body) => (this.instead ? this.instead(message, body) : body),
      link: {
        ...{ side: 'central', role: 'gateway', transportSegmentBytes: central.segmentBytes, primitives },
        ...{ ephemeral: primitives.generateEphemeral(), request },
      },
      start: (opened, started) => {
        if (purpose.kind === 'enrol') {
          return startPairing(this, purpose, opened, started, () =>
            this.#codes.delete(toHex(purpose.secret)),
          );
        }
        if (purpose.kind === 'establish') invitation = this.#invitation();
        const join = known && networks.join(known.joinId);
        const settlement = join && settlementOf(networks, join);
        return this.#establish(
          { invitation, ...(known && { join: rememberedJoin(known) }), ...(settlement && { settlement }) },
          opened,
          started,
        );
      },
      onEnd: (status) => this.#ended(pne, session, invitation?.pnId ?? known?.pnId, status),
    });
    this.sessions.add(session);
    if (!pne.accept(peripheral)) central.close();
  }

  #ended(pne: VirtualPne, session: VirtualSession, pnId: PnId | undefined, status: Status): void {
    const { live: wasLive = false, data: ended } = this.#running.get(session) ?? {};
    const unheard = ended?.join && !ended.settlement && !this.store.networks.join(ended.join.joinId);
    this.sessions.delete(session);
    this.#running.delete(session);
    this.statuses.push(status);
    this.world.say(this.name, `link down: ${status}`);
    const inUse = [...this.#running.values()].some(({ data }) => {
      const used = data.invitation?.pnId ?? data.join?.pnId;
      return used && pnId && equal(used, pnId);
    });
    if (pnId && !inUse && !(unheard && wentSilently(status)))
      this.store.networks.removePn(pnId, 'provisional');
    this.world.changed();
    this.#busy.delete(pne.name);
    const again = wasLive || status === 'ok' || status === 'pn-id-collision';
    const count = again ? 0 : (this.#failures.get(pne.name)?.count ?? 0) + 1;
    const waitMs = again ? 0 : Math.min(BACK_OFF_LONGEST_MS, BACK_OFF_FIRST_MS * 2 ** (count - 1));
    this.#failures.set(pne.name, { count, notBeforeMs: this.world.nowMs + waitMs });
    pne.beSeen(this);
  }

  #invitation(): Invitation {
    const { networks } = this.store;
    const name = this.inviting ?? 'PN';
    const pn = networks.pns().find((known) => known.name === name && known.inviting);
    if (pn) return { pnId: pn.pnId, name, setupType: pn.setup === 'live' ? 'join' : 'new' };
    const pnId = this.pnIds.shift() ?? PnId(this.world.primitives.randomBytes(8));
    networks.createPn({ pnId, name, inviting: true }, this.world.seconds);
    return { pnId, name, setupType: 'new' };
  }

  #establish(
    given: Pick<GatewaySession, 'invitation' | 'join' | 'settlement'>,
    opened: Opened,
    session: VirtualSession,
  ): SessionMachine {
    const { world, server, gatewayId, calls } = this;
    const data: GatewaySession = {
      ...{ primitives: world.primitives, serverKeys: server.operator.pinned(), gatewayId },
      ...{ credential: this.credential, serverKeysStatement: this.serverKeysStatement },
      gatewayInfo: { capability: Uint8Array.of(1), subscription: 'home' },
      ...given,
    };
    const machine = new Machine(GATEWAY_MACHINE, data, GATEWAY_MACHINE.initial, world.nowMs);
    const { networks } = this.store;
    const driver = new VirtualDriver(
      world,
      machine,
      {
        ...session.effects,
        provisional: () => world.say(this.name, 'Provisional'),
        register: ({ txn, request }) => {
          world.say(this.name, 'PnRegistrationRequest');
          calls.request(
            'step 3',
            () => server.register(gatewayId, txn, request),
            { attempts: 4 },
            (answer) => {
              if ('value' in answer) driver.feed({ kind: 'challenged', challenge: answer.value });
              else driver.feed({ kind: 'refused', status: answer.status });
            },
          );
        },
        persistJoin: ({ join, registration, response }) =>
          networks.saveJoin({ ...join, registration, response }, world.seconds),
        respond: ({ join, response }) => this.#respond(join.txn, join.joinId, response),
        persistAcknowledged: ({ join }) => networks.acknowledgeJoin(join.joinId),
        live: ({ version }): void => {
          running.live = true;
          world.say(this.name, `live v${version}`);
        },
        fetchFreshness: ({ th1, joinId }) =>
          calls.request(
            'freshness',
            () => server.freshness(gatewayId, th1, joinId),
            { attempts: 1 },
            (answer) => {
              if ('value' in answer) driver.feed({ kind: 'freshness', statement: answer.value });
            },
          ),
        data: () => world.say(this.name, 'data'),
      },
      (kind) => this.broken.has(kind),
    );
    const running: Running = { data, driver: driver as SessionMachine, live: false };
    this.#running.set(session, running);
    const { th1, prk1, openG, openP } = opened;
    driver.feed({ kind: 'opened', th1, prk1, openG, openP });
    return running.driver;
  }

  /** Step 7, until the server has taken it. */
  #respond(txn: TransactionId, joinId: JoinId, response: Bytes): void {
    this.world.say(this.name, 'AuthenticationRelay');
    const call = () => this.server.respond(this.gatewayId, txn, response);
    this.calls.request('step 7', call, { forEver: true }, (answer) => {
      if ('value' in answer) {
        this.#takeState(txn, answer.value);
        return;
      }
      this.problems.push(answer.status);
      if (answer.status === 'unknown-transaction') this.store.networks.forgetPendingJoin(joinId);
      this.#tell((join) => equal(join.joinId, joinId), { kind: 'failed', status: answer.status });
    });
  }

  #takeState(txn: TransactionId, { state, status, inventory, outcome }: TransactionState): void {
    if (state === 'registered' && inventory)
      this.#registrations.onRegistrationResponse({ txn, status: 'ok', inventory });
    if (state === 'refused' && outcome && status !== 'ok')
      this.#registrations.onRegistrationResponse({ txn, status, outcome });
    this.world.changed();
  }

  #take({ kind, body }: Delivery): void {
    this.world.changed();
    if (kind === 'pne-confirm-request') this.home.onConfirmRequest(PneConfirmRequest.decode(body));
    else if (kind === 'pn-registration-response')
      this.#registrations.onRegistrationResponse(PnRegistrationResponse.decode(body));
    else {
      const { joinId, outcome } = JoinOutcome.decode(body);
      this.home.onJoinOutcome(joinId, outcome);
    }
  }
}
