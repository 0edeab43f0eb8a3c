/**
 * Opening an adapter again that this process had before. While it was away the kernel and bluetoothd took it for a new one:
 * powered on for themselves where we had it alone, or left off where we shared it. It is brought back to how it was.
 */

import { Management } from './management.ts';
import { type AdapterMoniker, openNativePipe } from './native-pipe.ts';
import type { HciPipe } from './pipe.ts';
import { BluetoothUnavailableError } from './unavailable.ts';

/** What each refusal is mended by, with CAP_NET_ADMIN: `EBUSY` is of a user channel, `ENETDOWN` of a shared adapter. */
const POWERED_INSTEAD: Readonly<Record<string, boolean>> = { EBUSY: false, ENETDOWN: true };

/** @throws BluetoothUnavailableError as openNativePipe does */
export async function takeBack(moniker: AdapterMoniker): Promise<HciPipe> {
  try {
    return await openNativePipe(moniker);
  } catch (error) {
    const powered = error instanceof BluetoothUnavailableError ? POWERED_INSTEAD[error.code] : undefined;
    if (powered === undefined || !(await setPowered(moniker.index, powered))) throw error;
    return openNativePipe(moniker);
  }
}

/** @returns whether it is so now: not while the kernel sets the adapter up, nor where rfkill blocks it */
async function setPowered(index: number, powered: boolean): Promise<boolean> {
  try {
    const management = new Management();
    try {
      await management.setPowered(index, powered);
      return true;
    } finally {
      management.close();
    }
  } catch {
    return false;
  }
}
