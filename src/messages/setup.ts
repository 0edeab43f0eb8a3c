/**
 * The Bluetooth side of the establishment: steps 1, 2, 5, 6, 13 with its acknowledgement, and the messages that may come
 * at any time. Owns their fields and the padding of step 2. Must not sign, verify or decide.
 * Source: docs/protocol.md §6.2–6.6.
 */
import type { Bytes } from '../base/bytes.ts';
import { cborItemLength } from './cbor-scan.ts';
import { Contents, capability, LIMITS, nonce, pnId, serverSeconds, thumbprint } from './common.ts';
import { GatewayCredentialPayload } from './credential.ts';
import { InventoryPayload, OutcomePayload } from './inventory.ts';
import { message, signed } from './message.ts';
import { misuse, named, refuse, type TypeOf, text } from './schema.ts';
import { choice, define, field, map, optional } from './schema-map.ts';
import { failure, status, statusAmong, success } from './schema-status.ts';

export { Content, Contents } from './common.ts';

export const PnSetupRequestPayload = message(
  'PnSetupRequestPayload',
  {
    doc: 'type 1: GW2 invites the PNE',
    section: '6.2',
    step: '1',
    signing: { context: 'cpns1/setup-request', signer: 'GW2', over: 'th1', kid: false },
  },
  map({
    pnId: field(1, pnId(), 'random, minted by GW2'),
    setupType: field(2, named({ new: 1, join: 2 })),
    name: field(3, text({ kind: 'label', maxBytes: LIMITS.pnName }), 'a claim of GW2'),
    credential: field(4, signed(GatewayCredentialPayload, { max: LIMITS.credential }), 'of GW2'),
  }),
);
export type PnSetupRequestPayload = TypeOf<typeof PnSetupRequestPayload>;

const PnSetupJoin = define(
  'PnSetupJoin',
  'step 2, the PNE wants to join; §6.3',
  map({
    status: field(1, success()),
    capability: field(2, capability(), 'opaque to the protocol'),
    contents: optional(3, Contents),
    pneId: optional(4, text({ kind: 'label', maxBytes: LIMITS.pneId })),
    // Free text: whether it is an address the server has to say (home-address-malformed), not the decoder.
    homeAddress: field(
      5,
      text({ kind: 'free', maxBytes: LIMITS.homeAddress }),
      'PN GW #1 address, section 4.5',
    ),
    thumbprint: field(6, thumbprint(), "of the PNE's identity key"),
  }),
);

const PnSetupDecline = define(
  'PnSetupDecline',
  'step 2, the PNE does not join; §6.3',
  map({
    status: field(
      1,
      failure({
        ranges: [
          [16, 31],
          [48, 51],
        ],
      }),
    ),
  }),
);

export const PnSetupResponse = message(
  'PnSetupResponse',
  { doc: 'type 2: the PNE joins or declines; zero-padded on the link', section: '6.3', step: '2' },
  choice('status', PnSetupJoin, PnSetupDecline),
);
export type PnSetupResponse = TypeOf<typeof PnSetupResponse>;

const SEGMENT_BYTES = 244;
/** Type byte and AEAD tag. */
const RECORD_EXTRA_BYTES = 1 + 16;
/** The header of the only segment, and header with length of the first of several. */
const SINGLE_BYTES = SEGMENT_BYTES - 1 - RECORD_EXTRA_BYTES;
const FIRST_BYTES = SEGMENT_BYTES - 3 - RECORD_EXTRA_BYTES;
const FURTHER_BYTES = SEGMENT_BYTES - 1;

/** Zero-pads the body of step 2 so that its record fills whole segments; join and decline then look alike. */
export function padPnSetupResponse(body: Bytes): Bytes {
  const further = Math.max(1, Math.ceil((body.length - FIRST_BYTES) / FURTHER_BYTES));
  const length = body.length <= SINGLE_BYTES ? SINGLE_BYTES : FIRST_BYTES + further * FURTHER_BYTES;
  if (length > LIMITS.setupResponse) misuse('PnSetupResponse', 'too long to pad');
  const padded = new Uint8Array(length);
  padded.set(body);
  return padded;
}

/**
 * The body of step 2 without its padding: the first CBOR item, a copy.
 * @throws CpnsError malformed when it is no item or a byte behind it is not zero
 */
export function unpadPnSetupResponse(padded: Bytes): Bytes {
  const length = cborItemLength(padded, { what: 'PnSetupResponse' });
  if (padded.subarray(length).some((byte) => byte !== 0)) refuse('PnSetupResponse', 'padding is not zero');
  return new Uint8Array(padded.subarray(0, length));
}

export const AuthenticationChallengePayload = message(
  'AuthenticationChallengePayload',
  {
    doc: 'type 5: security materials of the server, relayed untouched; keys 3 and 4 are reserved',
    section: '6.4',
    step: '4, 5',
    signing: { context: 'cpns1/challenge', signer: 'server', over: 'th2', kid: true },
  },
  map({ nonce: field(1, nonce()), serverTime: field(2, serverSeconds()) }),
);
export type AuthenticationChallengePayload = TypeOf<typeof AuthenticationChallengePayload>;

export const AuthenticationResponsePayload = message(
  'AuthenticationResponsePayload',
  {
    doc: "type 6: the PNE's one signature: authentication, consent and evidence",
    section: '6.4',
    step: '6, 7',
    signing: { context: 'cpns1/response', signer: 'PNE', over: 'th3', kid: false },
  },
  map({ status: field(1, success()) }),
);
export type AuthenticationResponsePayload = TypeOf<typeof AuthenticationResponsePayload>;

const Registered = define(
  'Registered',
  'the signed inventory that has the join; §6.6',
  map({
    status: field(1, success()),
    inventory: field(2, signed(InventoryPayload, { max: LIMITS.inventory })),
  }),
);

const NotRegistered = define(
  'NotRegistered',
  'the signed outcome of a join that failed; §6.6',
  map({
    status: field(1, failure({ lenient: true })),
    outcome: field(3, signed(OutcomePayload, { max: LIMITS.outcome })),
  }),
);

export const PnSetupNotify = message(
  'PnSetupNotify',
  { doc: 'type 13: how the join ended', section: '6.6', step: '13' },
  choice('status', Registered, NotRegistered),
);
export type PnSetupNotify = TypeOf<typeof PnSetupNotify>;

export const PnInventoryUpdate = message(
  'PnInventoryUpdate',
  { doc: 'type 15: a later inventory, for members', section: '6.6' },
  Registered,
);
export type PnInventoryUpdate = TypeOf<typeof PnInventoryUpdate>;

export const Ack = message(
  'Ack',
  { doc: 'type 14: of 13 and 15; status 0 only after the durable write', section: '6.6' },
  map({ status: field(1, status({ lenient: true })) }),
);
export type Ack = TypeOf<typeof Ack>;

export const Abort = message(
  'Abort',
  { doc: 'type 40: why the sender closes the link', section: '6.6' },
  map({ status: field(1, failure({ lenient: true })) }),
);
export type Abort = TypeOf<typeof Abort>;

export const Waiting = message(
  'Waiting',
  { doc: 'type 41: the join is alive, and for whom it waits', section: '6.6' },
  map({ status: field(1, statusAmong('awaiting-home-gateway', 'awaiting-user')) }),
);
export type Waiting = TypeOf<typeof Waiting>;
