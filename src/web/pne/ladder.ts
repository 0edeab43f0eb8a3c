/**
 * The thirteen steps of the establishment as a person at this device can follow them, and how far they have come.
 * Pure: made from the states of the PNE's machine. Steps between others (3, 4 and 7 to 12) are never seen from here: they
 * are known to be done when their result arrives, and the words say so.
 * Source: docs/protocol.md §1.
 */
import type { Status } from '../../base/statuses.ts';
import { adviceFor } from './advice.ts';

export type StepState = 'ahead' | 'now' | 'done' | 'failed';

export interface LadderStep {
  /** 0 to 13. */
  readonly number: number;
  readonly title: string;
  readonly detail: string;
  /** Whether this device takes part, or only learns of the result. */
  readonly here: boolean;
  readonly state: StepState;
}

type Words = readonly [title: string, detail: string, here: boolean];

const WORDS: readonly Words[] = [
  ['The gateway is found', 'You chose it, and this device connected to it over Bluetooth.', true],
  ['It says who it is', 'Its invitation carries a pass of the operator, which this device checks.', true],
  ['You answer', 'Nothing about you is said before you agree.', true],
  ['The operator is asked', 'The gateway hands your answer to the operator’s server.', false],
  ['The operator makes a challenge', 'A fresh question, so that nobody can use an old answer.', false],
  ['The challenge arrives', 'This device checks that it is the operator’s, and about this very join.', true],
  ['This device signs', 'Its secret key signs everything that was said. The key never leaves it.', true],
  ['The signature travels', 'The gateway hands it to the operator’s server.', false],
  ['Your home is asked', 'The server asks your home gateway whether this device is yours.', false],
  ['Your home answers', 'It may ask you, or follow the rules you gave it.', false],
  ['The network is written down', 'The server registers this device as a member.', false],
  ['The gateway is told', 'It gets the list of members, signed by the server.', false],
  ['The gateway lets you in', 'It keeps the list and opens the way.', false],
  ['You are told', 'This device checks the list, finds itself in it, and keeps it.', true],
];

/** Up to which step everything is done, and up to which it is going on. */
interface Progress {
  readonly done: number;
  readonly now: number;
}

const PROGRESS: Readonly<Record<string, Progress>> = {
  connecting: { done: -1, now: 0 },
  opening: { done: -1, now: 0 },
  'awaiting-setup-request': { done: 0, now: 1 },
  deciding: { done: 1, now: 2 },
  'awaiting-challenge': { done: 2, now: 4 },
  signing: { done: 5, now: 6 },
  'awaiting-notify': { done: 6, now: 9 },
  'awaiting-resume': { done: 6, now: 9 },
  resuming: { done: 6, now: 9 },
  member: { done: 13, now: 13 },
};

/** A refusal's place: who said no where. */
const REFUSED_AT: Partial<Readonly<Record<Status, number>>> = {
  declined: 2,
  'too-many-memberships': 2,
  'not-enrolled': 2,
  'credential-unknown-key': 1,
  'credential-expired': 1,
  'credential-invalid': 1,
  'setup-request-invalid': 1,
  'unknown-gateway': 3,
  'revoked-gateway': 3,
  'pn-id-collision': 3,
  'quota-exceeded': 3,
  'challenge-invalid': 5,
  'response-invalid': 7,
  'transcript-mismatch': 7,
  'challenge-stale': 7,
  'unknown-pne': 7,
  'revoked-pne': 7,
  'home-address-malformed': 7,
  'home-address-mismatch': 7,
  'home-gateway-unreachable': 8,
  'backing-off': 8,
  'answer-invalid': 9,
  'not-owned': 9,
  'not-chargeable': 9,
  'user-refused': 9,
  'confirmation-timeout': 9,
  'inventory-invalid': 13,
  'outcome-invalid': 13,
};

export interface Course {
  /** The furthest state of the machine. */
  readonly state: string;
  /** What is waited for, when the gateway said so. */
  readonly waiting?: Status | undefined;
  /** How it ended, when it did not end well. */
  readonly failed?: Status | undefined;
}

export function ladderOf({ state, waiting, failed }: Course): readonly LadderStep[] {
  const { done, now } = waitingProgress(waiting) ?? PROGRESS[state] ?? { done: -1, now: 0 };
  const from = Math.min(done + 1, WORDS.length - 1);
  const at = failed && Math.max(REFUSED_AT[failed] ?? from, from);
  return WORDS.map(([title, detail, here], number) => ({
    ...{ number, title, detail, here },
    state: stateOf(number, done, now, at),
  }));
}

function waitingProgress(waiting: Status | undefined): Progress | undefined {
  if (waiting === 'awaiting-home-gateway') return { done: 7, now: 8 };
  return waiting === 'awaiting-user' ? { done: 8, now: 9 } : undefined;
}

function stateOf(number: number, done: number, now: number, failedAt: number | undefined): StepState {
  if (number === failedAt) return 'failed';
  if (failedAt !== undefined) return number < failedAt ? 'done' : 'ahead';
  if (number <= done) return 'done';
  return number <= now ? 'now' : 'ahead';
}

/** One sentence for what is going on, for a screen reader and the head of the page. */
export function sentenceOf(course: Course): string {
  if (course.failed) return course.failed === 'ok' ? '' : adviceFor(course.failed).says;
  if (course.waiting) return waitingWords(course.waiting);
  const step = ladderOf(course).find(({ state }) => state === 'now');
  return step ? `Step ${step.number} of 13: ${step.title}.` : 'All thirteen steps are done.';
}

/** What a Waiting of the gateway means to the person who waits. */
export function waitingWords(waiting: Status): string {
  return waiting === 'awaiting-user'
    ? 'Your home gateway asks its owner. The answer has to be given there.'
    : 'Your home gateway is offline. Switch it on; the question waits for it.';
}
