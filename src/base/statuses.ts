/**
 * Every status of the protocol, in one table: what goes on the wire, whose fault it is, whether to try again, and the
 * sentence a person reads. docs/protocol.md §11 is generated from here (scripts/generate-docs.ts).
 * Numbers are never reused; 0 is success.
 */

export type StatusClass =
  | 'success'
  | 'policy' // somebody with the right to say no said no
  | 'remote' // the peer broke the protocol
  | 'authentication' // a proof did not verify
  | 'server' // the operator's server refused
  | 'local' // this party could not go on
  | 'link'; // nobody said anything: the link or the other party went away

interface StatusRow {
  readonly code: number;
  readonly class: StatusClass;
  /** A later attempt with nothing changed may succeed. */
  readonly retryable: boolean;
  /** HTTP status when the server answers a request with it. */
  readonly http: number;
  readonly sentence: string;
}

const row = (
  code: number,
  statusClass: StatusClass,
  retryable: boolean,
  http: number,
  sentence: string,
): StatusRow => ({ code, class: statusClass, retryable, http, sentence });

export const STATUSES = {
  ok: row(0, 'success', false, 200, 'Done.'),

  // 16–31: the PNE or its user said no
  declined: row(16, 'policy', false, 403, 'The PNE does not want to join this personal network.'),
  'too-many-memberships': row(
    17,
    'policy',
    false,
    403,
    'The PNE is already in as many personal networks as it allows.',
  ),
  busy: row(18, 'policy', true, 503, 'The party is busy with other work; try again later.'),
  'not-enrolled': row(19, 'policy', false, 403, 'The PNE has no home gateway yet; enrol it first.'),

  // 32–47: bytes and order
  'version-mismatch': row(32, 'remote', false, 400, 'The two sides share no protocol version.'),
  'suite-mismatch': row(33, 'remote', false, 400, 'The two sides share no cipher suite.'),
  malformed: row(34, 'remote', false, 400, 'A message is not what the protocol says it must be.'),
  oversize: row(35, 'remote', false, 413, 'A message is longer than its limit at this point.'),
  'unexpected-message': row(36, 'remote', false, 409, 'A message came that does not belong in this state.'),
  'record-failed': row(37, 'remote', false, 400, 'A protected record did not decrypt; the link is closed.'),
  'link-violation': row(
    38,
    'remote',
    false,
    400,
    'The peer broke the rules of the link layer (sequence, credit or length).',
  ),
  'unknown-session': row(
    39,
    'remote',
    true,
    404,
    'The resumption identifier is not known; establish from the start.',
  ),
  'too-many-requests': row(40, 'remote', true, 429, 'Too many attempts; wait before the next one.'),

  // 48–63: proofs
  'credential-unknown-key': row(
    48,
    'authentication',
    false,
    403,
    'The gateway credential is signed by a key that is not pinned.',
  ),
  'credential-expired': row(
    49,
    'authentication',
    true,
    403,
    'The gateway credential has expired; the gateway must renew it.',
  ),
  'credential-invalid': row(50, 'authentication', false, 403, 'The gateway credential does not verify.'),
  'setup-request-invalid': row(
    51,
    'authentication',
    false,
    403,
    'The signature of the PN Setup Request does not verify.',
  ),
  'challenge-invalid': row(
    52,
    'authentication',
    false,
    403,
    "The authentication challenge is not the server's word for this session.",
  ),
  'response-invalid': row(
    53,
    'authentication',
    false,
    403,
    "The PNE's signature does not verify over this session.",
  ),
  'transcript-mismatch': row(
    54,
    'authentication',
    false,
    403,
    'The evidence does not hash to the transcript it claims.',
  ),
  'challenge-stale': row(
    55,
    'authentication',
    true,
    410,
    'The authentication response came after the challenge had expired.',
  ),
  'inventory-invalid': row(
    56,
    'authentication',
    false,
    403,
    "The PN inventory is not the server's word for this join.",
  ),
  'outcome-invalid': row(
    57,
    'authentication',
    false,
    403,
    "The outcome is not the server's word for this join.",
  ),
  'enrolment-code-wrong': row(
    58,
    'authentication',
    false,
    403,
    'The enrolment code does not match this party.',
  ),
  'enrolment-code-spent': row(
    59,
    'authentication',
    false,
    410,
    'The enrolment code has expired or was used; show a new one.',
  ),
  'receipt-invalid': row(
    60,
    'authentication',
    false,
    403,
    "The enrolment receipt is not the server's word for this claim.",
  ),
  'answer-invalid': row(61, 'authentication', false, 403, "The home gateway's answer does not verify."),

  // 64–95: the server's refusals
  'unknown-pne': row(64, 'server', false, 403, 'The server knows no such PNE.'),
  'revoked-pne': row(65, 'server', false, 403, 'This PNE has been revoked.'),
  'unknown-gateway': row(66, 'server', false, 403, 'The server knows no such gateway.'),
  'revoked-gateway': row(67, 'server', false, 403, 'This gateway has been revoked.'),
  'revoked-user': row(68, 'server', false, 403, "This user's subscription has been ended."),
  'home-address-malformed': row(69, 'server', false, 400, 'The PN GW #1 address is missing or malformed.'),
  'home-address-mismatch': row(
    70,
    'server',
    false,
    403,
    'The PN GW #1 address is not the home gateway on record for this PNE.',
  ),
  'home-gateway-unreachable': row(
    71,
    'server',
    true,
    504,
    'The home gateway did not come online before the deadline.',
  ),
  'not-owned': row(72, 'server', false, 403, "The home gateway says that the PNE is not its user's."),
  'not-chargeable': row(
    73,
    'server',
    false,
    402,
    'The home gateway says that this PNE may not be charged to its user.',
  ),
  'user-refused': row(74, 'server', false, 403, "The PNE's user refused."),
  'confirmation-timeout': row(75, 'server', true, 504, "The PNE's user did not answer before the deadline."),
  'pn-id-collision': row(
    76,
    'server',
    true,
    409,
    'The PN ID belongs to another gateway; mint a new one and set up again.',
  ),
  'quota-exceeded': row(
    77,
    'server',
    true,
    429,
    'Too many open transactions or confirmations; wait for some to end.',
  ),
  'backing-off': row(
    78,
    'server',
    true,
    429,
    'A refusal was recent; the server asks for some patience before the next attempt.',
  ),
  superseded: row(79, 'server', false, 409, 'A later join of the same PNE took the place of this one.'),
  'unknown-transaction': row(
    80,
    'server',
    false,
    404,
    'The server has no such transaction for this gateway.',
  ),
  'already-owned': row(
    81,
    'server',
    false,
    409,
    'The PNE belongs to another user; its owner must release it first.',
  ),
  'token-invalid': row(
    82,
    'server',
    false,
    403,
    'The enrolment token is unknown, expired or used with another key.',
  ),
  'not-authenticated': row(83, 'server', false, 401, 'The request carries no acceptable client certificate.'),
  'clock-implausible': row(
    84,
    'server',
    true,
    503,
    'The server does not trust its clock and signs nothing until told.',
  ),
  'not-found': row(85, 'server', false, 404, 'There is nothing at this address.'),
  'name-not-allowed': row(
    86,
    'server',
    false,
    400,
    'A name has characters or a length that are not allowed.',
  ),
  conflict: row(87, 'server', false, 409, 'The same identifier was used before with other content.'),
  'deadline-passed': row(88, 'server', false, 410, 'The question was settled before this answer came.'),
  'no-capability-given': row(89, 'server', false, 400, 'The gateway gave no capability of its own.'),

  // 96–111: this party
  'cannot-persist': row(96, 'local', true, 500, 'The state could not be written, so nothing was sent.'),
  internal: row(97, 'local', true, 500, 'Something failed inside; the log says more.'),
  'server-unreachable': row(98, 'local', true, 502, 'The CPNS server cannot be reached.'),
  'shutting-down': row(99, 'local', true, 503, 'The party is shutting down.'),
  'awaiting-home-gateway': row(100, 'local', true, 202, 'Waiting for the home gateway to come online.'),
  'awaiting-user': row(101, 'local', true, 202, "Waiting for the PNE's user to answer."),
  'keys-exhausted': row(102, 'local', true, 500, 'The link has used its keys up; resume on a new link.'),

  // 112–127: silence
  'link-lost': row(112, 'link', true, 504, 'The Bluetooth link was lost.'),
  'peer-lost': row(113, 'link', true, 504, 'The peer stopped answering.'),
  timeout: row(114, 'link', true, 504, 'The peer did not answer in time.'),
} as const satisfies Record<string, StatusRow>;

export type Status = keyof typeof STATUSES;

const byCode = new Map<number, Status>();
for (const [status, { code }] of Object.entries(STATUSES)) byCode.set(code, status as Status);

/** The wire number of a status, 0–127. */
export function statusCode(status: Status): number {
  return STATUSES[status].code;
}

/** The status of a wire number; a number that this version does not know is told apart by its range only. */
export function statusOf(code: number): Status | undefined {
  return byCode.get(code);
}
