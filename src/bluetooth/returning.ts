/**
 * Ports that outlive their adapter. When it vanishes (unplugged, taken down, reset, dead) its links end with a reason, and
 * it is opened again and again under the same name until it is back or a limit has passed. A scan goes on by itself then;
 * an announcement is the owner's to make anew, since an old pseudonym under a new address would tie the two together.
 * After a sleep of the machine, in which a controller may forget what it does and tell nobody, it is the same without the end.
 * CHOICE: what comes back is hciN of the same number, as the configuration names it; the kernel gives a lone adapter its old
 * number again.
 */
import { CpnsError } from '../base/errors.ts';
import type { ChosenProfile } from './adapter-profile.ts';
import {
  type BackEndChoice,
  type CentralOptions,
  openCentral,
  openPeripheral,
  type PeripheralOptions,
} from './open.ts';
import { type BothOptions, openBoth } from './open-both.ts';
import type { Advertisement, Central, ConnectOptions, GattLink, Peripheral, Sighting } from './ports.ts';
import { watchSleep } from './waking.ts';

const RETRY_FIRST_MS = 500;
const RETRY_LONGEST_MS = 5000;

/** Ready `after` a sleep: it was there all the time, but the machine slept. Waiting: `why`, and where known what mends it. */
export type RadioState =
  | { readonly state: 'ready'; readonly after?: 'sleep' }
  | { readonly state: 'waiting'; readonly why: string };

interface Waiting {
  /** How long an adapter that is gone is waited for before `onGone` is called; 0: not at all. */
  readonly waitMs: number;
}

interface Returning {
  readonly radio: RadioState;
  /**
   * Called when the adapter is gone, when there is another reason why it can't be opened, when it is back, and after a sleep
   * of the machine. Ready: whatever is to be on the air has to be announced anew.
   */
  onRadio: (state: RadioState) => void;
}

export type ReturningCentral = Central & Returning;
export type ReturningPeripheral = Peripheral & Returning;

/** @throws as openCentral does, when it can't be opened now */
export async function openReturningCentral(
  moniker: string,
  options: CentralOptions & BackEndChoice & Waiting,
): Promise<ReturningCentral> {
  const keeper = new Keeper(options, (each) => openCentral(moniker, { ...options, ...each }));
  return new KeptCentral(keeper, await keeper.open(), (central) => central);
}

/** @throws as openPeripheral does, when it can't be opened now */
export async function openReturningPeripheral(
  moniker: string,
  options: PeripheralOptions & BackEndChoice & Waiting,
): Promise<ReturningPeripheral> {
  const keeper = new Keeper(options, (each) => openPeripheral(moniker, { ...options, ...each }));
  return new KeptPeripheral(keeper, await keeper.open(), (peripheral) => peripheral);
}

/**
 * Both roles on one controller, which goes and comes back for both.
 * @throws as openBoth does, when it can't be opened now
 */
export async function openReturningBoth(
  moniker: string,
  options: BothOptions & Waiting,
): Promise<{ readonly central: ReturningCentral; readonly peripheral: ReturningPeripheral }> {
  const keeper = new Keeper(options, (each) => openBoth(moniker, { ...options, ...each }));
  const first = await keeper.open();
  return {
    central: new KeptCentral(keeper, first, ({ central }) => central),
    peripheral: new KeptPeripheral(keeper, first, ({ peripheral }) => peripheral),
  };
}

type EachTime = Required<Pick<CentralOptions, 'onGone' | 'again'>>;

/** What is opened at a time, one port or two, and nothing while the adapter is away. */
class Keeper<Opened> {
  opened: Opened | undefined;
  radio: RadioState = { state: 'ready' };
  readonly #parts: Part<Opened>[] = [];
  readonly #options: CentralOptions & Waiting;
  readonly #open: (each: EachTime) => Promise<Opened>;
  #wasOpen = false;
  #ended = false;
  #retry: NodeJS.Timeout | undefined;
  #endWatch = (): void => {};

  constructor(options: CentralOptions & Waiting, open: (each: EachTime) => Promise<Opened>) {
    this.#options = options;
    this.#open = open;
  }

