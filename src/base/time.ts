/**
 * Time as the protocol sees it. Owns the units and the clock port; the only real clocks are made in src/nodes.
 * Machines never read a clock: an instant is an argument (docs/protocol.md §10).
 */

/** Milliseconds of a monotonic clock whose zero means nothing. */
export type MonotonicMs = number;
/** Whole seconds since 1970-01-01T00:00:00Z, as the server states them. Fits 32 bits. */
export type ServerSeconds = number;

export interface Clock {
  /** Never goes back; keeps no relation to the time of day. */
  monotonicMs(): MonotonicMs;
  /** The host's idea of the date; only the server and the gateways may decide anything by it. */
  wallSeconds(): ServerSeconds;
  /** The same in milliseconds, for logs and traces. */
  wallMs(): number;
}

export type RandomBytes = (length: number) => Uint8Array;
