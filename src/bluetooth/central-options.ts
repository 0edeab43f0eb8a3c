/**
 * What a caller can ask of a central, and the connection parameters that follow from it and from the adapter's profile.
 * Owns ranges; opens nothing.
 */
import type { RadioSettings } from '../profiles/settings.ts';
import type { ConnectionParameters } from './guards/noble.ts';
import type { TransportOptions } from './hci/transport.ts';

export interface CentralOptions extends TransportOptions {
  /** Range of the connection interval asked for, 7.5 to 4,000 ms. Default: what the adapter's profile says. */
  readonly connectionIntervalMs?: { readonly least: number; readonly most: number } | undefined;
  /** Supervision timeout, 2,000 to 32,000 ms. Default: what the adapter's profile says. */
  readonly supervisionTimeoutMs?: number | undefined;
  /** The scan is restarted when nothing at all was heard for this long. Default: what the adapter's profile says. */
  readonly scanSilenceMs?: number | undefined;
  /** The controller vanished; every link has been closed and every later call fails. */
  readonly onGone?: ((error: Error | undefined) => void) | undefined;
}

/** @throws RangeError on an option out of range */
export function connectionParameters(
  options: CentralOptions,
  settings: Pick<RadioSettings, 'intervalMs' | 'supervisionTimeoutMs'>,
): ConnectionParameters {
  const { least, most } = options.connectionIntervalMs ?? settings.intervalMs;
  if (!(least >= 7.5 && most >= least && most <= 4000))
    throw new RangeError('connectionIntervalMs is 7.5 to 4,000');
  const timeoutMs = options.supervisionTimeoutMs ?? settings.supervisionTimeoutMs;
  if (!(timeoutMs >= 2000 && timeoutMs <= 32_000))
    throw new RangeError('supervisionTimeoutMs is 2,000 to 32,000');
  return {
    minInterval: Math.round(least / 1.25),
    maxInterval: Math.round(most / 1.25),
    latency: 0,
    timeout: Math.round(timeoutMs / 10), // GUARD(N13)
  };
}
