/**
 * How often somebody may ask and how much may be held at once: token buckets and counts by name, in bounded memory.
 * Owns counting, and the limits of the transport with their defaults. Must not know what is being asked. Time is an
 * argument. Source: docs/protocol.md §10.
 */

/** What one peer, and all of them together, may occupy. */
export interface TransportLimits {
  /** Connections in all. */
  readonly connections: number;
  /** Connections of one address: an IPv4 address, or a /64 of IPv6. */
  readonly connectionsPerAddress: number;
  /** New connections of one address in the long run; at once as many as it may hold. */
  readonly handshakesPerAddressPerSecond: number;
  /** Connections with the certificates of one key; one more is answered `quota-exceeded`. */
  readonly connectionsPerGateway: number;
  /** Requests of one gateway in the long run; at once twenty seconds' worth. */
  readonly requestsPerGatewayPerSecond: number;
}

/**
 * CHOICE: an eighth of all connections for one address, so that it takes eight hosts to fill the server, and a hundred
 * gateways fit behind one NAT. Ten handshakes a second cost about a hundredth of a core. A gateway of ours holds up to
 * eight connections and a channel, twice that while it renews its certificate: 32 leave room. A join costs it three
 * requests, so that fifty a second are sixteen joins a second for ever, and a thousand requests at once.
 */
export const DEFAULT_TRANSPORT_LIMITS: TransportLimits = {
  connections: 2_048,
  connectionsPerAddress: 256,
  handshakesPerAddressPerSecond: 10,
  connectionsPerGateway: 32,
  requestsPerGatewayPerSecond: 50,
};

/** What can be exhausted, as the metrics name it. */
export type LimitName =
  | 'connections'
  | 'connections-per-address'
  | 'handshakes-per-address'
  | 'requests-per-address'
  | 'tokens-per-address'
  | 'connections-per-gateway'
  | 'requests-per-gateway'
  | 'dials-per-gateway'
  | 'noise-per-gateway';

export interface BucketPolicy {
  /** Requests that may come at once, at least 1. */
  readonly burst: number;
  /** Requests a second in the long run, greater than 0. */
  readonly perSecond: number;
}

interface Bucket {
  tokens: number;
  atMs: number;
}

/** Names remembered; the longest unused one leaves, which only ever forgives. */
const MAX_NAMES = 4_096;

export class Buckets {
  readonly #policy: BucketPolicy;
  readonly #buckets = new Map<string, Bucket>();

  constructor(policy: BucketPolicy) {
    this.#policy = policy;
  }

  /** Takes one token. @returns 0, or the seconds to wait when there was none */
  take(name: string, nowMs: number): number {
    const { perSecond } = this.#policy;
    const tokens = this.#tokens(name, nowMs);
    this.#buckets.delete(name);
    this.#buckets.set(name, { tokens: tokens >= 1 ? tokens - 1 : tokens, atMs: nowMs });
    const [oldest] = this.#buckets.keys();
    if (this.#buckets.size > MAX_NAMES && oldest !== undefined) this.#buckets.delete(oldest);
    return tokens >= 1 ? 0 : Math.ceil((1 - tokens) / perSecond);
  }

  /** What {@link take} would say, taking nothing. */
  wait(name: string, nowMs: number): number {
    const tokens = this.#tokens(name, nowMs);
    return tokens >= 1 ? 0 : Math.ceil((1 - tokens) / this.#policy.perSecond);
  }

  #tokens(name: string, nowMs: number): number {
    const { burst, perSecond } = this.#policy;
    const known = this.#buckets.get(name);
    const gained = known ? ((nowMs - known.atMs) / 1_000) * perSecond : burst;
    return Math.min(burst, (known?.tokens ?? 0) + gained);
  }
}

/** How many of something each name holds now. A name that holds nothing is forgotten. */
export class Counts {
  readonly #counts = new Map<string, number>();

  of(name: string): number {
    return this.#counts.get(name) ?? 0;
  }

  add(name: string): void {
    this.#counts.set(name, this.of(name) + 1);
  }

  remove(name: string): void {
    const left = this.of(name) - 1;
    if (left > 0) this.#counts.set(name, left);
    else this.#counts.delete(name);
  }
}

/** What stands for one remote host: an IPv4 address, or the /64 that a host on IPv6 has to itself. */
export function addressName(address: string | undefined): string {
  if (!address) return '';
  const mapped = /^::ffff:([\d.]+)$/i.exec(address)?.[1];
  if (mapped) return mapped;
  if (!address.includes(':')) return address;
  const [head = '', tail] = address.split('::');
  const left = head.split(':');
  const right = tail === undefined ? [] : tail.split(':');
  const zeros =
    tail === undefined ? [] : Array<string>(Math.max(0, 8 - left.length - right.length)).fill('0');
  return [...left, ...zeros, ...right].slice(0, 4).join(':');
}
