/**
 * The steps of an enrolment and of a reconnection, in the same shape as the thirteen of a join (ladder.ts). Pure: made
 * from the states of the machines. Source: docs/protocol.md §7.2, §8.
 */
import type { Course, LadderStep, StepState } from './ladder.ts';

type Words = readonly [title: string, detail: string, here: boolean];

interface Ladder {
  readonly steps: readonly Words[];
  /** The step that is going on in each state; one behind the last when all are done. */
  readonly now: Readonly<Record<string, number>>;
}

const ENROL: Ladder = {
  steps: [
    ['Your home gateway is found', 'You chose it, and this device connected to it over Bluetooth.', true],
    ['The code is proved', 'Both sides show that they know the secret in the code.', true],
    ['This device signs', 'Its secret key signs that it wants to be yours. The key never leaves it.', true],
    [
      'The numbers are compared',
      'Your home gateway shows the same number, if it talks to this device.',
      true,
    ],
    [
      'The operator records it',
      'Your home gateway tells the operator’s server, which signs a receipt.',
      false,
    ],
    ['You are told', 'This device checks the receipt and keeps it.', true],
  ],
  now: {
    connecting: 0,
    opening: 0,
    'awaiting-offer': 1,
    'signing-claim': 2,
    comparing: 3,
    done: 6,
  },
};

const RESUME: Ladder = {
  steps: [
    ['The gateway is found', 'This device connected to it over Bluetooth.', true],
    ['Both recognise each other', 'With a secret that only the two of you keep.', true],
    ['You are back', 'News about the network comes over this link.', true],
  ],
  now: { connecting: 0, opening: 0, 'awaiting-resume': 1, resuming: 2, member: 3 },
};

export function enrolLadderOf(course: Course): readonly LadderStep[] {
  return draw(ENROL, course);
}

export function resumeLadderOf(course: Course): readonly LadderStep[] {
  return draw(RESUME, course);
}

function draw({ steps, now }: Ladder, { state, failed }: Course): readonly LadderStep[] {
  const at = now[state] ?? 0;
  return steps.map(([title, detail, here], number) => ({
    ...{ number, title, detail, here },
    state: stateOf(number, at, failed !== undefined),
  }));
}

function stateOf(number: number, at: number, failed: boolean): StepState {
  if (number < at) return 'done';
  if (number > at) return 'ahead';
  return failed ? 'failed' : 'now';
}
