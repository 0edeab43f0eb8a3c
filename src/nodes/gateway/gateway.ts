/**
 * The gateway as a program, in both roles at once: initiating gateway of its own PN and home gateway of its user's PNEs.
 * Composition only: links and where they come from, operator, home-gateway role, store. One instance has one server, and a
 * controller for each GATT role that it plays.
 */
import { join } from 'node:path';
import { type Bytes, fromHex, toHex } from '../../base/bytes.ts';
import { CpnsError } from '../../base/errors.ts';
import { PnId, TransactionId } from '../../base/ids.ts';
import type { Clock } from '../../base/time.ts';
import type { ChosenProfile } from '../../bluetooth/adapter-profile.ts';
import type { ReturningCentral } from '../../bluetooth/returning.ts';
import type { GatewayConfig } from '../../config/gateway-config.ts';
import type { ChannelFrame } from '../../messages/channel.ts';
import type { ConfirmRequestView } from '../../network/approval-policy.ts';
import { thumbprintOf } from '../../security/cose-key.ts';
import { createEnrolmentCode, formatEnrolmentCode } from '../../security/enrolment-code.ts';
import { loadKey, type StoredSigner } from '../../security/keystore.ts';
import type { Primitives } from '../../security/primitives.ts';
import { nodePrimitives } from '../../security/primitives-node.ts';
import { type GatewayStore, openGatewayStore } from '../../store/gateway-store.ts';
import type { Vitals } from '../health.ts';
import { systemClock } from '../system-clock.ts';
import type { OnTrace, TraceEvent } from '../trace.ts';
import type { GatewayEvent } from './events.ts';
import { HomeGatewayNode, type OwnerAnswer } from './home-gateway.ts';
import { type GatewayIdentity, readGatewayIdentity } from './identity.ts';
import { Invitations } from './invitations.ts';
import { LinkSources } from './link-sources.ts';
import { GatewayLinks } from './links.ts';
import { OperatorSide } from './operator.ts';
import { type OnComparison, type PairedPne, Pairings, type ShownCode } from './pairing.ts';
import { questionOf } from './question-of.ts';
import { openRadios, type Radios } from './radios.ts';
import { Registrations } from './registrations.ts';
import type { ReportView } from './report-view.ts';
import { Sessions } from './sessions.ts';
import { type PnStatus, viewConfirmations, viewInventory, viewPnes, viewPns, viewReports } from './views.ts';

const FRESHNESS_MS = 6 * 3600_000;
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
  /** Takes the rest of what this gateway sees of a join: src/nodes/gateway/heard.ts. */
  readonly onHeard?: OnTrace | undefined;
  readonly onEvent?: ((event: GatewayEvent) => void) | undefined;
  readonly clock?: Clock | undefined;
  /** The Bluetooth controller is gone and did not come back in time: this node is deaf from now on. */
  readonly onRadioGone?: (() => void) | undefined;
}

/** @throws CpnsError not-enrolled, cannot-persist; BluetoothUnavailableError; MonikerError; ProfileError */
export async function openGateway(options: GatewayOptions): Promise<GatewayNode> {
  const signer = loadKey(join(options.stateDir, 'identity.pem'));
  const store = openGatewayStore(join(options.stateDir, 'gateway.sqlite'));
  try {
    const primitives = nodePrimitives();
    const identity = readGatewayIdentity(store, primitives, signer);
    const radios = await openRadios(options);
    const node = new GatewayNode(options, { signer, store, primitives, identity, radios });
    await node.start();
    return node;
  } catch (error) {
    store.close();
    throw error;
  }
}

interface Parts {
  readonly radios: Radios;
  readonly signer: StoredSigner;
  readonly store: GatewayStore;
  readonly primitives: Primitives;
  /** As it was at the start; renewed later. */
  readonly identity: GatewayIdentity;
}

export class GatewayNode {
  readonly #options: GatewayOptions;
  readonly #parts: Parts;
  readonly #clock: Clock;
  readonly #operator: OperatorSide;
  readonly #home: HomeGatewayNode;
  readonly #registrations: Registrations;
  readonly #sessions: Sessions;
  readonly #pairings: Pairings;
  readonly #links: GatewayLinks;
  readonly #sources: LinkSources;
  readonly #invitations: Invitations;
  #closed: Promise<void> | undefined;
  #freshness: NodeJS.Timeout | undefined;

