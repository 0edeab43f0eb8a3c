/**
 * Parts that several messages share: identifiers, times, keys, addresses and what a PNE says about itself.
 * Owns their bounds. Must not hold a message of the flow. Source: docs/protocol.md §4.
 */
import {
  GATEWAY_ID_BYTES,
  GatewayId,
  JOIN_ID_BYTES,
  JoinId,
  PN_ID_BYTES,
  PnId,
  THUMBPRINT_BYTES,
  Thumbprint,
  TRANSACTION_ID_BYTES,
  TransactionId,
} from '../base/ids.ts';
import { message } from './message.ts';
import { arrayOf, bool, bytes, type TypeOf, text, uint } from './schema.ts';
import { constant, define, field, map } from './schema-map.ts';
import { status } from './schema-status.ts';

export const UINT32_MAX = 0xffffffff;

/** Limits of docs/protocol.md that more than one message repeats, in bytes. */
export const LIMITS = {
  open: 128,
  setupRequest: 1024,
  setupResponse: 2048,
  challenge: 256,
  response: 256,
  credential: 400,
  inventory: 7168,
  outcome: 256,
  capability: 512,
  homeAddress: 64,
  realm: 47,
  pnName: 32,
  pneId: 32,
  userLabel: 24,
  gatewayLabel: 24,
  subscription: 64,
  certificate: 2048,
  enrolMessage: 2048,
} as const;

export const pnId = () => bytes({ length: PN_ID_BYTES, brand: PnId });
export const gatewayId = () => bytes({ length: GATEWAY_ID_BYTES, brand: GatewayId });
export const joinId = () => bytes({ length: JOIN_ID_BYTES, brand: JoinId });
export const transactionId = () => bytes({ length: TRANSACTION_ID_BYTES, brand: TransactionId });
export const thumbprint = () => bytes({ length: THUMBPRINT_BYTES, brand: Thumbprint });
export const hash = () => bytes({ length: 32 });
export const nonce = () => bytes({ length: 16 });
export const capability = () => bytes({ max: LIMITS.capability });
/** Whole seconds since 1970, the server's. */
export const serverSeconds = () => uint({ max: UINT32_MAX });
/** Version of an inventory; 0 stands for none. */
export const inventoryVersion = (min: 0 | 1) => uint({ min, max: UINT32_MAX });
/** How often a key was enrolled, from 1. */
export const epoch = () => uint({ min: 1, max: UINT32_MAX });

const REALM = '[a-z0-9]([a-z0-9.-]*[a-z0-9])?';
export const realm = () => text({ kind: 'free', maxBytes: LIMITS.realm, pattern: REALM });
export const homeAddress = () =>
  text({ kind: 'free', maxBytes: LIMITS.homeAddress, pattern: `[0-9a-f]{16}@${REALM}` });

/** A P-256 public key as it travels: x and the sign bit of y (docs/protocol.md §4.2). */
export const CoseKey = define(
  'CoseKey',
  'P-256 public key, compressed (RFC 9053 §7.1.1); §4.2',
  map({
    kty: constant(1, 2, 'EC2'),
    crv: constant(-1, 1, 'P-256'),
    x: field(-2, bytes({ length: 32 }), 'x-coordinate'),
    y: field(-3, bool(), 'sign bit of y'),
  }),
);
export type CoseKey = TypeOf<typeof CoseKey>;

/** The operator's COSE keys, 1 to 4. */
export const serverKeys = () => arrayOf(CoseKey, { min: 1, max: 4 });

export const Content = define(
  'Content',
  'one content a PNE offers; §6.3',
  map({
    name: field(1, text({ kind: 'label', maxBytes: 32 })),
    mediaType: field(2, text({ kind: 'label', maxBytes: 24 })),
  }),
);
export type Content = TypeOf<typeof Content>;

export const Contents = define('Contents', 'what a PNE offers; §6.3', arrayOf(Content, { min: 1, max: 16 }));
export type Contents = TypeOf<typeof Contents>;

/** Body or answer that says a status and no more, in the HTTPS API. */
export const StatusBody = message(
  'StatusBody',
  { doc: 'a status and no more: answers of the HTTPS API', section: '9' },
  map({ status: field(1, status()) }),
);
export type StatusBody = TypeOf<typeof StatusBody>;
