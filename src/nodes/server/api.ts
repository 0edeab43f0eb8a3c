/**
 * The routes of the HTTPS API and what each one does (docs/protocol.md §9): from a decoded request to an encoded answer.
 * Owns the correspondence only; registrations are the registrar's, enrolments the enrolment's.
 */
import { type Bytes, toHex } from '../../base/bytes.ts';
import { CpnsError } from '../../base/errors.ts';
import { JoinId, TransactionId } from '../../base/ids.ts';
import { STATUSES } from '../../base/statuses.ts';
import type { ServerReply } from '../../establishment/server-types.ts';
import { RefusedError } from '../../https/problem.ts';
import { Buckets } from '../../https/server-limits.ts';
import { type Answer, asking, type Call, type Route, taking } from '../../https/server-routes.ts';
import { StatusBody } from '../../messages/common.ts';
import { ConfirmationBody } from '../../messages/confirmation.ts';
import {
  CredentialRequest,
  EnrolmentBegin,
  EnrolmentNonce,
  EnrolmentReceipt,
  EnrolmentRequest,
  GatewayEnrolRequest,
} from '../../messages/enrolment.ts';
import {
  AuthenticationRelay,
  PnRegistrationChallenge,
  PnRegistrationRequest,
  TransactionState,
} from '../../messages/registration.ts';
import { FreshnessAnswer, FreshnessRequest } from '../../messages/resumption.ts';
import type { GatewayRecord } from '../../store/server-store.ts';
import type { TraceEvent } from '../trace.ts';
import type { Enrolment } from './enrolment.ts';
import type { Registrar } from './registrar.ts';

/** The gateway that calls; undefined where no certificate is asked for. */
export type Caller = GatewayRecord | undefined;

export interface ApiPorts {
  readonly registrar: Registrar;
  readonly enrolment: Enrolment;
  /** @throws CpnsError when the server can't do its work now */
  readonly checkReady: () => void;
  readonly trace: (event: Omit<TraceEvent, 'atMs'>) => void;
}

/** Signatures that a gateway may ask for outside of registrations. */
const FRESHNESS = { burst: 120, perSecond: 10 };
const RENEWALS = { burst: 10, perSecond: 0.1 };
/** Joins with a step 6 that is nobody's: each leaves a signed refusal that is kept for 30 days. */
const FORGERIES = { burst: 60, perSecond: 0.2 };

const answer = (httpStatus: Answer['httpStatus'], body: Bytes): Answer => ({ httpStatus, body });
const OK = StatusBody.encode({ status: 'ok' });

/** Where the table says `gateway` there is one: the front has seen to it. */
function gatewayOf({ caller }: Call<Caller, unknown>): GatewayRecord {
  if (!caller) throw new CpnsError('not-authenticated');
  return caller;
}

function parameter({ parameters }: Call<Caller, unknown>, name: string): Bytes {
  const value = parameters[name];
  if (!value) throw new CpnsError('not-found');
  return value;
}

/** The bytes of a reply, or the refusal that it is. @throws RefusedError */
function encodeReply(reply: ServerReply): Answer {
  switch (reply.kind) {
    case 'challenge': {
      const { challenge, pnId, created } = reply;
      return answer(created ? 201 : 200, PnRegistrationChallenge.encode({ challenge, pnId }));
    }
    case 'state':
      return answer(202, TransactionState.encode(reply.state));
    case 'accepted':
      return answer(200, OK);
    case 'rejected':
      throw new RefusedError(reply.status, reply.retryAfterSeconds);
  }
}

/** Whether step 6 was not that of a PNE the server knows. */
function isForgery(reply: ServerReply): boolean {
  if (reply.kind !== 'state' || reply.state.state !== 'refused') return false;
  const { status } = reply.state;
  return status === 'response-invalid' || status === 'setup-request-invalid' || status === 'unknown-pne';
}

