/**
 * The front door of this folder: a central or a peripheral from a moniker on the back-end that was chosen, and the
 * virtual radio. Loads the back-end only when one is opened.
 */
import type { BackEndChoice } from './back-end.ts';
import { centralOn } from './central.ts';
import type { CentralOptions } from './central-options.ts';
import { openTransport } from './hci/transport.ts';
import { librariesOf } from './libraries.ts';
import { type PeripheralOptions, peripheralOn } from './peripheral.ts';
import type { Central, Peripheral } from './ports.ts';

export { BACK_ENDS, type BackEnd, type BackEndChoice } from './back-end.ts';
export type { CentralOptions } from './central-options.ts';
export { defaultRadioPath, MonikerError, parseMoniker } from './hci/moniker.ts';
export { BluetoothUnavailableError } from './hci/unavailable.ts';
export { identifyAdapter } from './identify-adapter.ts';
export type { PeripheralOptions } from './peripheral.ts';
export { openVirtualRadio, type VirtualRadio, type VirtualRadioOptions } from './virtual-radio/server.ts';
export type { KernelAdapter } from './virtual-radio/vhci.ts';

/**
 * Opens a central on the controller that a moniker names.
 * @throws MonikerError, ProfileError, BluetoothUnavailableError (with `.mend`), RangeError on an option out of range
 */
export async function openCentral(
  moniker: string,
  options: CentralOptions & BackEndChoice = {},
): Promise<Central> {
  return centralOn(librariesOf(options).central, await openTransport(moniker, options), options);
}

/**
 * Opens a peripheral on the controller that a moniker names. It advertises nothing yet.
 * @throws MonikerError, ProfileError, BluetoothUnavailableError (with `.mend`), RangeError on an option out of range
 */
export async function openPeripheral(
  moniker: string,
  options: PeripheralOptions & BackEndChoice = {},
): Promise<Peripheral> {
  return peripheralOn(librariesOf(options).peripheral, await openTransport(moniker, options), options);
}
