/**
 * Ports that outlive their adapter. When it vanishes (unplugged, taken down, reset, dead) its links end with a reason, and
 * it is opened again and again under the same name until it is back or a limit has passed. A scan goes on by itself then;
 * an announcement is the owner's to make anew, since an old pseudonym under a new address would tie the two together.
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
import type { Advertisement, Central, ConnectOptions, GattLink, Peripheral, Sighting } from './ports.ts';

const RETRY_FIRST_MS = 500;
const RETRY_LONGEST_MS = 5000;

export type RadioState =
  | { readonly state: 'ready' }
  | {
      readonly state: 'waiting' /** What is the matter, and where known what mends it. */;
      readonly why: string;
    };

interface Waiting {
  /** How long an adapter that is gone is waited for before `onGone` is called; 0: not at all. */
  readonly waitMs: number;
}

interface Returning {
  readonly radio: RadioState;
  /** Called when the adapter is gone, when there is another reason why it can't be opened, and when it is back. */
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
  return new KeptCentral(keeper, await keeper.first());
}

/** @throws as openPeripheral does, when it can't be opened now */
export async function openReturningPeripheral(
  moniker: string,
  options: PeripheralOptions & BackEndChoice & Waiting,
): Promise<ReturningPeripheral> {
  const keeper = new Keeper(options, (each) => openPeripheral(moniker, { ...options, ...each }));
  return new KeptPeripheral(keeper, await keeper.first());
}

type EachTime = Required<Pick<CentralOptions, 'onGone' | 'appendCapture'>>;

/** One port at a time, and none while its adapter is away. */
class Keeper<Port extends Central | Peripheral> {
  port: Port | undefined;
  radio: RadioState = { state: 'ready' };
  onRadio: (state: RadioState) => void = () => {};
  onPort: (port: Port) => void = () => {};
  readonly #options: CentralOptions & Waiting;
  readonly #open: (each: EachTime) => Promise<Port>;
  #closed = false;
  #retry: NodeJS.Timeout | undefined;

  constructor(options: CentralOptions & Waiting, open: (each: EachTime) => Promise<Port>) {
    this.#options = options;
    this.#open = open;
  }

  async first(): Promise<Port> {
    this.port = await this.#open({ onGone: (error) => this.#lost(error), appendCapture: false });
    return this.port;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#retry);
    await this.port?.close();
  }

  #lost(error: Error | undefined): void {
    if (this.#closed) return;
    this.port = undefined;
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
      const port = await this.#open({ onGone: (error) => this.#lost(error), appendCapture: true });
      if (this.#closed) return await port.close();
      this.port = port;
      this.onPort(port);
      this.#tell({ state: 'ready' });
    } catch (error) {
      if (this.#closed) return;
      const cause = error instanceof Error ? error : new CpnsError('internal');
      if (performance.now() >= untilMs) return this.#giveUp(cause);
      if (this.radio.state === 'ready' || this.radio.why !== cause.message)
        this.#tell({ state: 'waiting', why: cause.message });
      this.#tryAgain(Math.min(RETRY_LONGEST_MS, 2 * afterMs), untilMs);
    }
  }

  #giveUp(error: Error | undefined): void {
    this.#closed = true;
    this.#options.onGone?.(error);
  }

  #tell(state: RadioState): void {
    this.radio = state;
    this.onRadio(state);
  }
}

class KeptCentral implements ReturningCentral {
  adapter: ChosenProfile;
  readonly #keeper: Keeper<Central>;
  #onSighting: ((sighting: Sighting) => void) | undefined;

  constructor(keeper: Keeper<Central>, first: Central) {
    this.#keeper = keeper;
    this.adapter = first.adapter;
    keeper.onPort = (central) => {
      this.adapter = central.adapter;
      // What does not start now is started by the port's own watch.
      if (this.#onSighting) central.startScan(this.#onSighting).catch(() => {});
    };
  }

  get radio(): RadioState {
    return this.#keeper.radio;
  }

  get onRadio(): (state: RadioState) => void {
    return this.#keeper.onRadio;
  }

  set onRadio(owner: (state: RadioState) => void) {
    this.#keeper.onRadio = owner;
  }

  /** Infinite while the adapter is away: an attempt then fails at once, and nobody waits for a place. */
  get freeLinks(): number {
    return this.#keeper.port?.freeLinks ?? Number.POSITIVE_INFINITY;
  }

  async startScan(onSighting: (sighting: Sighting) => void): Promise<void> {
    this.#onSighting = onSighting;
    await this.#keeper.port?.startScan(onSighting);
  }

  async stopScan(): Promise<void> {
    this.#onSighting = undefined;
    await this.#keeper.port?.stopScan();
  }

  connect(address: string, options: ConnectOptions): Promise<GattLink> {
    const central = this.#keeper.port;
    return central?.connect(address, options) ?? Promise.reject(new CpnsError('link-lost', 'no adapter'));
  }

  async answers(): Promise<boolean> {
    return (await this.#keeper.port?.answers()) ?? false;
  }

  close(): Promise<void> {
    return this.#keeper.close();
  }
}

class KeptPeripheral implements ReturningPeripheral {
  adapter: ChosenProfile;
  readonly maxLinks: number;
  onLink: (link: GattLink) => void = (link) => void link.close();
  readonly #keeper: Keeper<Peripheral>;

  constructor(keeper: Keeper<Peripheral>, first: Peripheral) {
    this.#keeper = keeper;
    this.adapter = first.adapter;
    this.maxLinks = first.maxLinks;
    const take = (peripheral: Peripheral): void => {
      this.adapter = peripheral.adapter;
      peripheral.onLink = (link) => this.onLink(link);
    };
    take(first);
    keeper.onPort = take;
  }

  get radio(): RadioState {
    return this.#keeper.radio;
  }

  get onRadio(): (state: RadioState) => void {
    return this.#keeper.onRadio;
  }

  set onRadio(owner: (state: RadioState) => void) {
    this.#keeper.onRadio = owner;
  }

  /** While the adapter is away nothing is kept: `onRadio` says when to announce. */
  async startAdvertising(advertisement: Advertisement): Promise<void> {
    await this.#keeper.port?.startAdvertising(advertisement);
  }

  async stopAdvertising(): Promise<void> {
    await this.#keeper.port?.stopAdvertising();
  }

  async answers(): Promise<boolean> {
    return (await this.#keeper.port?.answers()) ?? false;
  }

  close(): Promise<void> {
    return this.#keeper.close();
  }
}
