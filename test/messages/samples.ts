/**
 * For every declaration a minimal and a maximal value. Maximal ones reach the size that the declaration derives, which
 * the test compares, so a field that is forgotten here is noticed.
 */
import { GatewayId, JoinId, PnId, Thumbprint, TransactionId } from '../../src/base/ids.ts';
import * as channel from '../../src/messages/channel.ts';
import { StatusBody } from '../../src/messages/common.ts';
import * as confirmation from '../../src/messages/confirmation.ts';
import * as credential from '../../src/messages/credential.ts';
import * as enrolment from '../../src/messages/enrolment.ts';
import * as inventory from '../../src/messages/inventory.ts';
import * as link from '../../src/messages/link.ts';
import type { Message } from '../../src/messages/message.ts';
import { ProblemDetails } from '../../src/messages/problem.ts';
import * as registration from '../../src/messages/registration.ts';
import * as resumption from '../../src/messages/resumption.ts';
import * as setup from '../../src/messages/setup.ts';

export interface Sample<T = unknown> {
  readonly message: Message<T>;
  readonly minimal: T;
  readonly maximal: T;
}

const sample = <T>(message: Message<T>, minimal: T, maximal: T): Sample => ({
  message: message as Message<unknown>,
  minimal,
  maximal,
});

export const b = (length: number, fill = 7) => new Uint8Array(length).fill(fill);
const t = (length: number) => 'x'.repeat(length);
const many = <T>(count: number, one: T): T[] => Array.from({ length: count }, () => one);

const MAX = 0xffffffff;
const pnId = PnId(b(8));
const gatewayId = GatewayId(b(8));
const joinId = JoinId(b(16));
const txn = TransactionId(b(16));
const thumbprint = Thumbprint(b(32));
const key = { x: b(32), y: true };
const contents = many(16, { name: t(32), mediaType: t(24) });
const address = (realm: string) => `0123456789abcdef@${realm}`;

const evidence = (least: boolean): confirmation.Evidence => ({
  openG: b(least ? 1 : 128),
  openP: b(least ? 1 : 128),
  m1: b(least ? 1 : 1024),
  m2: b(least ? 1 : 2048),
  challenge: b(least ? 1 : 256),
  response: b(least ? 1 : 256),
});

const confirmRequest = (least: boolean): confirmation.PneConfirmRequest => ({
  th3: b(32),
  evidence: evidence(least),
  deadline: least ? 0 : MAX,
  terms: least
    ? { currency: 'EUR', limit: 0, periodDays: 1 }
    : { currency: 'EUR', limit: MAX, periodDays: 0xffff },
});

