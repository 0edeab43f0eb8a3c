/**
 * The gateway's side of the HTTPS API: one typed call for each route. Owns routes and their messages; TLS, deadlines and
 * errors are in server-client-transport.ts, trying again in server-client-retry.ts.
 * Must not decide: whether to repeat a call is its caller's business, by the `retryable` of the error.
 * Every call is idempotent at the server, so repeating one is always safe. Source: docs/protocol.md §9.
 */
import { type Bytes, toHex } from '../base/bytes.ts';
import { CpnsError } from '../base/errors.ts';
import type { JoinId, TransactionId } from '../base/ids.ts';
import type { Status } from '../base/statuses.ts';
import { StatusBody } from '../messages/common.ts';
import { ConfirmationBody } from '../messages/confirmation.ts';
import {
  CredentialRequest,
  EnrolmentBegin,
  EnrolmentNonce,
  EnrolmentReceipt,
  EnrolmentRequest,
  GatewayEnrolment,
} from '../messages/enrolment.ts';
import type { Message } from '../messages/message.ts';
import { AuthenticationRelay, PnRegistrationChallenge, TransactionState } from '../messages/registration.ts';
import { FreshnessAnswer, FreshnessRequest } from '../messages/resumption.ts';
import {
  type Answer,
  type CallOptions,
  HttpsTransport,
  type Method,
  type ServerAddress,
  type TlsIdentity,
} from './server-client-transport.ts';

export { type BackoffPolicy, type RetryPolicy, ServerProblem, withRetry } from './server-client-retry.ts';
export type { CallOptions, ServerAddress, TlsIdentity } from './server-client-transport.ts';

/**
 * Calls throw CpnsError: server-unreachable, timeout, shutting-down, not-authenticated, malformed, oversize, or
 * ServerProblem with the server's status. Each takes a signal and a deadline in milliseconds (default 10 s).
 */
export interface ServerClient {
  /** Step 3, an encoded PnRegistrationRequest; the answer is step 4. The same bytes again get the same challenge. */
  registerPn(txn: TransactionId, request: Bytes, options?: CallOptions): Promise<PnRegistrationChallenge>;
  /** Step 7: step 6 as received, at most 256 bytes. */
  respond(txn: TransactionId, response: Bytes, options?: CallOptions): Promise<TransactionState>;
  transaction(txn: TransactionId, options?: CallOptions): Promise<TransactionState>;
  /** Step 9: the signed answer, at most 512 bytes. */
  confirm(joinId: JoinId, answer: Bytes, options?: CallOptions): Promise<Status>;
  /** A freshness statement for the link with this th1 (32 bytes), to be relayed untouched. */
  freshness(th1: Bytes, joinId: JoinId, options?: CallOptions): Promise<Bytes>;
  /** What E1 has to contain: a nonce of 16 bytes, one use. */
  enrolmentNonce(options?: CallOptions): Promise<EnrolmentNonce>;
  /** Both OPENs, E1 and E2; the answer is E3, to be relayed untouched. Its commit makes the PNE ours. */
  enrolPne(nonce: Bytes, request: EnrolmentRequest, options?: CallOptions): Promise<Bytes>;
  /** E4 came, with this status. */
  ackEnrolment(nonce: Bytes, status: Status, options?: CallOptions): Promise<Status>;
  /** A new certificate and credential for the same key; takes a PKCS#10 request in DER. */
  renew(certificationRequest: Bytes, options?: CallOptions): Promise<GatewayEnrolment>;
  /** Later calls use this certificate; those under way are not disturbed. */
  useIdentity(identity: TlsIdentity): void;
  /** Ends kept connections and calls under way. */
  close(): void;
}

/** @throws TypeError when the address is not `https://host[:port]` */
export function openServerClient(address: ServerAddress): ServerClient {
  const transport = new HttpsTransport(address);

  const call = async <T>(
    method: Method,
    path: string,
    body: Bytes | undefined,
    answer: Message<T>,
    options: CallOptions = {},
  ): Promise<T> => answer.decode(bodyOf(await transport.exchange(method, path, body, options)));

  return {
    registerPn: (txn, request, options) =>
      call('PUT', `registrations/${toHex(txn)}`, request, PnRegistrationChallenge, options),
    respond: (txn, response, options) =>
      call(
        'PUT',
        `registrations/${toHex(txn)}/response`,
        AuthenticationRelay.encode({ response }),
        TransactionState,
        options,
      ),
    transaction: (txn, options) =>
      call('GET', `registrations/${toHex(txn)}`, undefined, TransactionState, options),
    async confirm(joinId, answer, options) {
      const body = ConfirmationBody.encode({ answer });
      return (await call('PUT', `confirmations/${toHex(joinId)}`, body, StatusBody, options)).status;
    },
    async freshness(th1, joinId, options) {
      const body = FreshnessRequest.encode({ th1, joinId });
      return (await call('POST', 'freshness', body, FreshnessAnswer, options)).freshness;
    },
    enrolmentNonce: (options) =>
      call('POST', 'enrolments', EnrolmentBegin.encode({}), EnrolmentNonce, options),
    async enrolPne(nonce, request, options) {
      const body = EnrolmentRequest.encode(request);
      return (await call('PUT', `enrolments/${toHex(nonce)}`, body, EnrolmentReceipt, options)).receipt;
    },
    async ackEnrolment(nonce, status, options) {
      const body = StatusBody.encode({ status });
      return (await call('PUT', `enrolments/${toHex(nonce)}/ack`, body, StatusBody, options)).status;
    },
    renew: (certificationRequest, options) =>
      call(
        'POST',
        'credential',
        CredentialRequest.encode({ certificationRequest }),
        GatewayEnrolment,
        options,
      ),
    useIdentity: (identity) => transport.useIdentity(identity),
    close: () => transport.close(),
  };
}

function bodyOf({ body }: Answer): Bytes {
  if (body.length === 0) throw new CpnsError('malformed', 'empty answer');
  return body;
}
