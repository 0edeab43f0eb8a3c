/**
 * Enrolment: of a PNE with its home gateway (E1–E4 and the HTTPS legs), and of a gateway with the server.
 * Owns the fields. The code and the token are no CBOR and live elsewhere. Source: docs/protocol.md §7, §9.
 */
import {
  CoseKey,
  capability,
  epoch,
  gatewayId,
  homeAddress,
  LIMITS,
  nonce,
  realm,
  serverKeys,
  serverSeconds,
  thumbprint,
} from './common.ts';
import { GatewayCredentialPayload, ServerKeysPayload } from './credential.ts';
import { Open } from './link.ts';
import { embedded, message, signed } from './message.ts';
import { bytes, type TypeOf, text, tuple } from './schema.ts';
import { field, map, optional } from './schema-map.ts';
import { status } from './schema-status.ts';

const userLabel = () => text({ kind: 'label', maxBytes: LIMITS.userLabel });
const credential = () => signed(GatewayCredentialPayload, { max: LIMITS.credential });

export const EnrolOfferPayload = message(
  'EnrolOfferPayload',
  {
    doc: 'type 20, E1: the home gateway shows itself and what to pin',
    section: '7.2',
    step: 'E1',
    signing: { context: 'cpns1/enrol-offer', signer: 'GW1', over: 'th1', kid: false },
  },
  map({
    gatewayKey: field(1, CoseKey),
    rootKey: field(2, CoseKey),
    serverKeys: field(3, serverKeys()),
    homeAddress: field(4, homeAddress()),
    userLabel: field(5, userLabel()),
    nonce: field(6, nonce(), 'from the server'),
    credential: field(7, credential()),
  }),
);
export type EnrolOfferPayload = TypeOf<typeof EnrolOfferPayload>;

export const EnrolClaimPayload = message(
  'EnrolClaimPayload',
  {
    doc: 'type 21, E2: the PNE takes the offer',
    section: '7.2',
    step: 'E2',
    signing: { context: 'cpns1/enrol-claim', signer: 'PNE', over: 'SHA-256(cbor([th1, E1]))', kid: false },
  },
  map({
    key: field(1, CoseKey, "the PNE's identity key"),
    pneId: optional(2, text({ kind: 'label', maxBytes: LIMITS.pneId })),
    capability: optional(3, capability()),
    epoch: field(4, epoch(), 'grows with each enrolment of the same key'),
  }),
);
export type EnrolClaimPayload = TypeOf<typeof EnrolClaimPayload>;

export const EnrolComparison = message(
  'EnrolComparison',
  { doc: 'type 24: the gateway has E2 and asks its user to compare digits', section: '7.2' },
  map({ salt: field(1, bytes({ length: 16 }), "the gateway's, kept to itself until it has E2") }),
);
export type EnrolComparison = TypeOf<typeof EnrolComparison>;

export const EnrolReceiptPayload = message(
  'EnrolReceiptPayload',
  {
    doc: 'type 22, E3: the server has committed the ownership',
    section: '7.2',
    step: 'E3',
    signing: {
      context: 'cpns1/enrol-receipt',
      signer: 'server',
      over: 'SHA-256(cbor([th1, E1, E2]))',
      kid: true,
    },
  },
  map({
    thumbprint: field(1, thumbprint(), "of the PNE's key"),
    gatewayId: field(2, gatewayId(), 'the home gateway'),
    userLabel: field(3, userLabel()),
    epoch: field(4, epoch()),
    serverTime: field(5, serverSeconds()),
  }),
);
export type EnrolReceiptPayload = TypeOf<typeof EnrolReceiptPayload>;

export const EnrolAck = message(
  'EnrolAck',
  { doc: 'type 23, E4: the PNE has committed', section: '7.2', step: 'E4' },
  map({ status: field(1, status({ lenient: true })) }),
);
export type EnrolAck = TypeOf<typeof EnrolAck>;

export const EnrolmentBegin = message('EnrolmentBegin', { doc: 'POST enrolments', section: '9' }, map({}));
export type EnrolmentBegin = TypeOf<typeof EnrolmentBegin>;

export const EnrolmentNonce = message(
  'EnrolmentNonce',
  { doc: 'the answer to POST enrolments', section: '9' },
  map({ nonce: field(1, nonce()), serverTime: field(2, serverSeconds()) }),
);
export type EnrolmentNonce = TypeOf<typeof EnrolmentNonce>;

export const EnrolmentRequest = message(
  'EnrolmentRequest',
  { doc: 'PUT enrolments/{nonce}', section: '9' },
  map({
    openG: field(1, embedded(Open, { max: LIMITS.open })),
    openP: field(2, embedded(Open, { max: LIMITS.open })),
    offer: field(3, signed(EnrolOfferPayload, { max: LIMITS.enrolMessage }), 'E1'),
    claim: field(4, signed(EnrolClaimPayload, { max: LIMITS.enrolMessage }), 'E2'),
  }),
);
export type EnrolmentRequest = TypeOf<typeof EnrolmentRequest>;

export const EnrolmentReceipt = message(
  'EnrolmentReceipt',
  { doc: 'the answer to PUT enrolments/{nonce}', section: '9' },
  map({ receipt: field(1, signed(EnrolReceiptPayload, { max: LIMITS.enrolMessage }), 'E3') }),
);
export type EnrolmentReceipt = TypeOf<typeof EnrolmentReceipt>;

const certificate = () => bytes({ min: 1, max: LIMITS.certificate });

export const GatewayEnrolRequest = message(
  'GatewayEnrolRequest',
  { doc: 'POST gateways', section: '9' },
  map({
    tokenId: field(1, bytes({ length: 8 })),
    tokenSecret: field(2, bytes({ length: 16 })),
    certificationRequest: field(3, certificate(), 'PKCS#10, DER'),
  }),
);
export type GatewayEnrolRequest = TypeOf<typeof GatewayEnrolRequest>;

export const CredentialRequest = message(
  'CredentialRequest',
  { doc: 'POST credential', section: '9' },
  map({ certificationRequest: field(1, certificate(), 'PKCS#10, DER') }),
);
export type CredentialRequest = TypeOf<typeof CredentialRequest>;

export const GatewayEnrolment = message(
  'GatewayEnrolment',
  { doc: 'the answer to POST gateways and POST credential', section: '9' },
  map({
    certificates: field(1, tuple({ gateway: certificate(), ca: certificate() }), 'DER'),
    credential: field(2, credential()),
    rootKey: field(3, CoseKey),
    serverKeys: field(4, serverKeys()),
    homeAddress: field(5, homeAddress()),
    userLabel: field(6, userLabel()),
    gatewayLabel: field(7, text({ kind: 'label', maxBytes: LIMITS.gatewayLabel })),
    gatewayId: field(8, gatewayId()),
    serverTime: field(9, serverSeconds()),
    realm: field(10, realm()),
    serverKeysStatement: optional(11, signed(ServerKeysPayload, { max: 512 }), 'for PNEs, type 33'),
  }),
);
export type GatewayEnrolment = TypeOf<typeof GatewayEnrolment>;