export const SAMPLES: readonly Sample[] = [
  sample(
    credential.GatewayCredentialPayload,
    {
      expiresAt: 0,
      gatewayId,
      confirmation: { key },
      labels: { role: 'gateway', user: 'u', gateway: 'g' },
    },
    {
      expiresAt: MAX,
      gatewayId,
      confirmation: { key: { x: b(32), y: false } },
      labels: { role: 'gateway', user: t(24), gateway: t(24) },
    },
  ),
  sample(credential.ServerKeysPayload, { keys: [key], issuedAt: 0 }, { keys: many(4, key), issuedAt: MAX }),
  sample(
    link.Open,
    { versions: [1], suites: [1], role: 'pne', segmentBytes: 20, credits: 1, ephemeral: b(32) },
    {
      versions: [255, 254, 253, 252],
      suites: [255, 254, 253, 252],
      role: 'gateway',
      segmentBytes: 244,
      credits: 255,
      ephemeral: b(32),
      kind: 'resume',
      rid: b(8),
    },
  ),
  sample(link.Reject, { status: 'declined' }, { status: 'timeout' }),
  sample(
    setup.PnSetupRequestPayload,
    { pnId, setupType: 'new', name: 'n', credential: b(1) },
    { pnId, setupType: 'join', name: t(32), credential: b(400) },
  ),
  sample(
    setup.PnSetupResponse,
    { status: 'declined' },
    {
      status: 'ok',
      capability: b(512),
      contents,
      pneId: t(32),
      homeAddress: t(64),
      thumbprint,
    },
  ),
  sample(
    setup.AuthenticationChallengePayload,
    { nonce: b(16), serverTime: 0 },
    { nonce: b(16), serverTime: MAX },
  ),
  sample(setup.AuthenticationResponsePayload, { status: 'ok' }, { status: 'ok' }),
  sample(
    inventory.InventoryPayload,
    {
      pnId,
      version: 1,
      issuedAt: 0,
      gatewayId,
      name: 'n',
      members: [{ handle: 1, joinId, capability: b(0) }],
    },
    {
      pnId,
      version: MAX,
      issuedAt: MAX,
      gatewayId,
      name: t(32),
      members: [
        { handle: 0xfff0, joinId, capability: b(512), contents, label: t(32) },
        { handle: 0xfff1, joinId, capability: b(512), contents, label: t(32) },
        { handle: 0xfff2, joinId, capability: b(512), contents, label: t(32) },
        { handle: 0xfff3, joinId, capability: b(512), contents, label: t(32) },
        { handle: 0xfff4, joinId, capability: b(512), label: t(32) },
      ],
    },
  ),
  sample(inventory.OutcomePayload, { status: 'ok', serverTime: 0 }, { status: 'timeout', serverTime: MAX }),
  sample(setup.PnSetupNotify, { status: 'declined', outcome: b(1) }, { status: 'ok', inventory: b(7168) }),
  sample(setup.Ack, { status: 'ok' }, { status: 'timeout' }),
  sample(setup.PnInventoryUpdate, { status: 'ok', inventory: b(1) }, { status: 'ok', inventory: b(7168) }),
  sample(setup.Abort, { status: 'declined' }, { status: 'timeout' }),
  sample(setup.Waiting, { status: 'awaiting-home-gateway' }, { status: 'awaiting-user' }),
  sample(
    enrolment.EnrolOfferPayload,
    {
      gatewayKey: key,
      rootKey: key,
      serverKeys: [key],
      homeAddress: address('a'),
      userLabel: 'u',
      nonce: b(16),
      credential: b(1),
    },
    {
      gatewayKey: key,
      rootKey: key,
      serverKeys: many(4, key),
      homeAddress: address(t(47)),
      userLabel: t(24),
      nonce: b(16),
      credential: b(400),
    },
  ),
  sample(
    enrolment.EnrolClaimPayload,
    { key, epoch: 1 },
    { key, pneId: t(32), capability: b(512), epoch: MAX },
  ),
  sample(
    enrolment.EnrolReceiptPayload,
    { thumbprint, gatewayId, userLabel: 'u', epoch: 1, serverTime: 0 },
    { thumbprint, gatewayId, userLabel: t(24), epoch: MAX, serverTime: MAX },
  ),
  sample(enrolment.EnrolComparison, { salt: b(16) }, { salt: b(16) }),
  sample(enrolment.EnrolAck, { status: 'ok' }, { status: 'timeout' }),
  sample(resumption.Resume, { pnId, version: 0 }, { pnId, version: MAX, serverKeysIssuedAt: MAX }),
  sample(
    resumption.Resumed,
    { status: 'ok', version: 0 },
    { status: 'timeout', version: MAX, serverKeysIssuedAt: MAX },
  ),
  sample(
    resumption.FreshnessPayload,
    { status: 'ok', version: 0, serverTime: 0, joinId },
    { status: 'timeout', version: MAX, serverTime: MAX, joinId },
  ),
  sample(
    registration.PnRegistrationRequest,
    {
      openG: b(1),
      openP: b(1),
      m1: b(1),
      m2: b(1),
      gatewayInfo: { capability: b(0), subscription: 's' },
    },
    {
      openG: b(128),
      openP: b(128),
      m1: b(1024),
      m2: b(2048),
      gatewayInfo: { capability: b(512), subscription: t(64) },
    },
  ),
  sample(registration.PnRegistrationChallenge, { challenge: b(1), pnId }, { challenge: b(256), pnId }),
  sample(registration.AuthenticationRelay, { response: b(1) }, { response: b(256) }),
  sample(
    registration.TransactionState,
    { state: 'challenged', status: 'ok' },
    { state: 'refused', status: 'timeout', inventory: b(7168), outcome: b(256) },
  ),
  sample(
    confirmation.PneConfirmResponsePayload,
    { yours: false, chargeable: false, reason: 'declined', decidedAt: 0 },
    {
      yours: true,
      chargeable: true,
      reason: 'ok',
      subscription: t(64),
      limit: MAX,
      decidedAt: MAX,
    },
  ),
  sample(confirmation.ConfirmationBody, { answer: b(1) }, { answer: b(512) }),
  sample(resumption.FreshnessRequest, { th1: b(32), joinId }, { th1: b(32), joinId }),
  sample(resumption.FreshnessAnswer, { freshness: b(1) }, { freshness: b(256) }),
  sample(enrolment.EnrolmentBegin, {}, {}),
  sample(enrolment.EnrolmentNonce, { nonce: b(16), serverTime: 0 }, { nonce: b(16), serverTime: MAX }),
  sample(
    enrolment.EnrolmentRequest,
    { openG: b(1), openP: b(1), offer: b(1), claim: b(1) },
    { openG: b(128), openP: b(128), offer: b(2048), claim: b(2048) },
  ),
  sample(enrolment.EnrolmentReceipt, { receipt: b(1) }, { receipt: b(2048) }),
  sample(
    enrolment.GatewayEnrolRequest,
    { tokenId: b(8), tokenSecret: b(16), certificationRequest: b(1) },
    { tokenId: b(8), tokenSecret: b(16), certificationRequest: b(2048) },
  ),
  sample(enrolment.CredentialRequest, { certificationRequest: b(1) }, { certificationRequest: b(2048) }),
  sample(
    enrolment.GatewayEnrolment,
    {
      certificates: { gateway: b(1), ca: b(1) },
      credential: b(1),
      rootKey: key,
      serverKeys: [key],
      homeAddress: address('a'),
      userLabel: 'u',
      gatewayLabel: 'g',
      gatewayId,
      serverTime: 0,
      realm: 'a',
    },
    {
      certificates: { gateway: b(2048), ca: b(2048) },
      credential: b(400),
      rootKey: key,
      serverKeys: many(4, key),
      homeAddress: address(t(47)),
      userLabel: t(24),
      gatewayLabel: t(24),
      gatewayId,
      serverTime: MAX,
      realm: t(47),
      serverKeysStatement: b(512),
    },
  ),
  sample(StatusBody, { status: 'ok' }, { status: 'timeout' }),
  sample(
    ProblemDetails,
    { title: '', detail: '', responseCode: 400, status: { code: 'declined', name: '' } },
    {
      title: t(128),
      detail: t(256),
      responseCode: 599,
      status: { code: 'timeout', name: t(32), retryAfterSeconds: 86_400 },
    },
  ),
  sample(
    channel.ChannelFrame,
    { kind: 'transaction-waiting', body: { txn, status: 'awaiting-user' } },
    {
      deliveryId: Number.MAX_SAFE_INTEGER,
      kind: 'pn-registration-response',
      body: { txn, status: 'ok', inventory: b(7168) },
    },
  ),
  sample(channel.ChannelAck, { deliveryId: 1 }, { deliveryId: Number.MAX_SAFE_INTEGER }),
  sample(confirmation.PneConfirmRequest, confirmRequest(true), confirmRequest(false)),
  sample(
    channel.PnRegistrationResponse,
    { txn, status: 'declined', outcome: b(1) },
    { txn, status: 'ok', inventory: b(7168) },
  ),
  sample(channel.JoinOutcome, { joinId, outcome: b(1) }, { joinId, outcome: b(256) }),
  sample(channel.InventoryUpdate, { pnId, inventory: b(1) }, { pnId, inventory: b(7168) }),
  sample(
    channel.TransactionWaiting,
    { txn, status: 'awaiting-home-gateway' },
    { txn, status: 'awaiting-user' },
  ),
];
