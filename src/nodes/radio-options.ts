/**
 * From a configuration's [bluetooth] and what a command line says over it to what opens an adapter, the same way for every
 * node.
 */
import type { BothOptions } from '../bluetooth/open-both.ts';
import { type BluetoothConfig, DEFAULT_WAIT_MINUTES } from '../config/parts.ts';

interface Over {
  readonly adapter?: string | undefined;
  readonly capture?: string | undefined;
}

export function radioOf(
  bluetooth: BluetoothConfig,
  over: Over,
  onGone: (() => void) | undefined,
): [moniker: string, options: BothOptions & { readonly waitMs: number }] {
  const { randomAddress, profile, backEnd, waitMinutes = DEFAULT_WAIT_MINUTES } = bluetooth;
  const capture = over.capture ?? bluetooth.capture;
  const waitMs = waitMinutes * 60_000;
  return [over.adapter ?? bluetooth.adapter, { capture, randomAddress, profile, backEnd, waitMs, onGone }];
}
