/**
 * Challenges for passkeys: random, of two minutes, good once. They say themselves what they are for and when they were made,
 * under a key of this process, so that nothing is kept of those that nobody answers: whoever asks for thousands takes no
 * memory and pushes nobody's out. Only what was used is remembered, until it is too old anyway.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

export const CHALLENGE_LIFE_MS = 2 * 60_000;
const NONCE_BYTES = 16;
const TIME_BYTES = 6;
const TAG_BYTES = 32;

export class Challenges {
  readonly #key = randomBytes(32);
  /** Challenge → when it was made. */
  readonly #used = new Map<string, number>();

  /** @param purpose what it is good for, and for whom */
  issue(purpose: string, nowMs: number): string {
    const head = Buffer.alloc(NONCE_BYTES + TIME_BYTES);
    randomBytes(NONCE_BYTES).copy(head);
    head.writeUIntBE(Math.floor(nowMs), NONCE_BYTES, TIME_BYTES);
    return Buffer.concat([head, this.#tag(head, purpose)]).toString('base64url');
  }

  isGood(challenge: string, purpose: string, nowMs: number): boolean {
    const all = Buffer.from(challenge, 'base64url');
    if (all.length !== NONCE_BYTES + TIME_BYTES + TAG_BYTES || all.toString('base64url') !== challenge)
      return false;
    const head = all.subarray(0, NONCE_BYTES + TIME_BYTES);
    if (!timingSafeEqual(all.subarray(head.length), this.#tag(head, purpose))) return false;
    const ageMs = nowMs - head.readUIntBE(NONCE_BYTES, TIME_BYTES);
    return ageMs <= CHALLENGE_LIFE_MS && !this.#used.has(challenge);
  }

  /** It was answered well: never again. */
  use(challenge: string, nowMs: number): void {
    for (const [old, usedAtMs] of this.#used)
      if (nowMs - usedAtMs > CHALLENGE_LIFE_MS) this.#used.delete(old);
    this.#used.set(challenge, nowMs);
  }

  #tag(head: Buffer, purpose: string): Buffer {
    return createHmac('sha256', this.#key).update(head).update(purpose).digest();
  }
}