export function serverRoutes({
  registrar,
  enrolment,
  checkReady,
  trace,
}: ApiPorts): readonly Route<Caller>[] {
  const freshness = new Buckets(FRESHNESS);
  const renewals = new Buckets(RENEWALS);
  const forgeries = new Buckets(FORGERIES);
  const hold = (waitSeconds: number) => {
    if (waitSeconds > 0) throw new RefusedError('too-many-requests', waitSeconds);
  };
  const take = (buckets: Buckets, gateway: GatewayRecord) =>
    hold(buckets.take(toHex(gateway.gatewayId), performance.now()));
  const up = (name: string, bytes: Bytes, more: Partial<TraceEvent> = {}) =>
    trace({ name, from: 'gateway', to: 'server', via: 'https', bytes: bytes.length, ...more });
  const down = (name: string, bytes: Bytes, more: Partial<TraceEvent> = {}) =>
    trace({ name, from: 'server', to: 'gateway', via: 'https', bytes: bytes.length, ...more });

  return [
    asking('health', 'anyone', () => answer(200, OK)),
    asking('ready', 'anyone', () => {
      checkReady();
      return answer(200, OK);
    }),

    taking('PUT', 'registrations/{txn}', 'gateway', PnRegistrationRequest, async (call) => {
      hold(forgeries.wait(toHex(gatewayOf(call).gatewayId), performance.now()));
      const txn = TransactionId(parameter(call, 'txn'));
      const joinKey = toHex(txn);
      up('PnRegistrationRequest', call.bytes, { step: 3, joinKey });
      const reply = encodeReply(await registrar.register(gatewayOf(call), txn, call.body, call.bytes));
      down('AuthenticationChallenge', reply.body, { step: 4, joinKey });
      return reply;
    }),
    taking('PUT', 'registrations/{txn}/response', 'gateway', AuthenticationRelay, async (call) => {
      const txn = TransactionId(parameter(call, 'txn'));
      up('AuthenticationResponse', call.bytes, { step: 7, joinKey: toHex(txn) });
      const gateway = gatewayOf(call);
      const reply = await registrar.respond(gateway, txn, call.body.response);
      if (isForgery(reply)) forgeries.take(toHex(gateway.gatewayId), performance.now());
      return encodeReply(reply);
    }),
    asking('registrations/{txn}', 'gateway', (call) => {
      const { state } = registrar.state(gatewayOf(call), TransactionId(parameter(call, 'txn')));
      return answer(200, TransactionState.encode(state));
    }),
    taking('PUT', 'confirmations/{joinId}', 'gateway', ConfirmationBody, async (call) => {
      const gateway = gatewayOf(call);
      const joinId = JoinId(parameter(call, 'joinId'));
      const joinKey = registrar.txnOfJoin(joinId, gateway);
      up('PneConfirmResponse', call.bytes, {
        ...{ step: 9, from: 'home-gateway' },
        ...(joinKey !== undefined && { joinKey }),
      });
      return encodeReply(await registrar.confirm(gateway, joinId, call.body.answer));
    }),
    taking('POST', 'freshness', 'gateway', FreshnessRequest, (call) => {
      const gateway = gatewayOf(call);
      take(freshness, gateway);
      const statement = registrar.freshness(gateway, call.body.th1, call.body.joinId);
      return answer(200, FreshnessAnswer.encode({ freshness: statement }));
    }),

    taking('POST', 'enrolments', 'gateway', EnrolmentBegin, (call) =>
      answer(201, EnrolmentNonce.encode(enrolment.begin(gatewayOf(call)))),
    ),
    taking('PUT', 'enrolments/{nonce}', 'gateway', EnrolmentRequest, (call) => {
      up('EnrolmentRequest', call.bytes, { from: 'home-gateway' });
      const receipt = enrolment.claim(gatewayOf(call), parameter(call, 'nonce'), call.body, call.bytes);
      const reply = EnrolmentReceipt.encode({ receipt });
      down('EnrolmentReceipt', reply, { to: 'home-gateway' });
      return answer(200, reply);
    }),
    taking('PUT', 'enrolments/{nonce}/ack', 'gateway', StatusBody, (call) => {
      enrolment.acknowledge(gatewayOf(call), parameter(call, 'nonce'), call.body.status);
      return answer(200, OK);
    }),
    taking('POST', 'gateways', 'anyone', GatewayEnrolRequest, (call) => {
      const reply = enrolment.enrolGateway(call.body);
      up('GatewayEnrolRequest', call.bytes);
      down('GatewayEnrolment', reply);
      return answer(201, reply);
    }),
    taking('POST', 'credential', 'gateway', CredentialRequest, (call) => {
      const gateway = gatewayOf(call);
      take(renewals, gateway);
      return answer(200, enrolment.renew(gateway, call.body.certificationRequest));
    }),
    // The upgrade itself is the front's; without one there is nothing here.
    asking('channel', 'gateway', () => {
      throw new CpnsError('unexpected-message', STATUSES['unexpected-message'].sentence);
    }),
  ];
}
