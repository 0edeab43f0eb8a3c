/**
 * Every message of the protocol in the order of the documentation, for what goes over all of them: the CDDL, the tables
 * in docs/protocol.md and the tests. Owns the order only.
 */
import {
  ChannelAck,
  ChannelFrame,
  InventoryUpdate,
  JoinOutcome,
  PnRegistrationResponse,
  TransactionWaiting,
} from './channel.ts';
import { StatusBody } from './common.ts';
import { ConfirmationBody, PneConfirmRequest, PneConfirmResponsePayload } from './confirmation.ts';
import { GatewayCredentialPayload, ServerKeysPayload } from './credential.ts';
import {
  CredentialRequest,
  EnrolAck,
  EnrolClaimPayload,
  EnrolComparison,
  EnrolmentBegin,
  EnrolmentNonce,
  EnrolmentReceipt,
  EnrolmentRequest,
  EnrolOfferPayload,
  EnrolReceiptPayload,
  GatewayEnrolment,
  GatewayEnrolRequest,
} from './enrolment.ts';
import { InventoryPayload, OutcomePayload } from './inventory.ts';
import { Open, Reject } from './link.ts';
import type { Message } from './message.ts';
import { ProblemDetails } from './problem.ts';
import {
  AuthenticationRelay,
  PnRegistrationChallenge,
  PnRegistrationRequest,
  TransactionState,
} from './registration.ts';
import { FreshnessAnswer, FreshnessPayload, FreshnessRequest, Resume, Resumed } from './resumption.ts';
import {
  Abort,
  Ack,
  AuthenticationChallengePayload,
  AuthenticationResponsePayload,
  PnInventoryUpdate,
  PnSetupNotify,
  PnSetupRequestPayload,
  PnSetupResponse,
  Waiting,
} from './setup.ts';

export interface Chapter {
  readonly title: string;
  readonly messages: readonly Message<unknown>[];
}

export const CATALOGUE: readonly Chapter[] = [
  { title: 'Keys', messages: [GatewayCredentialPayload, ServerKeysPayload] },
  { title: 'Opening a link', messages: [Open, Reject] },
  {
    title: 'Establishment over Bluetooth',
    messages: [
      PnSetupRequestPayload,
      PnSetupResponse,
      AuthenticationChallengePayload,
      AuthenticationResponsePayload,
      InventoryPayload,
      OutcomePayload,
      PnSetupNotify,
      Ack,
      PnInventoryUpdate,
      Abort,
      Waiting,
    ],
  },
  {
    title: 'Enrolment',
    messages: [EnrolOfferPayload, EnrolClaimPayload, EnrolComparison, EnrolReceiptPayload, EnrolAck],
  },
  { title: 'Resumption', messages: [Resume, Resumed, FreshnessPayload] },
  {
    title: 'HTTPS API',
    messages: [
      PnRegistrationRequest,
      PnRegistrationChallenge,
      AuthenticationRelay,
      TransactionState,
      PneConfirmResponsePayload,
      ConfirmationBody,
      FreshnessRequest,
      FreshnessAnswer,
      EnrolmentBegin,
      EnrolmentNonce,
      EnrolmentRequest,
      EnrolmentReceipt,
      GatewayEnrolRequest,
      CredentialRequest,
      GatewayEnrolment,
      StatusBody,
      ProblemDetails,
    ],
  },
  {
    title: 'Channel',
    messages: [
      ChannelFrame,
      ChannelAck,
      PneConfirmRequest,
      PnRegistrationResponse,
      JoinOutcome,
      InventoryUpdate,
      TransactionWaiting,
    ],
  },
];