  constructor(options: GatewayOptions, parts: Parts) {
    this.#options = options;
    this.#parts = parts;
    this.#clock = options.clock ?? systemClock;
    const { identity, primitives, store, signer } = parts;
    const { config } = options;
    this.#operator = new OperatorSide({
      ...{ store, signer, primitives, identity, clock: this.#clock },
      hear: options.onHeard && ((event) => this.#hear(event)),
    });
    const { client, keys } = this.#operator;
    const shared = {
      ...{ primitives, client, learnKeys: keys.learn, clock: this.#clock },
      gatewayId: identity.gatewayId,
      serverKeys: () => this.#operator.identity.serverKeys,
    };
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
      serverKeysStatement: () => this.#operator.identity.serverKeysStatement,
      credential: () => this.#operator.identity.credential,
      gatewayInfo: { capability: config.pn.capability, subscription: config.pn.subscription },
      onLive: (member, version) =>
        this.#emit({ kind: 'member', pnId: toHex(member.pnId), joinId: toHex(member.joinId), version }),
      onData: (member, bytes) =>
        this.#emit({ kind: 'data', pnId: toHex(member.pnId), joinId: toHex(member.joinId), bytes }),
    });
    this.#pairings = new Pairings({
      ...shared,
      home: store.home,
      offer: () => this.#operator.identity.offer,
      onStaleKeys: () => void keys.ask(),
    });
    this.#invitations = new Invitations({ ...shared, networks: store.networks, pn: config.pn });
    this.#links = new GatewayLinks({
      ...shared,
      signer,
      networks: store.networks,
      sessions: this.#sessions,
      pairings: this.#pairings,
      invitations: this.#invitations,
      invites: config.pn.invite,
      onDoubt: () => keys.doubted(),
      onEvent: (event) => this.#emit(event),
      onTrace: options.onTrace,
      onHeard: options.onHeard,
      onSecret: options.onSecret,
    });
    this.#sources = new LinkSources({
      ...shared,
      radios: parts.radios,
      networks: store.networks,
      pairings: this.#pairings,
      links: this.#links,
      invites: config.pn.invite,
      onEvent: (event) => this.#emit(event),
    });
    parts.radios.onRadio = (radio) => {
      if (radio.state === 'ready') this.#sources.radioIsBack();
      this.#emit({ kind: 'radio', ...radio });
    };
  }

  get adapter(): ChosenProfile {
    return this.#parts.radios.adapter;
  }

  async start(): Promise<void> {
    this.#invitations.dropLeft();
    this.#registrations.start();
    this.#operator.start({
      onFrame: (frame) => this.#takeFrame(frame),
      onChannel: (state) => this.#emit({ kind: 'channel', state }),
      onRenewed: ({ serverKeys, serverKeysStatement }) => {
        this.#sessions.useServerKeys(serverKeys, serverKeysStatement);
        this.#home.useServerKeys(serverKeys);
      },
      onProblem: (what, status) => this.#emit({ kind: 'problem', what, status }),
    });
    this.#home.start();
    this.#freshness = setInterval(() => this.#sessions.refreshAll(), FRESHNESS_MS);
    await this.#sources.start();
  }

  status() {
    const { identity, channel } = this.#operator;
    return {
      gatewayId: toHex(identity.gatewayId),
      user: identity.userLabel,
      label: identity.gatewayLabel,
      homeAddress: identity.homeAddress,
      server: identity.serverUrl,
      radio: this.#parts.radios.state,
      channel: channel?.isUp ? ('up' as const) : ('down' as const),
      serverKeys: identity.serverKeys.keys.map(({ kid }) => toHex(kid)),
      links: this.#links.count,
      crowdedAt: this.#sources.crowdedAt ?? null,
      pns: this.pns(),
      pnes: this.pnes(),
      approvals: this.approvals().length,
    };
  }

  /** How it is, for the watchdog. */
  async vitals(): Promise<Vitals> {
    const controller = await this.#parts.radios.answer();
    const channel = this.#operator.channel?.state;
    return { controller, ...(channel && { channel }), remark: `links: ${this.#links.count}` };
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

  /**
   * Takes a PNE off this home: whoever asks about it from now on hears "not owned". Networks that it is in stay.
   * @param thumbprint hex @throws CpnsError unknown-pne, cannot-persist
   */
  revokePne(thumbprint: string): void {
    const { home } = this.#parts.store;
    const pne = home.pnes().find((known) => toHex(known.thumbprint) === thumbprint);
    if (!pne) throw new CpnsError('unknown-pne');
    home.revokePne(pne.thumbprint);
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

  /** A no to this question and to its gateway. @param joinId hex, or its start @throws CpnsError as {@link questionOf} says */
  async report(joinId: string): Promise<void> {
    await this.#home.report(questionOf(this.approvals(), joinId).joinId);
  }

  /** What the owner reported, with the evidence. */
  reports(): readonly ReportView[] {
    return viewReports(this.#parts.store, this.#parts.primitives);
  }

  /** Its gateway may ask again. @param joinId hex, or its start @throws CpnsError as {@link questionOf} says */
  withdrawReport(joinId: string): void {
    const { reports } = this.#parts.store;
    reports.withdraw(questionOf(reports.all(), joinId).joinId);
  }

  /** Enrols the PNE that shows this code. @throws CpnsError enrolment-code-wrong, enrolment-code-spent, busy */
  async pair(codeText: string): Promise<PairedPne> {
    if (!this.#sources.scans)
      throw new CpnsError('conflict', 'this gateway does not scan: it shows a code of its own');
    const paired = this.#pairings.add(codeText);
    const looking = this.#sources.lookAgain();
    const result = await paired;
    await looking;
    await this.#sources.lookAgain();
    return result;
  }

  /**
   * Shows a code for a PNE that connects by itself; the one before is void.
   * @param onComparison told of the PNE that proved it, which waits a minute for {@link compared}
   * @returns the code, and `used`, which rejects as {@link pair} does
   * @throws CpnsError conflict when this gateway is no GATT peripheral
   */
  showCode(onComparison: OnComparison): Omit<ShownCode, 'secret'> & { readonly code: string } {
    if (!this.#sources.accepts)
      throw new CpnsError('conflict', 'no PNE can connect to this gateway: set as = "peripheral" or "both"');
    const { primitives, signer } = this.#parts;
    const { secret, ...shown } = this.#pairings.show(onComparison);
    const again = () => this.#sources.announceAgain();
    shown.used.then(again, again);
    again();
    const thumbprint = thumbprintOf(primitives, signer.publicKey);
    const code = formatEnrolmentCode(createEnrolmentCode(primitives, 'gateway', thumbprint, secret));
    return { ...shown, code };
  }

  /**
   * The user's word: whether the PNE that proved the code shows these digits. A no takes the code back.
   * @throws CpnsError unknown-transaction when nobody with these digits waits
   */
  compared(digits: string, same: boolean): void {
    this.#pairings.compared(digits, same);
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
    await this.#sources.stop();
    await this.#links.close();
    await this.#operator.stop();
    await this.#home.close();
    this.#operator.close();
    await this.#parts.radios.close();
    this.#parts.store.close();
  }

  // The server's word

  async #takeFrame(frame: ChannelFrame): Promise<void> {
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

  #traceStored(joinKey: string, bytes: number): void {
    const here = { from: 'gateway', to: 'gateway', via: 'local' } as const;
    const atMs = this.#clock.wallMs();
    this.#options.onTrace?.({ step: 12, name: 'PnInventoryStored', ...here, bytes, atMs, joinKey });
  }

  #hear(event: Omit<TraceEvent, 'atMs'>): void {
    const txn = event.step === 7 ? TransactionId(fromHex(event.joinKey ?? '')) : undefined;
    const join = txn && this.#parts.store.networks.joinOfTransaction(txn);
    const named = join && { joinId: toHex(join.joinId) };
    this.#options.onHeard?.({ ...event, ...named, atMs: this.#clock.wallMs() });
  }

  #emit(event: GatewayEvent): void {
    this.#options.onEvent?.(event);
  }
}
