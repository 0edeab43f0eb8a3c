/**
 * The gateway as a program, in both roles at once: initiating gateway of its own PN and home gateway of its user's PNEs.
 * Composition only: scan, links, server, home-gateway role, store. One instance has one controller and one server.
 */
import { join } from 'node:path';
import { type Bytes, fromHex, toHex } from '../base/bytes.ts';
import { CpnsError, statusOfError } from '../base/errors.ts';
import { type JoinId, PnId } from '../base/ids.ts';
import { STATUSES, type Status } from '../base/statuses.ts';
import type { Clock } from '../base/time.ts';
import type { ChosenProfile } from '../bluetooth/adapter-profile.ts';
import type { GattLink } from '../bluetooth/ports.ts';
import { openReturningCentral, type RadioState, type ReturningCentral } from '../bluetooth/returning.ts';
import type { GatewayConfig } from '../config/gateway-config.ts';
import type { GatewayJoin, Invitation, Settlement } from '../establishment/gateway-types.ts';
import { wentSilently } from '../establishment/session.ts';
import { type ChannelClient, openChannelClient } from '../https/channel-client.ts';
import { openServerClient, type ServerClient } from '../https/server-client.ts';
import type { OpenRequest } from '../link/open.ts';
import type { ChannelFrame } from '../messages/channel.ts';
import type { Announced } from '../network/advertisement.ts';
import type { ConfirmRequestView } from '../network/approval-policy.ts';
import { loadKey, type StoredSigner } from '../security/keystore.ts';
import type { Primitives } from '../security/primitives.ts';
import { nodePrimitives } from '../security/primitives-node.ts';
import { type GatewayStore, openGatewayStore } from '../store/gateway-store.ts';
import { faultEvent } from './fault.ts';
import { GatewayRenewal } from './gateway-enrol.ts';
import type { GatewayEvent } from './gateway-events.ts';
import { type GatewayIdentity, readGatewayIdentity } from './gateway-identity.ts';
import { Invitations } from './gateway-invitations.ts';
import { type PairedPne, type Pairing, Pairings } from './gateway-pairing.ts';
import { Recognition } from './gateway-recognition.ts';
import { Registrations, rememberedJoin, settlementOf } from './gateway-registrations.ts';
import { type Purpose, Scan } from './gateway-scan.ts';
import { ServerKeyLearner, signedIn } from './gateway-server-keys.ts';
import { Sessions } from './gateway-sessions.ts';
import { type PnStatus, viewConfirmations, viewInventory, viewPnes, viewPns } from './gateway-views.ts';
import type { Vitals } from './health.ts';
import { HomeGatewayNode, type OwnerAnswer } from './home-gateway.ts';
import { LinkSession } from './link-session.ts';
import { radioOf } from './radio-options.ts';
import { systemClock } from './system-clock.ts';
import type { OnTrace } from './trace.ts';

const FRESHNESS_MS = 6 * 3600_000;
/** How a link ends when its PNE or the server finds this gateway's credential, or its keys of the server, out of date. */
const DOUBTS: ReadonlySet<Status> = new Set([
  'credential-unknown-key',
  'credential-expired',
  'credential-invalid',
]);
/** Advertisement and scan response of a PNE, as on the air. */
const ADVERTISEMENT_BYTES = 21 + 31;

export interface GatewayOptions {
  readonly stateDir: string;
  readonly config: GatewayConfig;
  /** Moniker of the controller; the configuration's by default. */
  readonly adapter?: string | undefined;
  readonly capture?: string | undefined;
  /** Its half of a controller that it shares with a PNE, instead of an adapter of its own; closed with the node. */
  readonly central?: ReturningCentral | undefined;
  /** Takes one line per secret, for `cpns trace`. */
  readonly onSecret?: ((line: string) => void) | undefined;
  readonly onTrace?: OnTrace | undefined;
  readonly onEvent?: ((event: GatewayEvent) => void) | undefined;
  readonly clock?: Clock | undefined;
  /** The Bluetooth controller is gone and did not come back in time: this node is deaf from now on. */
  readonly onRadioGone?: (() => void) | undefined;
}

/** Why a link is opened. */
type LinkPurpose =
  | { readonly kind: 'enrol'; readonly pairing: Pairing }
  | { readonly kind: 'resume'; readonly joinId: JoinId }
  | { readonly kind: 'establish' };

