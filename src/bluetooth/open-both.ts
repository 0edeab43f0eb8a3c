/**
 * A central and a peripheral on one controller, for a host that is a gateway and a PNE at once: one pipe, split in two
 * (hci/split-pipe.ts), so that it works where nobody else may use the adapter as well as where it is shared.
 */
import type { BackEndChoice } from './back-end.ts';
import { centralOn } from './central.ts';
import type { CentralOptions } from './central-options.ts';
import { formatMoniker, parseMoniker } from './hci/moniker.ts';
import { splitPipe } from './hci/split-pipe.ts';
import { openPipe, readyTransport } from './hci/transport.ts';
import { librariesOf } from './libraries.ts';
import { type PeripheralOptions, peripheralOn } from './peripheral.ts';
import type { Central, Peripheral } from './ports.ts';

/** `capture` gets everything of the one controller; `onGone` is called once, for both. */
export type BothOptions = CentralOptions & PeripheralOptions & BackEndChoice;

/**
 * Opens both roles on the controller that a moniker names. Each is closed by itself; the controller is free after both.
 * @throws MonikerError, ProfileError, BluetoothUnavailableError (with `.mend`), RangeError on an option out of range
 */
export async function openBoth(
  moniker: string,
  options: BothOptions = {},
): Promise<{ readonly central: Central; readonly peripheral: Peripheral }> {
  const parsed = parseMoniker(moniker);
  const name = formatMoniker(parsed);
  const { pipe, before } = await openPipe(parsed, options);
  const libraries = librariesOf(options);
  const halves = splitPipe(pipe, options.capture, options.again);
  let told = false;
  const each: BothOptions = {
    ...options,
    capture: undefined,
    onGone: (error) => {
      if (!told) options.onGone?.(error);
      told = true;
    },
  };
  try {
    const forCentral = await readyTransport(name, halves.central, before, each);
    const { aclBuffers } = forCentral.chosen.settings;
    if (aclBuffers !== undefined) halves.limitAclPackets(aclBuffers.count);
    const central = await centralOn(libraries.central, forCentral, each);
    const forPeripheral = await readyTransport(name, halves.peripheral, before, each);
    return { central, peripheral: await peripheralOn(libraries.peripheral, forPeripheral, each) };
  } catch (error) {
    halves.central.close();
    halves.peripheral.close();
    throw error;
  }
}
