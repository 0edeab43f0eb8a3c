/**
 * A gateway's radios: one port for each GATT role that its configuration names, on one adapter or two. Owns opening them,
 * and what they are as one: who the adapter is, whether it is waited for, whether it answers.
 */
import type { ChosenProfile } from '../../bluetooth/adapter-profile.ts';
import {
  openReturningBoth,
  openReturningCentral,
  openReturningPeripheral,
  type RadioState,
  type ReturningCentral,
  type ReturningPeripheral,
} from '../../bluetooth/returning.ts';
import type { BluetoothConfig } from '../../config/parts.ts';
import { radioOf } from '../radio-options.ts';

/** PNEs at a time that connect to this gateway, as far as adapter and back-end can: bleno of abandonware serves one. */
const MAX_LINKS = 8;

export interface RadiosOptions {
  readonly config: { readonly bluetooth: BluetoothConfig };
  /** Over the configuration's. */
  readonly adapter?: string | undefined;
  readonly capture?: string | undefined;
  /** A central that is there already; then nothing is opened. */
  readonly central?: ReturningCentral | undefined;
  readonly onRadioGone?: (() => void) | undefined;
}

/** @throws BluetoothUnavailableError, MonikerError, ProfileError */
export async function openRadios(options: RadiosOptions): Promise<Radios> {
  if (options.central) return new Radios(options.central, undefined);
  const { bluetooth } = options.config;
  const { as = 'central', peripheralAdapter } = bluetooth;
  const [moniker, usual] = radioOf(bluetooth, options, options.onRadioGone);
  const radio = [moniker, { ...usual, maxLinks: MAX_LINKS }] as const;
  if (as === 'peripheral') return new Radios(undefined, await openReturningPeripheral(...radio));
  if (as === 'both' && peripheralAdapter === undefined) {
    const { central, peripheral } = await openReturningBoth(...radio);
    return new Radios(central, peripheral);
  }
  const central = await openReturningCentral(...radio);
  if (as === 'central') return new Radios(central, undefined);
  try {
    // A capture is of one controller.
    const { capture: _capture, ...rest } = radio[1];
    return new Radios(central, await openReturningPeripheral(peripheralAdapter ?? moniker, rest));
  } catch (error) {
    await central.close();
    throw error;
  }
}

/** One of them is there at least. */
export class Radios {
  readonly central: ReturningCentral | undefined;
  readonly peripheral: ReturningPeripheral | undefined;

  constructor(central: ReturningCentral | undefined, peripheral: ReturningPeripheral | undefined) {
    this.central = central;
    this.peripheral = peripheral;
  }

  get adapter(): ChosenProfile {
    const [first] = this.#all;
    if (!first) throw new TypeError('a gateway without a radio');
    return first.adapter;
  }

  /** That of the one that is not ready, where there is one. */
  get state(): RadioState {
    return this.#all.find(({ radio }) => radio.state !== 'ready')?.radio ?? { state: 'ready' };
  }

  set onRadio(onRadio: (state: RadioState) => void) {
    for (const port of this.#all) port.onRadio = onRadio;
  }

  /** Whether every controller answers now; `away` while one is waited for. */
  async answer(): Promise<boolean | 'away'> {
    const answers = await Promise.all(this.#all.map((port) => port.answers()));
    if (answers.every(Boolean)) return true;
    return this.state.state === 'waiting' ? 'away' : false;
  }

  async close(): Promise<void> {
    await Promise.all(this.#all.map((port) => port.close()));
  }

  get #all(): readonly (ReturningCentral | ReturningPeripheral)[] {
    return [this.central, this.peripheral].filter((port) => port !== undefined);
  }
}
