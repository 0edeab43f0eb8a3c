/**
 * What the server says to one session under its signature, and how a PNE or a gateway checks it: the challenge over th2,
 * the outcome over th3, the freshness statement over th1 (docs/protocol.md §6.4, §6.5, §8). Pure.
 */
import type { Bytes } from '../base/bytes.ts';
import { OutcomePayload } from '../messages/inventory.ts';
import { FreshnessPayload } from '../messages/resumption.ts';
import { AuthenticationChallengePayload } from '../messages/setup.ts';
import type { Primitives } from '../security/primitives.ts';
import { keysFor, type ServerKeys } from '../security/server-keys.ts';
import { type Opened, openSigned } from '../security/signed-message.ts';

/** Step 5 for a session whose transcript is th2. @throws CpnsError `challenge-invalid`, `malformed` */
export function verifyChallenge(
  primitives: Primitives,
  keys: ServerKeys,
  th2: Bytes,
  sign1: Bytes,
): Opened<AuthenticationChallengePayload> {
  const trusted = keysFor(keys);
  return openSigned(primitives, AuthenticationChallengePayload, trusted, th2, sign1, 'challenge-invalid');
}

/** The signed outcome of the join whose transcript is th3. @throws CpnsError `outcome-invalid`, `malformed` */
export function verifyOutcome(
  primitives: Primitives,
  keys: ServerKeys,
  th3: Bytes,
  sign1: Bytes,
): OutcomePayload {
  return openSigned(primitives, OutcomePayload, keysFor(keys), th3, sign1, 'outcome-invalid').value;
}

/** A statement for the resumed link whose transcript is th1. @throws CpnsError `outcome-invalid`, `malformed` */
export function verifyFreshness(
  primitives: Primitives,
  keys: ServerKeys,
  th1: Bytes,
  sign1: Bytes,
): FreshnessPayload {
  return openSigned(primitives, FreshnessPayload, keysFor(keys), th1, sign1, 'outcome-invalid').value;
}
