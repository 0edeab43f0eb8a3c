/**
 * Steps 0–15 of one establishment, byte for byte: OPENs, transcript, key schedule, every message with its record, the
 * HTTPS bodies, inventory and outcome (docs/protocol.md §5, §6, §9).
 */
import { type Bytes, concat, EMPTY, utf8 } from '../../src/base/bytes.ts';
import { JoinId, PnId, TransactionId } from '../../src/base/ids.ts';
import { ChannelAck, ChannelFrame, PnRegistrationResponse } from '../../src/messages/channel.ts';
import {
  ConfirmationBody,
  PneConfirmRequest,
  PneConfirmResponsePayload,
} from '../../src/messages/confirmation.ts';
import { InventoryPayload, OutcomePayload } from '../../src/messages/inventory.ts';
import { Open } from '../../src/messages/link.ts';
import {
  AuthenticationRelay,
  PnRegistrationChallenge,
  PnRegistrationRequest,
  TransactionState,
} from '../../src/messages/registration.ts';
import {
  Abort,
  Ack,
  AuthenticationChallengePayload,
  AuthenticationResponsePayload,
  PnInventoryUpdate,
  PnSetupNotify,
  PnSetupRequestPayload,
  PnSetupResponse,
  padPnSetupResponse,
  Waiting,
} from '../../src/messages/setup.ts';
import { type MessageName, messageType } from '../../src/messages/types.ts';
import { hkdfExpand } from '../../src/security/hkdf.ts';
import {
  advertisingTag,
  deriveAdvertisingKey,
  derivePrk1,
  derivePrk2,
  deriveRms,
  epochKeys,
  type RecordKeys,
  transcript1,
  transcript2,
  transcript3,
} from '../../src/security/key-schedule.ts';
import { fixedBytes, fixedEphemeral } from './fixed-keys.ts';
import {
  credential2,
  gw1,
  gw2,
  gw2Id,
  homeAddress,
  pne,
  pneThumbprint,
  SERVER_TIME,
  server,
} from './parties.ts';
import { primitives, signVector } from './signing.ts';

export const pnId = PnId(fixedBytes('pn', 8));
export const capability = fixedBytes('capability', 32);
const PN_NAME = 'Kitchen PN';

/** Nonce of docs/protocol.md §3.3. */
export function recordNonce(iv: Bytes, lane: number, counter: number): Bytes {
  const mask = new Uint8Array(12);
  mask[0] = lane;
  new DataView(mask.buffer).setUint32(8, counter);
  return iv.map((byte, i) => byte ^ (mask[i] ?? 0));
}

export function record(name: MessageName, body: Bytes, keys: RecordKeys, counter: number, lane = 0) {
  const plaintext = concat(Uint8Array.of(messageType(name)), body);
  const nonce = recordNonce(keys.iv, lane, counter);
  return { plaintext, nonce, lane, counter, record: primitives.aeadSeal(keys.key, nonce, plaintext) };
}

const gatewayEphemeral = fixedEphemeral('gateway ephemeral');
const pneEphemeral = fixedEphemeral('pne ephemeral');

const common = { versions: [1], suites: [1], segmentBytes: 244, credits: 32 };
const openP = Open.encode({ ...common, role: 'pne', ephemeral: pneEphemeral.x });
const openG = Open.encode({ ...common, role: 'gateway', ephemeral: gatewayEphemeral.x, kind: 'establish' });
const th1 = transcript1(primitives, 1, openG, openP);
const z = gatewayEphemeral.agree(pneEphemeral.x);
const prk1 = derivePrk1(primitives, th1, z);
const hs = epochKeys(primitives, prk1, 'hs');

const step1 = signVector(PnSetupRequestPayload, gw2, th1, {
  pnId,
  setupType: 'new',
  name: PN_NAME,
  credential: credential2.sign1,
});
const m1 = step1.sign1;
const m2 = PnSetupResponse.encode({
  status: 'ok',
  capability,
  contents: [{ name: 'Holidays', mediaType: 'image/jpeg' }],
  pneId: 'Watch',
  homeAddress,
  thumbprint: pneThumbprint,
});
const decline = PnSetupResponse.encode({ status: 'declined' });
const th2 = transcript2(primitives, th1, m1, m2);
const txn = TransactionId(th2.slice(0, 16));

const step4 = signVector(AuthenticationChallengePayload, server, th2, {
  nonce: fixedBytes('challenge nonce', 16),
  serverTime: SERVER_TIME,
});
const th3 = transcript3(primitives, th2, step4.payload);
export const joinId = JoinId(th3.slice(0, 16));
const prk2 = derivePrk2(primitives, th3, prk1);
const ap = epochKeys(primitives, prk2, 'ap');
export const rms = deriveRms(primitives, prk2);
const step6 = signVector(AuthenticationResponsePayload, pne, th3, { status: 'ok' });