  async open(): Promise<Opened> {
    this.opened = await this.#open({ onGone: (error) => this.#lost(error), again: this.#wasOpen });
    if (!this.#wasOpen) this.#endWatch = watchSleep(() => void this.#woke());
    this.#wasOpen = true;
    return this.opened;
  }

  join(part: Part<Opened>): void {
    this.#parts.push(part);
  }

  /** Nobody waits for an adapter that no part wants any more. */
  partClosed(): void {
    if (!this.#parts.every(({ closed }) => closed)) return;
    this.#ended = true;
    this.#endWatch();
    clearTimeout(this.#retry);
  }

  async #woke(): Promise<void> {
    const { opened } = this;
    if (opened === undefined) return;
    for (const part of this.#parts) if (!part.closed) await part.afterSleep();
    if (this.opened !== opened || this.#ended) return;
    for (const part of this.#parts) if (!part.closed) part.onRadio({ state: 'ready', after: 'sleep' });
  }

  #lost(error: Error | undefined): void {
    if (this.#ended) return;
    this.opened = undefined;
    if (this.#options.waitMs <= 0) {
      this.#giveUp(error);
      return;
    }
    this.#tell({ state: 'waiting', why: error?.message ?? 'the Bluetooth controller is gone' });
    this.#tryAgain(RETRY_FIRST_MS, performance.now() + this.#options.waitMs);
  }

  #tryAgain(afterMs: number, untilMs: number): void {
    this.#retry = setTimeout(() => void this.#reopen(afterMs, untilMs), afterMs);
  }

  async #reopen(afterMs: number, untilMs: number): Promise<void> {
    try {
      const opened = await this.open();
      for (const part of this.#parts) part.take(opened);
      if (!this.#ended) this.#tell({ state: 'ready' });
    } catch (error) {
      if (this.#ended) return;
      const cause = error instanceof Error ? error : new CpnsError('internal');
      if (performance.now() >= untilMs) {
        this.#giveUp(cause);
        return;
      }
      if (this.radio.state === 'ready' || this.radio.why !== cause.message)
        this.#tell({ state: 'waiting', why: cause.message });
      this.#tryAgain(Math.min(RETRY_LONGEST_MS, 2 * afterMs), untilMs);
    }
  }

  #giveUp(error: Error | undefined): void {
    this.#ended = true;
    this.#endWatch();
    this.#options.onGone?.(error);
  }

  #tell(state: RadioState): void {
    this.radio = state;
    for (const part of this.#parts) if (!part.closed) part.onRadio(state);
  }
}

/** One port of what a keeper has open. */
abstract class Part<Opened, Port extends Central | Peripheral = Central | Peripheral> {
  onRadio: (state: RadioState) => void = () => {};
  closed = false;
  readonly #keeper: Keeper<Opened>;
  readonly #pick: (opened: Opened) => Port;
  #adapter: ChosenProfile;

  constructor(keeper: Keeper<Opened>, first: Opened, pick: (opened: Opened) => Port) {
    this.#keeper = keeper;
    this.#pick = pick;
    this.#adapter = pick(first).adapter;
    keeper.join(this);
  }

  protected abstract adopt(port: Port): void;

  take(opened: Opened): void {
    const port = this.#pick(opened);
    this.#adapter = port.adapter;
    if (this.closed) void port.close();
    else this.adopt(port);
  }

  get adapter(): ChosenProfile {
    return this.#adapter;
  }

  get radio(): RadioState {
    return this.#keeper.radio;
  }

  protected get port(): Port | undefined {
    return this.#keeper.opened && this.#pick(this.#keeper.opened);
  }

  async answers(): Promise<boolean> {
    return (await this.port?.answers()) ?? false;
  }

  async afterSleep(): Promise<void> {
    await this.port?.afterSleep();
  }

  async close(): Promise<void> {
    this.closed = true;
    this.#keeper.partClosed();
    await this.port?.close();
  }
}

class KeptCentral<Opened> extends Part<Opened, Central> implements ReturningCentral {
  #onSighting: ((sighting: Sighting) => void) | undefined;

  protected adopt(central: Central): void {
    // What does not start now is started by the port's own watch.
    if (this.#onSighting) central.startScan(this.#onSighting).catch(() => {});
  }

  /** Infinite while the adapter is away: an attempt then fails at once, and nobody waits for a place. */
  get freeLinks(): number {
    return this.port?.freeLinks ?? Number.POSITIVE_INFINITY;
  }

  async startScan(onSighting: (sighting: Sighting) => void): Promise<void> {
    this.#onSighting = onSighting;
    await this.port?.startScan(onSighting);
  }

  async stopScan(): Promise<void> {
    this.#onSighting = undefined;
    await this.port?.stopScan();
  }

  connect(address: string, options: ConnectOptions): Promise<GattLink> {
    return this.port?.connect(address, options) ?? Promise.reject(new CpnsError('link-lost', 'no adapter'));
  }
}

class KeptPeripheral<Opened> extends Part<Opened, Peripheral> implements ReturningPeripheral {
  onLink: (link: GattLink) => void = (link) => void link.close();
  readonly maxLinks: number;

  constructor(keeper: Keeper<Opened>, first: Opened, pick: (opened: Opened) => Peripheral) {
    super(keeper, first, pick);
    this.maxLinks = pick(first).maxLinks;
    this.adopt(pick(first));
  }

  protected adopt(peripheral: Peripheral): void {
    peripheral.onLink = (link) => this.onLink(link);
  }

  /** While the adapter is away nothing is kept: `onRadio` says when to announce. */
  async startAdvertising(advertisement: Advertisement): Promise<void> {
    await this.port?.startAdvertising(advertisement);
  }

  async stopAdvertising(): Promise<void> {
    await this.port?.stopAdvertising();
  }
}
