/**
 * How often somebody may ask: token buckets by name, in bounded memory.
 * Owns counting only. Must not know what is being asked. Time is an argument.
 */

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
