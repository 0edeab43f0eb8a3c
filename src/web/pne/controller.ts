/**
 * Between the person and the PNE: takes clicks, runs links one at a time, turns what happens into the one value that the
 * views show. Owns the course of an attempt and of reconnecting; must not know the DOM, the protocol or the disk.
 */
import { type Bytes, equal, fromHex, toHex } from '../../base/bytes.ts';
import { statusOfError } from '../../base/errors.ts';
import { STATUSES, type Status } from '../../base/statuses.ts';
import type { Clock } from '../../base/time.ts';
import type { GattLink } from '../../bluetooth/gatt-link.ts';
import type { DeclineStatus, JoinQuestion } from '../../establishment/pne-types.ts';
import type { PneLinkEvent } from '../../nodes/pne/link-events.ts';
import { type EnrolmentCode, parseEnrolmentCode } from '../../security/enrolment-code.ts';
import type { Primitives } from '../../security/primitives.ts';
import type { Observable } from '../shared/observable.ts';
import { adviceFor } from './advice.ts';
import { codeTextOf } from './code-link.ts';
import type { Settings } from './device.ts';
import type { BrowserPne, LinkPurpose, PneHooks } from './node.ts';
import {
  type AppState,
  networkView,
  pendingView,
  type RunResult,
  type RunView,
  type Screen,
} from './state.ts';

/** How long the machine waits for an answer in step 2 (docs/protocol.md §10), with a little time to send it. */
const ANSWER_WITHIN_MS = 50_000;
const RECONNECT_AFTER_MS: readonly number[] = [1_000, 3_000, 6_000, 15_000, 30_000, 60_000];

/** The radio as the controller needs it: src/web/gatt-link.ts, with the browser's own devices. */
export interface Radio<Device> {
  /** @returns undefined when nothing was chosen */
  choose(): Promise<Device | undefined>;
  isAvailable(): Promise<boolean>;
  connect(device: Device): Promise<GattLink>;
}

export interface ControllerOptions<Device> {
  readonly state: Observable<AppState>;
  readonly radio: Radio<Device>;
  readonly primitives: Primitives;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  /** Makes the PNE with this controller's ear and voice. */
  readonly pne: (hooks: PneHooks) => BrowserPne;
  readonly saveSettings: (settings: Settings) => Promise<void>;
  /** Erases key, owner and networks, and starts the page anew. */
  readonly erase: () => Promise<void>;
}

export class Controller<Device> {
  readonly #options: ControllerOptions<Device>;
  readonly #pne: BrowserPne;
  /** Gateways by ID that were connected to since the page was opened: a browser remembers none for us. */
  readonly #devices = new Map<string, Device>();
  #device: Device | undefined;
  #code: EnrolmentCode | undefined;
  #answer: ((answer: 'ok' | DeclineStatus) => void) | undefined;
  /** What the present link has come to, when it has. */
  #live: { readonly pnId: string; readonly th3: Bytes } | undefined;
  /** Counted up whenever what is under way shall not go on. */
  #turn = 0;