/** @throws CpnsError not-enrolled, cannot-persist; BluetoothUnavailableError; MonikerError; ProfileError */
export async function openGateway(options: GatewayOptions): Promise<GatewayNode> {
  const signer = loadKey(join(options.stateDir, 'identity.pem'));
  const store = openGatewayStore(join(options.stateDir, 'gateway.sqlite'));
  try {
    const primitives = nodePrimitives();
    const identity = readGatewayIdentity(store, primitives, signer);
    const central =
      options.central ??
      (await openReturningCentral(...radioOf(options.config.bluetooth, options, options.onRadioGone)));
    const node = new GatewayNode(options, { signer, store, primitives, identity, central });
    await node.start();
    return node;
  } catch (error) {
    store.close();
    throw error;
  }
}

interface Parts {
  readonly signer: StoredSigner;
  readonly store: GatewayStore;
  readonly primitives: Primitives;
  /** As it was at the start; renewed later. */
  readonly identity: GatewayIdentity;
  readonly central: ReturningCentral;
}

export class GatewayNode {
  readonly #options: GatewayOptions;
  readonly #parts: Parts;
  readonly #clock: Clock;
  readonly #client: ServerClient;
  readonly #home: HomeGatewayNode;
  readonly #registrations: Registrations;
  readonly #sessions: Sessions;
  readonly #pairings: Pairings;
  readonly #scan: Scan<LinkPurpose>;
  readonly #links = new Set<LinkSession>();
  readonly #recognition: Recognition;
  readonly #invitations: Invitations;
  readonly #keys: ServerKeyLearner;
  /** Renewed while the program runs. */
  #identity: GatewayIdentity;
  #renewal: GatewayRenewal | undefined;
  #channel: ChannelClient | undefined;
  #closed: Promise<void> | undefined;
  #freshness: NodeJS.Timeout | undefined;

