/**
 * The front door of this folder: a central or a peripheral from a moniker, and the virtual radio. Loads the back-end
 * only when one is opened.
 */
export { openCentral } from './central-noble.ts';
export type { CentralOptions } from './central-options.ts';
export { defaultRadioPath, MonikerError, parseMoniker } from './hci/moniker.ts';
export { BluetoothUnavailableError } from './hci/unavailable.ts';
export { identifyAdapter } from './identify-adapter.ts';
export { openPeripheral, type PeripheralOptions } from './peripheral-bleno.ts';
export { openVirtualRadio, type VirtualRadio, type VirtualRadioOptions } from './virtual-radio/server.ts';
export type { KernelAdapter } from './virtual-radio/vhci.ts';
