/**
 * What the server checks of steps 3, 7 and 9, cheap first and in the order of docs/protocol.md §13 (protocol-core §4,
 * "Order of checks"). Pure. At step 3 only what the gateway itself answers for: a word about the PNE there would tell any
 * gateway whom the server knows.
 *
 * CHOICE: the back-off after a user's refusal is tested at step 3 too, before a PNE signs in vain: it is between this
 * gateway and this PNE, and the gateway was told of that refusal.
 */
import { type Bytes, equal } from '../base/bytes.ts';
import { CpnsError } from '../base/errors.ts';
import { TRANSACTION_ID_BYTES, TransactionId } from '../base/ids.ts';
import { STATUSES } from '../base/statuses.ts';
import { checkCarriedOpens } from '../link/carried-opens.ts';
import { PneConfirmResponsePayload } from '../messages/confirmation.ts';
import { GatewayCredentialPayload } from '../messages/credential.ts';
import { parseHomeAddress } from '../messages/home-address.ts';
import { LINK_KINDS } from '../messages/link.ts';
import type { PnRegistrationRequest } from '../messages/registration.ts';
import type { Failure } from '../messages/schema-status.ts';
import { AuthenticationResponsePayload, PnSetupRequestPayload, PnSetupResponse } from '../messages/setup.ts';
import { parseSign1 } from '../security/cose.ts';
import { publicKeyOf, thumbprintOf } from '../security/cose-key.ts';
import { verifyCredential } from '../security/credential.ts';
import { transcript1, transcript2 } from '../security/key-schedule.ts';
import type { Primitives } from '../security/primitives.ts';
import { openSigned } from '../security/signed-message.ts';
import {
  type AuthenticationResponseInput,
  type ConfirmAnswerInput,
  type PneFacts,
  type RegistrationRequestInput,
  type RegistrationRow,
  type ServerSession,
  secondsLeftOfDay,
} from './server-types.ts';

/** A quota of those that begin anew some time, or of those that don't. */
export class QuotaError extends CpnsError {
  readonly retryAfterSeconds: number | undefined;

