/**
 * What a caller can ask of a central, and the connection parameters that follow from it. Owns ranges and defaults; opens
 * nothing.
 */
import type { ConnectionParameters } from './guards/noble.ts';
import type { TransportOptions } from './hci/transport.ts';

export interface CentralOptions extends TransportOptions {
  /** Range of the connection interval asked for, 7.5 to 4,000 ms. Default 7.5 to 15: throughput before battery. */
  readonly connectionIntervalMs?: { readonly least: number; readonly most: number } | undefined;
  /** Supervision timeout, 2,000 to 32,000 ms. Default 2,000; a Pi lost 3 % of its links at noble's 420 (N13). */
  readonly supervisionTimeoutMs?: number | undefined;
  /** The scan is restarted when nothing at all was heard for this long. Default 10,000 ms. */
  readonly scanSilenceMs?: number | undefined;
  /** The controller vanished; every link has been closed and every later call fails. */
  readonly onGone?: ((error: Error | undefined) => void) | undefined;
}

/** @throws RangeError on an option out of range */
export function connectionParameters(options: CentralOptions): ConnectionParameters {
  const { least, most } = options.connectionIntervalMs ?? { least: 7.5, most: 15 };
  if (!(least >= 7.5 && most >= least && most <= 4000))
    throw new RangeError('connectionIntervalMs is 7.5 to 4,000');
  const timeoutMs = options.supervisionTimeoutMs ?? 2000;
  if (!(timeoutMs >= 2000 && timeoutMs <= 32_000))
    throw new RangeError('supervisionTimeoutMs is 2,000 to 32,000');
  return {
    minInterval: Math.round(least / 1.25),
    maxInterval: Math.round(most / 1.25),
    latency: 0,
    timeout: Math.round(timeoutMs / 10), // GUARD(N13)
  };
}