  constructor(options: ControllerOptions<Device>) {
    this.#options = options;
    this.#pne = options.pne({
      ask: (question) => this.#ask(question),
      onEvent: (event) => this.#take(event),
      onStep: (state, waiting) => this.#step(state, waiting),
    });
    this.#refresh();
  }

  get #state(): AppState {
    return this.#options.state.value;
  }

  #set(change: Partial<AppState>): void {
    this.#options.state.set({ ...this.#state, ...change });
  }

  show(screen: Screen): void {
    this.#set({ screen, notice: undefined, codeFault: undefined });
  }

  /** Takes a code as typed, pasted, scanned or from the address. @returns whether it is one of a gateway */
  enterCode(text: string): boolean {
    try {
      const code = parseEnrolmentCode(this.#options.primitives, codeTextOf(text));
      const isOwnKind = code.kind === 'gateway';
      this.#code = isOwnKind ? code : undefined;
      this.#set({ hasCode: isOwnKind, codeFault: isOwnKind ? undefined : CODE_OF_PNE });
      return isOwnKind;
    } catch {
      this.#code = undefined;
      this.#set({ hasCode: false, codeFault: NOT_A_CODE });
      return false;
    }
  }

  forgetCode(): void {
    this.#code?.secret.fill(0);
    this.#code = undefined;
    this.#set({ hasCode: false, codeFault: undefined });
  }

  /** Makes this device its user's, with the code that was entered. To be called from a click. */
  async enrol(): Promise<void> {
    if (this.#code) await this.#chooseAndRun({ kind: 'enrol', code: this.#code });
  }

  /** Joins a network of a gateway that is chosen. To be called from a click. */
  async join(): Promise<void> {
    await this.#chooseAndRun({ kind: 'establish' });
  }

  /** Connects to the gateway of a network, or of a join whose outcome is not known yet. To be called from a click. */
  async resume(th3: Bytes): Promise<void> {
    const known = this.#pne.joins.find((join) => equal(join.th3, th3));
    const device = known && this.#devices.get(toHex(known.gatewayId));
    const purpose: LinkPurpose = { kind: 'resume', th3 };
    if (device) await this.#run(purpose, device);
    else await this.#chooseAndRun(purpose);
  }

  answer(answer: 'ok' | 'declined'): void {
    this.#answer?.(answer);
    this.#answer = undefined;
  }

  /** Ends the link, or what is being tried. */
  async hangUp(): Promise<void> {
    this.#turn++;
    this.#live = undefined;
    await this.#pne.hangUp();
    this.#set({ link: { state: 'none' } });
  }

  async leave(pnId: string): Promise<void> {
    this.#turn++;
    this.#live = undefined;
    try {
      await this.#pne.forget(fromHex(pnId));
      this.#set({ screen: { name: 'home' }, link: { state: 'none' }, notice: LEFT });
    } catch (error) {
      this.#tell(statusOfError(error));
    }
    this.#refresh();
  }

  async saveSettings(settings: Settings): Promise<void> {
    try {
      await this.#options.saveSettings(settings);
      this.#set({ settings, notice: 'Kept. It is told with your next join.' });
    } catch (error) {
      this.#tell(statusOfError(error));
    }
  }

  async erase(): Promise<void> {
    await this.hangUp();
    try {
      await this.#options.erase();
    } catch (error) {
      this.#tell(statusOfError(error));
    }
  }

  /** To be called now and then, and when the page goes. */
  async countPowered(): Promise<void> {
    await this.#pne.countPowered().catch((error) => this.#tell(statusOfError(error)));
    this.#refresh();
  }

  async #chooseAndRun(purpose: LinkPurpose): Promise<void> {
    const { radio } = this.#options;
    try {
      const device = await radio.choose();
      if (device !== undefined) await this.#run(purpose, device);
      else this.#set({ notice: (await radio.isAvailable()) ? NOTHING_CHOSEN : BLUETOOTH_OFF });
    } catch {
      this.#set({ notice: NO_CHOOSER });
    }
  }

  /** One attempt that the person watches. */
  async #run(purpose: LinkPurpose, device: Device): Promise<void> {
    const turn = ++this.#turn;
    await this.#pne.hangUp();
    this.#live = undefined;
    this.#set({
      screen: { name: 'run' },
      notice: undefined,
      link: { state: 'connecting' },
      run: {
        purpose: purpose.kind,
        course: { state: 'connecting' },
        ...{ question: undefined, answerBeforeMs: undefined, digits: undefined, result: undefined },
      },
    });
    const status = await this.#linkOnce(purpose, device);
    if (turn !== this.#turn) return;
    if (this.#state.run?.result?.kind === 'enrolled') this.forgetCode();
    const th3 = this.#toComeBackFor(purpose, status);
    if (th3) {
      await this.#reconnect(th3, device, turn, status);
    } else {
      this.#finish({ kind: 'failed', status: status === 'ok' ? 'link-lost' : status });
      this.#set({ link: { state: 'none' } });
    }
  }

  /** The membership that was live, or the join that was signed and has no outcome yet. */
  #toComeBackFor(purpose: LinkPurpose, status: Status): Bytes | undefined {
    if (this.#live) return this.#live.th3;
    if (purpose.kind === 'enrol' || this.#state.run?.result || !isSilence(status)) return undefined;
    return this.#pne.joins.find(({ state }) => state === 'pending')?.th3;
  }

  /** Connects and runs one link to its end. */
  async #linkOnce(purpose: LinkPurpose, device: Device): Promise<Status> {
    try {
      this.#device = device;
      const gatt = await this.#options.radio.connect(device);
      this.#set({ link: { state: 'open', pnId: undefined } });
      return await this.#pne.run(gatt, purpose);
    } catch (error) {
      return statusOfError(error);
    } finally {
      this.#answer = undefined;
      this.#patchRun({ question: undefined });
      this.#refresh();
      this.#device = undefined;
    }
  }

  /** Comes back to a gateway after the link went, until it says no or patience ends. */
  async #reconnect(th3: Bytes, device: Device, turn: number, lost: Status): Promise<void> {
    let status = lost;
    for (let tries = 0; tries < RECONNECT_AFTER_MS.length && this.#knows(th3); tries++) {
      this.#set({ link: { state: 'lost', pnId: this.#live?.pnId } });
      await new Promise((resolve) => setTimeout(resolve, RECONNECT_AFTER_MS[tries]));
      if (turn !== this.#turn) return;
      this.#live = undefined;
      status = await this.#linkOnce({ kind: 'resume', th3 }, device);
      if (turn !== this.#turn) return;
      // A link that came to life again begins the count anew.
      if (this.#live) tries = -1;
      else if (!isSilence(status)) break;
    }
    this.#finish({ kind: 'failed', status: status === 'ok' ? 'link-lost' : status });
    this.#set({ link: { state: 'none' } });
    if (this.#state.screen.name !== 'run') this.#tell(status);
  }

  #knows(th3: Bytes): boolean {
    return this.#pne.joins.some((join) => equal(join.th3, th3));
  }

  #ask(question: JoinQuestion): Promise<'ok' | DeclineStatus> {
    const answerBeforeMs = this.#options.clock.monotonicMs() + ANSWER_WITHIN_MS;
    this.#patchRun({ question, answerBeforeMs });
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.answer('declined'), ANSWER_WITHIN_MS);
      this.#answer = (answer) => {
        clearTimeout(timer);
        this.#patchRun({ question: undefined, answerBeforeMs: undefined });
        resolve(answer);
      };
    });
  }

  #take(event: PneLinkEvent): void {
    switch (event.kind) {
      case 'comparing':
        this.#patchRun({ digits: event.digits });
        break;
      case 'enrolled':
        this.#refresh();
        this.#finish({ kind: 'enrolled', userLabel: event.userLabel, homeAddress: event.homeAddress });
        break;
      case 'joined':
      case 'resumed':
      case 'updated':
        this.#lives(event.pnId);
        break;
      case 'refused':
        if (event.status !== 'ok') this.#finish({ kind: 'failed', status: event.status });
        break;
      case 'problem':
        this.#tell(event.status);
        break;
      default:
    }
  }

  #lives(pnId: string): void {
    const member = this.#pne.memberships.find(({ join }) => toHex(join.pnId) === pnId);
    if (!member) return;
    this.#live = { pnId, th3: member.join.th3 };
    if (this.#device !== undefined) this.#devices.set(toHex(member.join.gatewayId), this.#device);
    this.#refresh();
    this.#set({ link: { state: 'open', pnId } });
    this.#finish({ kind: 'member', pnId });
  }

  /** Keeps the furthest state: where it ended is where the ladder shows the failure. */
  #step(state: string, waiting: Status | undefined): void {
    const { run } = this.#state;
    if (!run || run.result || state === 'closed') return;
    this.#patchRun({ course: { state, waiting: waiting && isWaiting(waiting) ? waiting : undefined } });
  }

  #finish(result: RunResult): void {
    const { run } = this.#state;
    if (!run || run.result) return;
    const failed = result.kind === 'failed' ? { failed: result.status } : {};
    this.#patchRun({ result, course: { ...run.course, ...failed } });
  }

  #patchRun(change: Partial<RunView>): void {
    const { run } = this.#state;
    if (run) this.#set({ run: { ...run, ...change } });
  }

  /** Reads anew what is kept. */
  #refresh(): void {
    const { owner, thumbprint, memberships, joins } = this.#pne;
    this.#set({
      thumbprint: toHex(thumbprint),
      owner: owner && { userLabel: owner.userLabel, homeAddress: owner.homeAddress },
      networks: memberships.map((membership) =>
        networkView(membership, this.#pne.isStale(membership.join.th3)),
      ),
      pending: joins.filter(({ state }) => state === 'pending').map(pendingView),
    });
  }

  #tell(status: Status): void {
    if (status === 'ok') return;
    const { says, next } = adviceFor(status);
    this.#set({ notice: `${says} ${next}` });
  }
}

const NOT_A_CODE = 'This is not a code. Check it for a slip: ten groups of five letters and digits.';
const CODE_OF_PNE =
  'This code is shown by a device. What is needed here is the code that your home gateway shows.';
const LEFT = 'You left. The operator lists this device until its owner removes it or it joins again.';
const NOTHING_CHOSEN = 'Nothing was chosen. Stand near the gateway, make sure that it is on, and try again.';
const BLUETOOTH_OFF = 'Bluetooth is off, or this page may not use it. Switch it on and try again.';
const NO_CHOOSER =
  'The browser did not show its list of devices. Allow Bluetooth for this page and try again.';

/** Nobody said no: the other side went away, or could not go on. */
function isSilence(status: Status): boolean {
  return (
    status === 'ok' || status === 'shutting-down' || status === 'busy' || STATUSES[status].class === 'link'
  );
}

function isWaiting(status: Status): boolean {
  return status === 'awaiting-home-gateway' || status === 'awaiting-user';
}