  constructor(retryAfterSeconds: number | undefined) {
    super('quota-exceeded');
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

export type Joining = Extract<PnSetupResponse, { readonly status: 'ok' }>;

/** What the exact bytes of steps 0–2 say. */
export interface Exchange {
  readonly setup: PnSetupRequestPayload;
  readonly joining: Joining;
  readonly th1: Bytes;
  readonly th2: Bytes;
}

/** Reads what was exchanged, verifying nothing. @throws CpnsError malformed, transcript-mismatch, version-mismatch, suite-mismatch */
export function readExchange(
  primitives: Primitives,
  request: Pick<PnRegistrationRequest, 'openG' | 'openP' | 'm1' | 'm2'>,
): Exchange {
  const { openG, openP, m1, m2 } = request;
  checkCarriedOpens(openG, openP, 'establish');
  const setup = PnSetupRequestPayload.decode(parseSign1(m1).payload);
  const joining = PnSetupResponse.decode(m2);
  if (joining.status !== 'ok') throw new CpnsError('malformed', 'step 2 declines');
  const th1 = transcript1(primitives, LINK_KINDS.establish, openG, openP);
  const th2 = transcript2(primitives, th1, m1, m2);
  return { setup, joining, th1, th2 };
}

/** Step 3. @throws CpnsError with the reason of the no */
export function checkRegistration(session: ServerSession, input: RegistrationRequestInput): Exchange {
  const { primitives, limits } = session;
  const { request, gateway, pn, now } = input;
  const exchange = readExchange(primitives, request);
  const { setup, th2 } = exchange;
  const claimed = GatewayCredentialPayload.decode(parseSign1(setup.credential).payload);
  const confirmationKey = publicKeyOf(primitives, claimed.confirmation.key);
  if (!equal(thumbprintOf(primitives, confirmationKey), gateway.thumbprint))
    throw new CpnsError('credential-invalid', 'the credential is not of the TLS key');
  verifyCredential(primitives, session.serverKeys, setup.credential, { now });
  if (!equal(transactionIdOf(th2), input.txn)) throw new CpnsError('transcript-mismatch', 'txn');
  if (input.openCount >= limits.openPerGateway) throw new CpnsError('quota-exceeded');
  checkGrowth(session, input);
  if (input.backoffUntil > now) throw new CpnsError('backing-off');
  if (pn && !equal(pn.gatewayId, gateway.gatewayId)) throw new CpnsError('pn-id-collision');
  if (request.gatewayInfo.capability.length === 0) throw new CpnsError('no-capability-given');
  return exchange;
}

/** What the server would have to keep of one more join. @throws QuotaError */
function checkGrowth({ limits }: ServerSession, { kept, pn, now }: RegistrationRequestInput): void {
  if (
    kept.transactionsToday >= limits.transactionsPerGatewayPerDay ||
    kept.refusalsToday >= limits.refusalsPerGatewayPerDay
  )
    throw new QuotaError(secondsLeftOfDay(now));
  if (!pn && kept.networks >= limits.networksPerGateway) throw new QuotaError(undefined);
}

export function transactionIdOf(th2: Bytes): TransactionId {
  return TransactionId(th2.slice(0, TRANSACTION_ID_BYTES));
}

/** Step 7, after its time was checked. @throws CpnsError with the reason of the refusal */
export function checkResponse(
  session: ServerSession,
  row: RegistrationRow,
  exchange: Exchange,
  m1: Bytes,
  input: AuthenticationResponseInput,
): PneFacts {
  const { primitives } = session;
  const { pne, gateway, pn } = input;
  // Nothing of an unknown key can be verified: what names it is its thumbprint.
  if (!pne) throw new CpnsError('unknown-pne');
  openSigned(
    primitives,
    AuthenticationResponsePayload,
    () => [pne.key],
    row.th3,
    input.response,
    'response-invalid',
  );
  openSigned(
    primitives,
    PnSetupRequestPayload,
    () => [gateway.key],
    exchange.th1,
    m1,
    'setup-request-invalid',
  );
  checkStanding(pne, gateway.standing);
  const { gatewayId, realm } = parseHomeAddress(exchange.joining.homeAddress);
  if (!equal(gatewayId, pne.home.gatewayId) || realm !== session.realm)
    throw new CpnsError('home-address-mismatch');
  if (pn && !equal(pn.gatewayId, row.gatewayId)) throw new CpnsError('pn-id-collision');
  if (input.backoffUntil > input.now) throw new CpnsError('backing-off');
  return pne;
}

function checkStanding(pne: PneFacts, gatewayStanding: PneFacts['standing']): void {
  for (const standing of [pne.standing, pne.home.standing, gatewayStanding])
    if (standing !== 'ok') throw new CpnsError(standing);
}

/**
 * Step 9. The signature is checked before anything else is said: nobody but the home gateway gets so far.
 * @throws CpnsError answer-invalid, malformed
 */
export function checkAnswer(
  { primitives }: ServerSession,
  row: RegistrationRow,
  { answer, caller }: ConfirmAnswerInput,
): PneConfirmResponsePayload {
  const { value } = openSigned(
    primitives,
    PneConfirmResponsePayload,
    () => [caller.key],
    row.th3,
    answer,
    'answer-invalid',
  );
  return value;
}

/** Why a join that user A agreed to can't be registered any more. @throws CpnsError */
export function checkStillAllowed(row: RegistrationRow, input: ConfirmAnswerInput): PneFacts {
  const { pne, gateway, pn } = input;
  if (!pne) throw new CpnsError('unknown-pne');
  checkStanding(pne, gateway.standing);
  // It was given to another home since.
  if (!row.homeGatewayId || !equal(pne.home.gatewayId, row.homeGatewayId)) throw new CpnsError('not-owned');
  if (pn && !equal(pn.gatewayId, row.gatewayId)) throw new CpnsError('pn-id-collision');
  return pne;
}

/**
 * The status of a refusal by the home gateway. Its reason is taken over where it is one that such a gateway may have:
 * the server signs it, so it must not be made to say of itself what it never decided.
 */
export function refusalReason({ yours, chargeable, reason }: PneConfirmResponsePayload): Failure {
  if (reason !== 'ok') {
    const { class: kind } = STATUSES[reason];
    if (kind === 'authentication' || GIVEN_REASONS.has(reason)) return reason;
  }
  if (!yours) return 'not-owned';
  return chargeable ? 'user-refused' : 'not-chargeable';
}

const GIVEN_REASONS: ReadonlySet<Failure> = new Set<Failure>([
  'not-owned',
  'not-chargeable',
  'user-refused',
  'revoked-pne',
  'home-address-mismatch',
]);
