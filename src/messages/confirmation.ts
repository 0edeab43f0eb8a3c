/**
 * Confirmation by the home gateway: step 8 down the channel, step 9 up over HTTPS.
 * Owns the evidence, the terms and the signed answer. Must not verify anything. Source: docs/protocol.md §9.
 */
import { hash, LIMITS, serverSeconds, UINT32_MAX } from './common.ts';
import { message, signed } from './message.ts';
import { exchanged } from './registration.ts';
import { bool, literal, type TypeOf, text, uint } from './schema.ts';
import { choice, define, field, map } from './schema-map.ts';
import { failure, success } from './schema-status.ts';

export const Evidence = define(
  'Evidence',
  'everything an auditor needs to verify one join; §9',
  map({
    openG: field(1, exchanged.openG()),
    openP: field(2, exchanged.openP()),
    m1: field(3, exchanged.m1(), 'step 1'),
    m2: field(4, exchanged.m2(), 'step 2'),
    challenge: field(5, exchanged.challenge(), 'step 5'),
    response: field(6, exchanged.response(), 'step 6'),
  }),
);
export type Evidence = TypeOf<typeof Evidence>;

/** In minor units of the currency. */
const limit = () => uint({ max: UINT32_MAX });

export const Terms = define(
  'Terms',
  'what the user of the home gateway is asked to pay for; §9',
  map({
    currency: field(1, text({ kind: 'free', maxBytes: 3, minBytes: 3, pattern: '[A-Z]{3}' }), 'ISO 4217'),
    limit: field(2, limit(), 'minor units'),
    periodDays: field(3, uint({ min: 1, max: 0xffff })),
  }),
);
export type Terms = TypeOf<typeof Terms>;

export const PneConfirmRequest = message(
  'PneConfirmRequest',
  { doc: 'channel kind 8: is it yours, may it be charged to you?', section: '9', step: '8' },
  map({
    th3: field(1, hash()),
    evidence: field(2, Evidence),
    deadline: field(3, serverSeconds()),
    terms: field(4, Terms),
  }),
);
export type PneConfirmRequest = TypeOf<typeof PneConfirmRequest>;

const PneConfirmYes = define(
  'PneConfirmYes',
  'step 9, both answers are yes; §9',
  map({
    yours: field(1, literal(true)),
    chargeable: field(2, literal(true)),
    reason: field(3, success()),
    subscription: field(4, text({ kind: 'label', maxBytes: LIMITS.subscription })),
    limit: field(5, limit(), 'minor units'),
    decidedAt: field(6, serverSeconds()),
  }),
);

const PneConfirmNo = define(
  'PneConfirmNo',
  'step 9, at least one answer is no; §9',
  map(
    {
      yours: field(1, bool()),
      chargeable: field(2, bool()),
      reason: field(3, failure()),
      decidedAt: field(6, serverSeconds()),
    },
    {
      rule: ({ yours, chargeable }) =>
        yours && chargeable ? 'a reason, but both answers are yes' : undefined,
    },
  ),
);

export const PneConfirmResponsePayload = message(
  'PneConfirmResponsePayload',
  {
    doc: "the home gateway's two answers",
    section: '9',
    step: '9',
    signing: { context: 'cpns1/confirm-answer', signer: 'GW1', over: 'th3', kid: false },
  },
  choice('reason', PneConfirmYes, PneConfirmNo),
);
export type PneConfirmResponsePayload = TypeOf<typeof PneConfirmResponsePayload>;

export const ConfirmationBody = message(
  'ConfirmationBody',
  { doc: 'PUT confirmations/{joinId}', section: '9', step: '9' },
  map({ answer: field(1, signed(PneConfirmResponsePayload, { max: 512 })) }),
);
export type ConfirmationBody = TypeOf<typeof ConfirmationBody>;
