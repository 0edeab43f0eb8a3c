/**
 * Record protection: one AEAD per message, keys per direction and epoch, counters per lane on top.
 * Owns keys, ivs, counters and their erasure. Must not know segments, lanes at work, or what a type means.
 * Source: docs/protocol.md §3.3; keys from §5.3.
 */
import type { Bytes } from '../base/bytes.ts';
import { CpnsError } from '../base/errors.ts';
import type { RecordKeys } from '../security/key-schedule.ts';
import type { Primitives } from '../security/primitives.ts';
import type { Epoch, Lane } from './segment.ts';

export const TAG_BYTES = 16;
/** Type byte and tag: what a record is longer than its body. */
export const RECORD_OVERHEAD_BYTES = 1 + TAG_BYTES;
/** Records one key may protect, both lanes together. */
export const MAX_RECORDS = 2 ** 23;

type Aead = Pick<Primitives, 'aeadSeal' | 'aeadOpen'>;

/** One direction in one epoch. */
class ProtectionKey {
  readonly #aead: Aead;
  readonly #key: Bytes;
  readonly #iv: Bytes;
  readonly #nonce: Bytes;
  /** Next counter of each lane; far below 2^32, so the upper half of the 8 bytes stays zero. */
  readonly #counters: [number, number] = [0, 0];
  readonly #limit: number;

  constructor(aead: Aead, { key, iv }: RecordKeys, limit: number) {
    this.#aead = aead;
    this.#key = key;
    this.#iv = iv;
    this.#nonce = iv.slice();
    this.#limit = limit;
  }

  get used(): number {
    return this.#counters[0] + this.#counters[1];
  }

  seal(lane: Lane, plaintext: Bytes): Bytes {
    return this.#aead.aeadSeal(this.#key, this.#next(lane), plaintext);
  }

  open(lane: Lane, record: Bytes): Bytes {
    const plaintext = this.#aead.aeadOpen(this.#key, this.#next(lane), record);
    if (!plaintext) throw new CpnsError('record-failed');
    return plaintext;
  }

  erase(): void {
    this.#key.fill(0);
    this.#iv.fill(0);
    this.#nonce.fill(0);
  }

  /** The nonce of the lane's next record; valid until the next call. */
  #next(lane: Lane): Bytes {
    if (this.used >= this.#limit) throw new CpnsError('keys-exhausted');
    const counter = this.#counters[lane]++;
    const nonce = this.#nonce;
    const iv = this.#iv;
    nonce[0] = (iv[0] ?? 0) ^ lane;
    nonce[8] = (iv[8] ?? 0) ^ (counter >>> 24);
    nonce[9] = (iv[9] ?? 0) ^ ((counter >>> 16) & 0xff);
    nonce[10] = (iv[10] ?? 0) ^ ((counter >>> 8) & 0xff);
    nonce[11] = (iv[11] ?? 0) ^ (counter & 0xff);
    return nonce;
  }
}

/** Keys of one epoch as this side uses them; they become the records' own, to be erased. */
export interface EpochKeys {
  readonly send: RecordKeys;
  readonly receive: RecordKeys;
}

export class Records {
  readonly #aead: Aead;
  readonly #limit: number;
  readonly #receive: [ProtectionKey | undefined, ProtectionKey | undefined] = [undefined, undefined];
  #send: ProtectionKey | undefined;
  #sendEpoch: Epoch = 0;

  /** @param limit records per key, at most 2^23 */
  constructor(aead: Aead, limit: number = MAX_RECORDS) {
    this.#aead = aead;
    this.#limit = limit;
  }

  /** Sends with these keys from now on, and can open with them as well as with those there were. */
  install(epoch: Epoch, { send, receive }: EpochKeys): void {
    this.#send?.erase();
    this.#send = new ProtectionKey(this.#aead, send, this.#limit);
    this.#sendEpoch = epoch;
    this.#receive[epoch] = new ProtectionKey(this.#aead, receive, this.#limit);
  }

  get sendEpoch(): Epoch {
    return this.#sendEpoch;
  }

  /** Records that the keys in use still allow, in the direction that has used more; 0 before there are keys. */
  get left(): number {
    if (!this.#send) return 0;
    const received = Math.max(this.#receive[0]?.used ?? 0, this.#receive[1]?.used ?? 0);
    return this.#limit - Math.max(this.#send.used, received);
  }

  /**
   * Protects one message under the sending epoch.
   * @param type 0 to 255
   * @param bodyBytes length to fill the body up to with zeros; the body's own when shorter
   * @throws CpnsError keys-exhausted
   */
  seal(type: number, body: Bytes, lane: Lane, bodyBytes: number = body.length): Bytes {
    if (!this.#send) throw new TypeError('no keys to send with');
    const plaintext = new Uint8Array(1 + Math.max(bodyBytes, body.length));
    plaintext[0] = type;
    plaintext.set(body, 1);
    return this.#send.seal(lane, plaintext);
  }

  canOpen(epoch: Epoch): boolean {
    return this.#receive[epoch] !== undefined;
  }

  /**
   * Opens the lane's next record of an epoch. The first one of epoch 1 ends epoch 0.
   * @returns type byte and body
   * @throws CpnsError record-failed, keys-exhausted
   */
  open(epoch: Epoch, lane: Lane, record: Bytes): Bytes {
    const key = this.#receive[epoch];
    if (!key) throw new CpnsError('record-failed', 'no keys of this epoch');
    const plaintext = key.open(lane, record);
    if (epoch === 1 && this.#receive[0]) {
      this.#receive[0].erase();
      this.#receive[0] = undefined;
    }
    return plaintext;
  }

  /** Erases every key; nothing can be sealed or opened after. */
  erase(): void {
    this.#send?.erase();
    for (const key of this.#receive) key?.erase();
    this.#send = undefined;
    this.#receive.fill(undefined);
  }
}
