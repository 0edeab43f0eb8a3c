/**
 * Opening an adapter that was closed a moment ago: the kernel may still be taking it down. Owns how long that is waited
 * for; every other refusal counts at once.
 */
import { BluetoothUnavailableError } from '../bluetooth/open.ts';

const PATIENCE_MS = 5_000;
const AGAIN_MS = 250;
const BUSY: readonly string[] = ['EBUSY', 'EUNFINISHED'];

export async function openPatiently<T>(open: () => Promise<T>): Promise<T> {
  for (const endAt = performance.now() + PATIENCE_MS; ; ) {
    try {
      return await open();
    } catch (error) {
      const busy = error instanceof BluetoothUnavailableError && BUSY.includes(error.code);
      if (!busy || performance.now() > endAt) throw error;
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
  }
}
