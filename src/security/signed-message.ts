/**
 * Signed messages: a declaration from src/messages says its context and what it is signed over; here that declaration is
 * joined with COSE_Sign1, so that no other file spells a context (docs/protocol.md §4.2). Pure.
 */
import type { Bytes } from '../base/bytes.ts';
import { CpnsError } from '../base/errors.ts';
import type { Status } from '../base/statuses.ts';
import type { Message } from '../messages/message.ts';
import { parseSign1, sigStructure, verifySign1 } from './cose.ts';
import type { Primitives, PublicKey } from './primitives.ts';

function contextOf(message: Message<unknown>): string {
  if (!message.info.signing) throw new TypeError(`${message.name} is not a signed message`);
  return message.info.signing.context;
}

/** The bytes an identity key signs for a payload of this declaration; th is empty where no session exists. */
export function toBeSigned<T>(message: Message<T>, th: Bytes, payload: Bytes): Bytes {
  return sigStructure(contextOf(message), th, payload);
}

/** A signed message that verified: the payload's exact bytes, which transcripts hash, and what they say. */
export interface Opened<T> {
  readonly payload: Bytes;
  readonly value: T;
}

/**
 * Verifies a COSE_Sign1 by any of the keys and decodes its payload.
 * @param keysFor the keys to try, given the kid that the message hints at
 * @throws CpnsError `malformed`, or `status` when no key verifies it
 */
export function openSigned<T>(
  primitives: Primitives,
  message: Message<T>,
  keysFor: (kid: Bytes | undefined) => readonly PublicKey[],
  th: Bytes,
  sign1: Bytes,
  status: Status,
): Opened<T> {
  const parsed = parseSign1(sign1);
  // A server's signature without its hint would cost one verification per pinned key.
  if ((parsed.kid !== undefined) !== (message.info.signing?.kid === true)) {
    throw new CpnsError('malformed', `${message.name}: kid`);
  }
  const value = message.decode(parsed.payload);
  for (const key of keysFor(parsed.kid)) {
    if (verifySign1(primitives, key, contextOf(message), th, parsed))
      return { payload: parsed.payload, value };
  }
  throw new CpnsError(status, message.name);
}
