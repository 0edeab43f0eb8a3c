/**
 * What a person is told when it did not work, and what to do next: one entry for every status of the protocol, so that a
 * new status without words does not compile. Words only; src/base/statuses.ts says what each status means to a machine.
 */
import type { Status } from '../../base/statuses.ts';

/** What the button under a refusal does. */
export type NextAction =
  | 'again' // the same once more
  | 'choose' // choose a gateway in the chooser
  | 'enrol' // enter a home gateway's code
  | 'leave' // go to the networks, to leave one
  | 'home'; // nothing but back

export interface Advice {
  /** What happened. */
  readonly says: string;
  /** What to do. */
  readonly next: string;
  readonly action: NextAction;
}

const advice = (says: string, next: string, action: NextAction): Advice => ({ says, next, action });

const NOT_GENUINE = 'Do not join through this gateway. Tell its owner, or the operator, what you saw.';
const GATEWAY_DEFECT = 'Try again; if it happens again, the gateway’s software needs an update.';
const ASK_OPERATOR = 'Ask the operator of your personal network; trying again will not help.';

export const ADVICE = {
  declined: advice('You declined. Nothing was told to the gateway.', 'You can join later.', 'home'),
  'too-many-memberships': advice(
    'This device is in as many networks as it can be.',
    'Leave one of them, then join this one.',
    'leave',
  ),
  busy: advice(
    'The gateway is busy with another device, or this device still waits for earlier answers.',
    'Wait a moment, then try again.',
    'again',
  ),
  'not-enrolled': advice(
    'This device is nobody’s yet, so no gateway can let it in.',
    'Enrol it with the code of your home gateway.',
    'enrol',
  ),
  'version-mismatch': advice(
    'This page and the gateway speak different versions.',
    'Reload this page while online; if that does not help, the gateway needs an update.',
    'home',
  ),
  'suite-mismatch': advice(
    'This page and the gateway have no way of encryption in common.',
    'Reload this page while online; if that does not help, the gateway needs an update.',
    'home',
  ),
  malformed: advice('The gateway said something that makes no sense.', GATEWAY_DEFECT, 'again'),
  oversize: advice('The gateway sent more than it may.', GATEWAY_DEFECT, 'again'),
  'unexpected-message': advice(
    'The other device is no gateway, or it is out of step.',
    'Choose again; take the gateway, not another phone or sensor.',
    'choose',
  ),
  'record-failed': advice(
    'What came could not be decrypted: the code is wrong, or somebody is in between.',
    'Check the code, stand nearer to the gateway, and try again.',
    'again',
  ),
  'link-violation': advice('The Bluetooth link got out of order.', GATEWAY_DEFECT, 'again'),
  'unknown-session': advice(
    'This gateway does not know this device any more, or it is another gateway.',
    'Choose the right gateway; if it is the right one, join anew.',
    'choose',
  ),
  'too-many-requests': advice('There were too many attempts.', 'Wait a minute, then try again.', 'again'),
  'credential-unknown-key': advice(
    'This gateway belongs to another operator, or it only claims to be one of yours.',
    'If the operator changed its key lately, connect to your own network once and then try again.',
    'choose',
  ),
  'credential-expired': advice(
    'The gateway’s pass of the operator has expired.',
    'Its owner must connect it to the internet once; then try again.',
    'again',
  ),
  'credential-invalid': advice('The gateway’s pass of the operator is not genuine.', NOT_GENUINE, 'choose'),
  'setup-request-invalid': advice('The invitation is not from who it says it is.', NOT_GENUINE, 'choose'),
  'challenge-invalid': advice(
    'The operator’s challenge is not genuine. Nothing was signed.',
    NOT_GENUINE,
    'choose',
  ),
  'response-invalid': advice(
    'The operator’s server did not accept this device’s signature.',
    'Try again; if it happens again, enrol this device anew at your home gateway.',
    'again',
  ),
  'transcript-mismatch': advice(
    'Somebody changed what was said between this device and the server.',
    NOT_GENUINE,
    'choose',
  ),
  'challenge-stale': advice(
    'It took too long, and the operator’s challenge ran out.',
    'Try again and answer within a minute.',
    'again',
  ),
  'inventory-invalid': advice(
    'The list of members is not genuine, so this device did not believe it.',
    NOT_GENUINE,
    'choose',
  ),
  'outcome-invalid': advice(
    'The answer is not genuine, so this device did not believe it.',
    NOT_GENUINE,
    'choose',
  ),
  'enrolment-code-wrong': advice(
    'This code is not of this gateway, or it was mistyped.',
    'Look at the code that your home gateway shows now, and enter it once more.',
    'enrol',
  ),
  'enrolment-code-spent': advice(
    'This code has run out or was used.',
    'Have your home gateway show a new code, and enter that.',
    'enrol',
  ),
  'receipt-invalid': advice('The operator’s receipt is not genuine. Nothing was kept.', NOT_GENUINE, 'enrol'),
  'answer-invalid': advice(
    'Your home gateway’s answer did not verify at the server.',
    'Look after your home gateway; it may need an update or a new enrolment.',
    'again',
  ),
  'unknown-pne': advice(
    'The operator does not know this device.',
    'Enrol it anew with the code of your home gateway.',
    'enrol',
  ),
  'revoked-pne': advice(
    'This device was revoked.',
    'If that was a mistake, enrol it anew at your home gateway.',
    'enrol',
  ),
  'unknown-gateway': advice('The operator does not know this gateway.', NOT_GENUINE, 'choose'),
  'revoked-gateway': advice('The operator has revoked this gateway.', NOT_GENUINE, 'choose'),
  'revoked-user': advice('The subscription has ended.', ASK_OPERATOR, 'home'),
  'home-address-malformed': advice(
    'This device’s home address is damaged.',
    'Enrol it anew with the code of your home gateway.',
    'enrol',
  ),
  'home-address-mismatch': advice(
    'This device has a new home that the operator does not have on record.',
    'Enrol it anew with the code of your home gateway.',
    'enrol',
  ),
  'home-gateway-unreachable': advice(
    'Your home gateway is offline, so nobody could say that this device is yours.',
    'Switch your home gateway on and connect it to the internet, then try again.',
    'again',
  ),
  'not-owned': advice(
    'Your home gateway says that this device is not yours.',
    'Enrol it anew with the code of your home gateway.',
    'enrol',
  ),
  'not-chargeable': advice(
    'Your home gateway does not let this device cause costs.',
    'Change that at your home gateway, then try again.',
    'again',
  ),
  'user-refused': advice(
    'The request was refused at your home gateway.',
    'If that was a mistake, wait a minute, try again and allow it there.',
    'again',
  ),
  'confirmation-timeout': advice(
    'Nobody answered the question at your home gateway.',
    'Try again and answer it there in time.',
    'again',
  ),
  'pn-id-collision': advice(
    'The gateway’s network has a name that is taken.',
    'Try again; the gateway takes another.',
    'again',
  ),
  'quota-exceeded': advice(
    'The gateway has too many requests open.',
    'Wait a few minutes, then try again.',
    'again',
  ),
  'backing-off': advice(
    'There was a refusal a short while ago.',
    'Wait some minutes before you try again.',
    'again',
  ),
  superseded: advice(
    'A later request of this device took the place of this one.',
    'Look at your networks.',
    'home',
  ),
  'unknown-transaction': advice(
    'The operator’s server has forgotten this request.',
    'Start over with this gateway.',
    'choose',
  ),
  'already-owned': advice(
    'This device belongs to somebody else.',
    'Its owner must release it first, or erase everything in the settings of this page.',
    'home',
  ),
  'token-invalid': advice('The gateway is not enrolled properly.', 'Its owner must enrol it anew.', 'choose'),
  'not-authenticated': advice(
    'The gateway could not prove itself to the operator’s server.',
    'Its owner must enrol it anew.',
    'choose',
  ),
  'clock-implausible': advice(
    'The operator’s server does not trust its clock now and signs nothing.',
    'Try again later.',
    'again',
  ),
  'not-found': advice(
    'The device that was chosen is no gateway, or it has stopped.',
    'Stand nearer to the gateway and choose again.',
    'choose',
  ),
  'name-not-allowed': advice(
    'A name is too long or has signs that are not allowed.',
    'Choose another name in the settings.',
    'home',
  ),
  conflict: advice(
    'The operator’s server has another request under the same number.',
    'Start over with this gateway.',
    'choose',
  ),
  'deadline-passed': advice('The answer came too late.', 'Try again and answer sooner.', 'again'),
  'no-capability-given': advice(
    'The gateway says nothing of what it can do.',
    'Its owner must complete its configuration.',
    'choose',
  ),
  'cannot-persist': advice(
    'Something could not be kept on a disk, so nothing was sent.',
    'Free some storage, leave private browsing, and try again.',
    'again',
  ),
  internal: advice('Something went wrong inside.', 'Try again; reload the page if it stays.', 'again'),
  'server-unreachable': advice(
    'The gateway can’t reach the operator’s server.',
    'Check the gateway’s internet connection, then try again.',
    'again',
  ),
  'shutting-down': advice('The gateway is shutting down.', 'Try again when it is back.', 'again'),
  'awaiting-home-gateway': advice(
    'Your home gateway has not come online yet.',
    'Switch it on; the answer is kept for this device. Ask the gateway again later.',
    'again',
  ),
  'awaiting-user': advice(
    'The question at your home gateway is not answered yet.',
    'Answer it there, then ask the gateway again.',
    'again',
  ),
  'keys-exhausted': advice('This link has served long enough.', 'Connect again.', 'again'),
  'link-lost': advice(
    'The Bluetooth link was lost.',
    'Stand nearer to the gateway and connect again.',
    'again',
  ),
  'peer-lost': advice('The gateway stopped answering.', 'Stand nearer to it and connect again.', 'again'),
  timeout: advice(
    'The gateway did not answer in time.',
    'Stand nearer to it, make sure that it is on, and try again.',
    'again',
  ),
} as const satisfies Record<Exclude<Status, 'ok'>, Advice>;

/** What a status means where a code is being used, if that is something else. */
const WHEN_ENROLLING: Partial<Readonly<Record<Status, Advice>>> = {
  'user-refused': advice(
    'At your home gateway somebody said that the numbers are not the same.',
    'Have it show a new code: this one is void, and somebody else may have read it.',
    'enrol',
  ),
};

export function adviceFor(status: Exclude<Status, 'ok'>, enrolling = false): Advice {
  return (enrolling && WHEN_ENROLLING[status]) || ADVICE[status];
}
