/**
 * A gateway's way to the operator's new keys: what the server signed with a key that is not known is not judged before the
 * gateway has asked for the present set (docs/protocol.md §9, "renews"). Must not verify: that is for who takes the bytes.
 */
import { type Bytes, toHex } from '../../base/bytes.ts';
import { CpnsError } from '../../base/errors.ts';
import type { Clock, MonotonicMs } from '../../base/time.ts';
import type { ChannelFrame } from '../../messages/channel.ts';
import { statedKid } from '../../security/cose.ts';
import { keysFor, type ServerKeys } from '../../security/server-keys.ts';

/**
 * Settles when the keys of these server-signed messages are known, or the server has said that it has no such keys.
 * @throws CpnsError server-unreachable while it can't be asked: what was signed is to be judged later
 */
export type LearnKeys = (signed: readonly (Bytes | undefined)[]) => Promise<void>;

/** A server that signs with a key it does not state must not be asked for ever. */
const AGAIN_MS = 60_000;
/** Nor because of what anybody in radio range says. */
const PROVOKED_AGAIN_MS = 3_600_000;
/** Keys remembered that the server does not state. */
const MAX_DENIED = 64;

export interface ServerKeyLearnerOptions {
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly serverKeys: () => ServerKeys;
  /** Renews certificate, credential and keys; rejects when the server can't be reached. */
  readonly renew: () => Promise<void>;
}

export class ServerKeyLearner {
  readonly #options: ServerKeyLearnerOptions;
  /** kids that the server did not state when it was asked because of them: retired keys, whose words may still come. */
  readonly #denied = new Set<string>();
  #asked: Promise<void> | undefined;
  #askedAt: MonotonicMs = Number.NEGATIVE_INFINITY;
  /** When the last question was put that was answered. */
  #answeredAt: MonotonicMs | undefined;

  constructor(options: ServerKeyLearnerOptions) {
    this.#options = options;
  }

  readonly learn: LearnKeys = async (signed) => {
    if (this.#unknown(signed).length === 0) return;
    const nowMs = this.#options.clock.monotonicMs();
    await this.ask();
    const unknown = this.#unknown(signed);
    if (unknown.length === 0) return;
    if (this.#answeredAt === undefined || this.#answeredAt < nowMs)
      throw new CpnsError('server-unreachable', 'the present server keys are not known');
    if (this.#denied.size >= MAX_DENIED) this.#denied.clear();
    for (const kid of unknown) this.#denied.add(kid);
  };

  /** Asks the server, once for all who want to know at the same time. Never rejects. */
  ask(): Promise<void> {
    return this.#ask(AGAIN_MS);
  }

  /** A peer, whom nobody vouches for, does not believe what this gateway has of the server. */
  doubted(): void {
    void this.#ask(PROVOKED_AGAIN_MS);
  }

  #ask(againMs: number): Promise<void> {
    const nowMs = this.#options.clock.monotonicMs();
    const waitMs = this.#answeredAt === this.#askedAt ? againMs : AGAIN_MS;
    if (this.#asked === undefined || nowMs - this.#askedAt >= waitMs) {
      this.#askedAt = nowMs;
      this.#asked = this.#options.renew().then(
        () => {
          this.#answeredAt = nowMs;
        },
        () => {},
      );
    }
    return this.#asked;
  }

  /** kids that are worth a question. */
  #unknown(signed: readonly (Bytes | undefined)[]): readonly string[] {
    const known = keysFor(this.#options.serverKeys());
    return signed.flatMap((sign1) => {
      const kid = sign1 && statedKid(sign1);
      return kid && known(kid).length === 0 && !this.#denied.has(toHex(kid)) ? [toHex(kid)] : [];
    });
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
