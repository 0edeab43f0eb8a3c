/**
 * A gateway's way to the operator's new keys: what the server signed with a key that is not known is not judged before the
 * gateway has asked for the present set (docs/protocol.md §9, "renews"). Must not verify: that is for who takes the bytes.
 */
import type { Bytes } from '../base/bytes.ts';
import type { Clock, MonotonicMs } from '../base/time.ts';
import type { ChannelFrame } from '../messages/channel.ts';
import { parseSign1 } from '../security/cose.ts';
import { keysFor, type ServerKeys } from '../security/server-keys.ts';

/** Settles when the keys of these server-signed messages are known, or can't be learnt now. Never rejects. */
export type LearnKeys = (signed: readonly (Bytes | undefined)[]) => Promise<void>;

/** A server that signs with a key it does not state must not be asked for ever. */
const AGAIN_MS = 60_000;

export interface ServerKeyLearnerOptions {
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly serverKeys: () => ServerKeys;
  /** Renews certificate, credential and keys; rejects when the server can't be reached. */
  readonly renew: () => Promise<void>;
}

export class ServerKeyLearner {
  readonly #options: ServerKeyLearnerOptions;
  #asked: Promise<void> | undefined;
  #askedAt: MonotonicMs = Number.NEGATIVE_INFINITY;

  constructor(options: ServerKeyLearnerOptions) {
    this.#options = options;
  }

  readonly learn: LearnKeys = async (signed) => {
    const known = keysFor(this.#options.serverKeys());
    if (signed.every((sign1) => isKnown(sign1, known))) return;
    await this.ask();
  };

  /** Asks the server, once for all who want to know at the same time. Never rejects. */
  ask(): Promise<void> {
    const nowMs = this.#options.clock.monotonicMs();
    if (this.#asked === undefined || nowMs - this.#askedAt >= AGAIN_MS) {
      this.#askedAt = nowMs;
      this.#asked = this.#options.renew().catch(() => {});
    }
    return this.#asked;
  }
}

function isKnown(sign1: Bytes | undefined, known: ReturnType<typeof keysFor>): boolean {
  if (!sign1) return true;
  try {
    const { kid } = parseSign1(sign1);
    return kid === undefined || known(kid).length > 0;
  } catch {
    // What does not parse no key will verify.
    return true;
  }
}

/** What the server signed in a frame of the channel. */
export function signedIn(frame: ChannelFrame): readonly (Bytes | undefined)[] {
  switch (frame.kind) {
    case 'pne-confirm-request':
      return [frame.body.evidence.challenge];
    case 'pn-registration-response':
      return ['inventory' in frame.body ? frame.body.inventory : frame.body.outcome];
    case 'join-outcome':
      return [frame.body.outcome];
    case 'inventory-update':
      return [frame.body.inventory];
    case 'transaction-waiting':
      return [];
  }
}
