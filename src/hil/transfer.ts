/**
 * The opaque data that goes over an established link to measure it: blocks of application data (docs/protocol.md, Data)
 * with one byte in front that says what they are. The PNE answers what it got with its digest, and sends the same back
 * when asked, so that every time is of one clock and every byte is compared. Pure.
 */
import { type Bytes, concat } from '../base/bytes.ts';

export const TRANSFER_BYTES = 64 * 1024;
const BLOCK_BYTES = 16 * 1024;

const BLOCK = 1;
const LAST_BLOCK = 2;
const RECEIVED = 3;
const SEND_BACK = 4;

/** What is sent of some content, in order. */
export function blocksOf(content: Bytes): Bytes[] {
  const blocks: Bytes[] = [];
  for (let at = 0; at < content.length; at += BLOCK_BYTES) {
    const last = at + BLOCK_BYTES >= content.length;
    blocks.push(tagged(last ? LAST_BLOCK : BLOCK, content.subarray(at, at + BLOCK_BYTES)));
  }
  return blocks;
}

export const askBack = (): Bytes => Uint8Array.of(SEND_BACK);

const tagged = (kind: number, body: Bytes): Bytes => concat(Uint8Array.of(kind), body);

/** Gathers what one side receives. */
export class Gatherer {
  #parts: Bytes[] = [];
  #length = 0;

  /** @returns the whole content with its last block */
  push(message: Bytes): Bytes | undefined {
    const kind = message[0];
    if (kind !== BLOCK && kind !== LAST_BLOCK) return undefined;
    this.#parts.push(message.slice(1));
    this.#length += message.length - 1;
    // More than was ever sent is of no use to anybody.
    if (kind === BLOCK && this.#length <= TRANSFER_BYTES) return undefined;
    const whole = concat(...this.#parts);
    this.#parts = [];
    this.#length = 0;
    return whole;
  }
}

/** The PNE's side. */
export class Echo {
  readonly #gatherer = new Gatherer();
  readonly #sha256: (bytes: Bytes) => Bytes;
  #content: Bytes | undefined;

  constructor(sha256: (bytes: Bytes) => Bytes) {
    this.#sha256 = sha256;
  }

  /** @returns what to send for a message */
  take(message: Bytes): Bytes[] {
    if (message[0] === SEND_BACK) return this.#content === undefined ? [] : blocksOf(this.#content);
    const whole = this.#gatherer.push(message);
    if (whole === undefined) return [];
    this.#content = whole;
    return [tagged(RECEIVED, this.#sha256(whole))];
  }
}

/** The digest in the PNE's answer; undefined for any other message. */
export function digestIn(message: Bytes): Bytes | undefined {
  return message[0] === RECEIVED && message.length === 33 ? message.subarray(1) : undefined;
}