const answer = signVector(PneConfirmResponsePayload, gw1, th3, {
  yours: true,
  chargeable: true,
  reason: 'ok',
  subscription: 'sub-1',
  limit: 500,
  decidedAt: SERVER_TIME + 2,
});
const refusal = signVector(PneConfirmResponsePayload, gw1, th3, {
  yours: true,
  chargeable: false,
  reason: 'user-refused',
  decidedAt: SERVER_TIME + 2,
});
const inventory = signVector(InventoryPayload, server, EMPTY, {
  pnId,
  version: 1,
  issuedAt: SERVER_TIME + 3,
  gatewayId: gw2Id,
  name: PN_NAME,
  members: [
    {
      handle: 1,
      joinId,
      capability,
      contents: [{ name: 'Holidays', mediaType: 'image/jpeg' }],
      label: 'Watch',
    },
  ],
});
const outcome = signVector(OutcomePayload, server, th3, {
  status: 'user-refused',
  serverTime: SERVER_TIME + 3,
});

const registered = PnSetupNotify.encode({ status: 'ok', inventory: inventory.sign1 });
const refused = PnSetupNotify.encode({ status: 'user-refused', outcome: outcome.sign1 });
const update = PnInventoryUpdate.encode({ status: 'ok', inventory: inventory.sign1 });
const ack = Ack.encode({ status: 'ok' });
const registration = PnRegistrationRequest.encode({
  openG,
  openP,
  m1,
  m2,
  gatewayInfo: { capability: fixedBytes('gateway capability', 32), subscription: 'sub-2' },
});
const confirmRequest = {
  th3,
  evidence: { openG, openP, m1, m2, challenge: step4.sign1, response: step6.sign1 },
  deadline: SERVER_TIME + 600,
  terms: { currency: 'EUR', limit: 500, periodDays: 30 },
};

export function establishmentVectors() {
  const advertisingKey = deriveAdvertisingKey(primitives, rms);
  const salt = fixedBytes('salt', 3);
  return {
    about:
      'One establishment. Message bodies are without the type byte; records are what §3.3 puts into segments.',
    ephemerals: {
      gateway: { privateKey: gatewayEphemeral.privateKey, x: gatewayEphemeral.x },
      pne: { privateKey: pneEphemeral.privateKey, x: pneEphemeral.x },
    },
    step0: { openP, openG, th1, z },
    epoch0: { prk1, ...hs },
    step1: { ...step1, ...record('PnSetupRequest', m1, hs.g2p, 0) },
    step2: {
      body: m2,
      padded: padPnSetupResponse(m2),
      ...record('PnSetupResponse', padPnSetupResponse(m2), hs.p2g, 0),
    },
    step2Declined: { body: decline, ...record('PnSetupResponse', padPnSetupResponse(decline), hs.p2g, 0) },
    th2,
    txn,
    step3: { path: 'registrations/{txn}', body: registration },
    step4: { ...step4, body: PnRegistrationChallenge.encode({ challenge: step4.sign1, pnId }) },
    step5: record('AuthenticationChallenge', step4.sign1, hs.g2p, 1),
    th3,
    joinId,
    step6: { ...step6, ...record('AuthenticationResponse', step6.sign1, hs.p2g, 1) },
    epoch1: { prk2, ...ap },
    resumption: {
      rms,
      kRid: hkdfExpand(primitives, rms, utf8('cpns1 rid'), 32),
      kAdv: advertisingKey,
      salt,
      tag: advertisingTag(primitives, advertisingKey, salt),
    },
    step7: { body: AuthenticationRelay.encode({ response: step6.sign1 }) },
    step7State: { body: TransactionState.encode({ state: 'verified', status: 'ok' }) },
    step8: {
      body: PneConfirmRequest.encode(confirmRequest),
      frame: ChannelFrame.encode({ kind: 'pne-confirm-request', deliveryId: 7, body: confirmRequest }),
      ack: ChannelAck.encode({ deliveryId: 7 }),
    },
    step9: { ...answer, body: ConfirmationBody.encode({ answer: answer.sign1 }) },
    step9Refused: { ...refusal, body: ConfirmationBody.encode({ answer: refusal.sign1 }) },
    inventory,
    outcome,
    step11: { body: PnRegistrationResponse.encode({ txn, status: 'ok', inventory: inventory.sign1 }) },
    step11Refused: {
      body: PnRegistrationResponse.encode({ txn, status: 'user-refused', outcome: outcome.sign1 }),
    },
    step13: { body: registered, ...record('PnSetupNotify', registered, ap.g2p, 0) },
    step13Refused: { body: refused, ...record('PnSetupNotify', refused, ap.g2p, 0) },
    step14: { body: ack, ...record('Ack', ack, ap.p2g, 0) },
    step15: { body: update, ...record('PnInventoryUpdate', update, ap.g2p, 1) },
    waiting: { body: Waiting.encode({ status: 'awaiting-user' }) },
    abort: { body: Abort.encode({ status: 'timeout' }) },
    data: record('Data', utf8('hello'), ap.p2g, 0, 1),
  };
}