  constructor(options: GatewayOptions, parts: Parts) {
    this.#options = options;
    this.#parts = parts;
    this.#clock = options.clock ?? systemClock;
    this.#identity = parts.identity;
    const { identity, primitives, store, signer } = parts;
    const { config } = options;
    const { gatewayId } = identity;
    const serverKeys = () => this.#identity.serverKeys;
    this.#client = openServerClient({
      baseUrl: identity.serverUrl,
      caPem: identity.caPem,
      identity: identity.tls,
    });
    this.#keys = new ServerKeyLearner({
      clock: this.#clock,
      serverKeys,
      renew: async () => this.#renewal?.renewNow(),
    });
    const learnKeys = this.#keys.learn;
    const shared = { primitives, serverKeys, learnKeys, gatewayId, clock: this.#clock, client: this.#client };
    this.#home = new HomeGatewayNode({
      ...shared,
      store,
      signer,
      rules: config.approvals.rules,
      subscription: config.pn.subscription,
      onEvent: (event) => this.#emit(event),
    });
    this.#registrations = new Registrations({
      ...shared,
      networks: store.networks,
      tell: (joinId, input) => this.#sessions.tell(joinId, input),
      tellAll: (pnId, input) => this.#sessions.tellAll(pnId, input),
      onStored: (txn, inventory) => this.#traceStored(toHex(txn), inventory.length),
      onWaiting: ({ pnId, joinId }, status) =>
        this.#emit({ kind: 'waiting', pnId: toHex(pnId), joinId: toHex(joinId), status }),
      onProblem: (what, status, txn) =>
        this.#emit({ kind: 'problem', what, status, ...(txn && { txn: toHex(txn) }) }),
    });
    this.#sessions = new Sessions({
      ...shared,
      networks: store.networks,
      registrations: this.#registrations,
      serverKeysStatement: () => this.#identity.serverKeysStatement,
      credential: () => this.#identity.credential,
      gatewayInfo: { capability: config.pn.capability, subscription: config.pn.subscription },
      onLive: (member, version) =>
        this.#emit({ kind: 'member', pnId: toHex(member.pnId), joinId: toHex(member.joinId), version }),
      onData: (member, bytes) =>
        this.#emit({ kind: 'data', pnId: toHex(member.pnId), joinId: toHex(member.joinId), bytes }),
    });
    this.#pairings = new Pairings({
      ...shared,
      home: store.home,
      offer: () => this.#identity.offer,
      onStaleKeys: () => void this.#keys.ask(),
    });
    this.#invitations = new Invitations({ ...shared, networks: store.networks, pn: config.pn });
    this.#recognition = new Recognition(store.networks, primitives);
    this.#scan = new Scan<LinkPurpose>({
      central: parts.central,
      clock: this.#clock,
      choose: (announced, repeated) => this.#choose(announced, repeated),
      serve: (gatt, purpose, proven) => this.#serve(gatt, purpose, proven),
      onConnectFailed: (address, status) => this.#emit({ kind: 'link', address, state: 'down', status }),
    });
    parts.central.onRadio = (radio) => this.#radioChanged(radio);
  }

  #radioChanged(radio: RadioState): void {
    // Whoever failed while the adapter went is not to wait for it.
    if (radio.state === 'ready') this.#scan.reconsider();
    this.#emit({ kind: 'radio', ...radio });
  }

  get adapter(): ChosenProfile {
    return this.#parts.central.adapter;
  }

  async start(): Promise<void> {
    const identity = this.#identity;
    this.#invitations.dropLeft();
    this.#registrations.start();
    this.#channel = openChannelClient({
      baseUrl: identity.serverUrl,
      caPem: identity.caPem,
      identity: identity.tls,
      onFrame: (frame) => this.#takeFrame(frame),
      onEvent: (event) => {
        if (event.kind === 'handler-failed') {
          this.#emit({ kind: 'problem', what: 'channel', status: statusOfError(event.error) });
        } else this.#emit({ kind: 'channel', state: event.kind });
      },
    });
    this.#home.start();
    this.#renewal = this.#keepRenewed();
    this.#freshness = setInterval(() => this.#sessions.refreshAll(), FRESHNESS_MS);
    await this.#scanIfUseful();
  }

  status() {
    const identity = this.#identity;
    return {
      gatewayId: toHex(identity.gatewayId),
      user: identity.userLabel,
      label: identity.gatewayLabel,
      homeAddress: identity.homeAddress,
      server: identity.serverUrl,
      radio: this.#parts.central.radio,
      channel: this.#channel?.isUp ? ('up' as const) : ('down' as const),
      serverKeys: identity.serverKeys.keys.map(({ kid }) => toHex(kid)),
      links: this.#links.size,
      pns: this.pns(),
      pnes: this.pnes(),
      approvals: this.approvals().length,
    };
  }

  /** How it is, for the watchdog. */
  async vitals(): Promise<Vitals> {
    const { central } = this.#parts;
    const controller = (await central.answers()) || (central.radio.state === 'waiting' ? 'away' : false);
    const channel = this.#channel?.state;
    return { controller, ...(channel && { channel }), remark: `links: ${this.#links.size}` };
  }

  /** PNs this gateway initiated, with their joins. */
  pns(): readonly PnStatus[] {
    const { store, primitives } = this.#parts;
    return viewPns(store.networks, primitives, this.#sessions.liveJoins(), (joinId) =>
      this.#registrations.waitingFor(joinId),
    );
  }

  /** The signed inventory of a PN, exact bytes. @param pnId hex */
  inventory(pnId: string): Bytes | undefined {
    return viewInventory(this.#parts.store.networks, pnId);
  }

  /** PNEs whose home this gateway is. */
  pnes() {
    return viewPnes(this.#parts.store.home);
  }

  /** Questions that wait for the owner, oldest first. */
  approvals(): readonly ConfirmRequestView[] {
    return this.#home.pending();
  }

  /** Confirmed joins of this home's PNEs with the outcome that the server signed. */
  confirmations() {
    return viewConfirmations(this.#parts.store.home);
  }

  /** @param joinId hex, or its start @throws CpnsError as {@link questionOf} says */
  async decide(joinId: string, answer: OwnerAnswer): Promise<void> {
    await this.#home.decide(questionOf(this.approvals(), joinId).joinId, answer);
  }

  /** Enrols the PNE that shows this code. @throws CpnsError enrolment-code-wrong, enrolment-code-spent, busy */
  async pair(codeText: string): Promise<PairedPne> {
    const paired = this.#pairings.add(codeText);
    this.#scan.reconsider();
    const started = this.#scanIfUseful();
    const result = await paired;
    await started;
    this.#scan.reconsider();
    return result;
  }

  /** Sends data to a member. @param pnId hex @throws CpnsError link-lost */
  sendData(pnId: string, handle: number, body: Bytes): void {
    this.#sessions.sendData(PnId(fromHex(pnId)), handle, body);
  }

  /** Ends the link of a member in good order; one that announces itself again is resumed. @param pnId hex */
  async hangUp(pnId: string, handle: number): Promise<void> {
    await this.#sessions.routes.linkOfMember(PnId(fromHex(pnId)), handle)?.close();
  }

  /** Ends links and channel, frees the controller. Calling it again waits for the first. */
  close(): Promise<void> {
    this.#closed ??= this.#end();
    return this.#closed;
  }

  async #end(): Promise<void> {
    clearInterval(this.#freshness);
    this.#registrations.stop();
    this.#pairings.close();
    await this.#scan.stop().catch(() => {});
    await Promise.all([...this.#links].map((link) => link.close()));
    await this.#renewal?.close();
    await this.#channel?.close();
    await this.#home.close();
    this.#client.close();
    await this.#parts.central.close();
    this.#parts.store.close();
  }

  /** Certificate and credential, at half of their life. */
  #keepRenewed(): GatewayRenewal {
    const { store, signer, primitives } = this.#parts;
    return new GatewayRenewal({
      store,
      signer,
      primitives,
      clock: this.#clock,
      client: this.#client,
      onRenewed: () => {
        this.#identity = readGatewayIdentity(store, primitives, signer);
        const { tls, serverKeys, serverKeysStatement } = this.#identity;
        this.#client.useIdentity(tls);
        this.#channel?.useIdentity(tls);
        this.#sessions.useServerKeys(serverKeys, serverKeysStatement);
        this.#home.useServerKeys(serverKeys);
      },
      onProblem: (status) => this.#emit({ kind: 'problem', what: 'renewal', status }),
    });
  }

  // Scanning

  async #scanIfUseful(): Promise<void> {
    const { networks } = this.#parts.store;
    const useful =
      this.#options.config.pn.invite || this.#pairings.waiting > 0 || networks.joins().length > 0;
    if (useful) await this.#scan.start();
  }

  /** docs/protocol.md §2.2, first match wins. */
  #choose(announced: Announced, repeated: boolean): Purpose<LinkPurpose> | 'later' | undefined {
    if (announced.mode === 'gateway') return undefined;
    const pairing = this.#pairings.find(announced);
    if (pairing)
      return { key: `enrol ${toHex(pairing.secret)}`, stranger: false, value: { kind: 'enrol', pairing } };
    const joinId = this.#recognition.joinOf(announced, repeated, this.#clock.monotonicMs());
    if (joinId === 'later') return 'later';
    if (joinId) return { key: `resume ${toHex(joinId)}`, stranger: false, value: { kind: 'resume', joinId } };
    if (!announced.join || !this.#options.config.pn.invite) return undefined;
    return {
      key: `establish ${toHex(announced.salt)}${toHex(announced.tags)}`,
      stranger: true,
      value: { kind: 'establish' },
    };
  }

  // Links

  async #serve(gatt: GattLink, purpose: LinkPurpose, proven: () => void): Promise<Status> {
    const { primitives, signer, store } = this.#parts;
    this.#emit({ kind: 'link', address: gatt.peerAddress, state: 'up' });
    const plan = this.#plan(purpose);
    const nonce = purpose.kind === 'enrol' ? await purpose.pairing.nonce : undefined;
    if (!plan || (purpose.kind === 'enrol' && !nonce)) {
      await gatt.close();
      if (purpose.kind === 'enrol') this.#pairings.ended(purpose.pairing, 'server-unreachable');
      return plan ? 'server-unreachable' : 'ok';
    }
    let invitation: Invitation | undefined;
    return new Promise((resolve) => {
      const session: LinkSession = new LinkSession({
        gatt,
        party: 'gateway',
        signer,
        clock: this.#clock,
        onTrace: this.#options.onTrace,
        onSecret: this.#options.onSecret,
        link: {
          side: 'central',
          role: 'gateway',
          transportSegmentBytes: gatt.maxSegmentBytes,
          primitives,
          ephemeral: primitives.generateEphemeral(),
          request: plan.request,
        },
        start: (opened, session) => {
          session.traceDiscovery(ADVERTISEMENT_BYTES, purpose.kind === 'establish');
          if (purpose.kind === 'enrol' && nonce) {
            return this.#pairings.start(purpose.pairing, nonce, opened, session);
          }
          // Read now: the server may have settled the join while the link was opening.
          const known = plan.join && store.networks.join(plan.join.joinId);
          const settlement = known ? settlementOf(store.networks, known) : plan.settlement;
          if (plan.join) return this.#sessions.resume(plan.join, settlement, opened, session);
          // Chosen now, when its use begins to count: a network without a member vanishes with the last link that uses it.
          invitation = this.#invitations.current();
          return this.#sessions.invite(invitation, opened, session, proven);
        },
        onFault: (error) => this.#emit(faultEvent(error)),
        onEnd: (status) => {
          this.#links.delete(session);
          const { live, refusedWith, unheard } = this.#sessions.ended(session);
          // With the next join under the same PN ID the PNE may forget what it signed and nobody heard.
          const kept = unheard && wentSilently(status);
          this.#ended(gatt, purpose, kept ? undefined : (invitation?.pnId ?? plan.join?.pnId), status);
          // Looked for again at once: a member that was lost, and one whose PN ID the server (no peer) says is taken.
          const again = (live && wentQuietly(status)) || refusedWith === 'pn-id-collision';
          resolve(again ? 'ok' : status);
        },
      });
      this.#links.add(session);
    });
  }

  /** What the link is opened with; undefined when the reason for it is gone. */
  #plan(purpose: LinkPurpose):
    | {
        request: OpenRequest;
        join?: GatewayJoin;
        settlement?: Settlement | undefined;
      }
    | undefined {
    const { networks } = this.#parts.store;
    if (purpose.kind === 'enrol') {
      return { request: { kind: 'enrol', secret: purpose.pairing.secret.slice() } };
    }
    if (purpose.kind === 'establish') return { request: { kind: 'establish' } };
    const known = networks.join(purpose.joinId);
    if (!known) return undefined;
    return {
      request: { kind: 'resume', rms: known.rms.slice() },
      join: rememberedJoin(known),
      settlement: settlementOf(networks, known),
    };
  }

  /** A PN that no other link needs and that never had a member vanishes with the failure. */
  #ended(gatt: GattLink, purpose: LinkPurpose, pnId: PnId | undefined, status: Status): void {
    if (purpose.kind === 'enrol') this.#pairings.ended(purpose.pairing, status);
    if (DOUBTS.has(status)) this.#keys.doubted();
    try {
      if (pnId && !this.#sessions.uses(pnId)) this.#parts.store.networks.removePn(pnId, 'provisional');
    } catch (error) {
      // It vanishes with the next link that ends.
      this.#emit({ kind: 'problem', what: 'provisional network', status: statusOfError(error) });
    }
    this.#emit({ kind: 'link', address: gatt.peerAddress, state: 'down', status });
  }

  // The server's word

  async #takeFrame(frame: ChannelFrame): Promise<void> {
    await this.#keys.learn(signedIn(frame));
    switch (frame.kind) {
      case 'pne-confirm-request':
        this.#home.onConfirmRequest(frame.body);
        return;
      case 'join-outcome':
        await this.#home.onJoinOutcome(frame.body);
        return;
      case 'pn-registration-response':
        this.#registrations.onRegistrationResponse(frame.body);
        return;
      case 'inventory-update':
        this.#registrations.onInventoryUpdate(frame.body);
        return;
      case 'transaction-waiting':
        this.#registrations.onWaiting(frame.body);
    }
  }

  #traceStored(txn: string, bytes: number): void {
    this.#options.onTrace?.({
      step: 12,
      name: 'PnInventoryStored',
      from: 'gateway',
      to: 'gateway',
      via: 'local',
      bytes,
      atMs: this.#clock.wallMs(),
      joinKey: txn,
    });
  }

  #emit(event: GatewayEvent): void {
    this.#options.onEvent?.(event);
  }
}

/**
 * The question whose join id begins with these 4 or more hex digits. Of two that begin alike neither is meant: the ids
 * are hashes over what the asking side chose, which can try until one fits.
 * @throws CpnsError unknown-transaction for none, conflict for several
 */
export function questionOf<View extends Pick<ConfirmRequestView, 'joinId'>>(
  waiting: readonly View[],
  start: string,
): View {
  const [found, another] =
    start.length < 4 ? [] : waiting.filter(({ joinId }) => toHex(joinId).startsWith(start));
  if (!found) throw new CpnsError('unknown-transaction', 'no question of this join waits');
  if (another) throw new CpnsError('conflict', 'several joins begin so: give more digits');
  return found;
}

/** Whether a live link ended without anybody finding fault. */
function wentQuietly(status: Status): boolean {
  return status === 'shutting-down' || STATUSES[status].class === 'link';
}
