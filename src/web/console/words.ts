/**
 * The console's words for times, steps and kinds of story. Pure; nothing of the page.
 */
import type { StoryKind, StoryStep, StoryView } from '../../console/view.ts';

const time = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });
const clockTime = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' });

export const dateAndTime = (ms: number): string => time.format(ms);
export const timeOfDay = (ms: number): string => clockTime.format(ms);

/** Steps 0 to 13 as the gateway of the network sees them. */
const STEPS: readonly string[] = [
  'The device is found over Bluetooth',
  'The gateway says who it is and asks',
  'The device answers',
  'The operator’s server is asked',
  'The server makes a challenge',
  'The challenge goes to the device',
  'The device signs everything that was said',
  'The signature goes to the server',
  'The device’s home is asked',
  'The home answers',
  'The server writes the network down',
  'The signed list of members arrives',
  'The gateway keeps it and opens the way',
  'The device is told',
];

export const LAST_STEP = STEPS.length - 1;

/** @returns undefined for a number that is no step */
export const stepTitle = (step: number): string | undefined => STEPS[step];

const KINDS: Readonly<Record<StoryKind, string>> = {
  join: 'A device joins',
  return: 'A member comes back',
  enrolment: 'A device is enrolled',
  question: 'A question to you',
  link: 'A Bluetooth link',
};

export function storyTitle({ kind, about }: StoryView): string {
  return about === null ? KINDS[kind] : `${KINDS[kind]}: ${about}`;
}

/** How a story stands, as far as it was seen from here. */
export function storyEnd({ kind, steps }: StoryView): {
  readonly text: string;
  readonly mood: 'good' | 'bad' | 'busy';
} {
  const refusedAt = steps.findIndex(({ ends }) => ends);
  if (kind === 'join') {
    const told = steps.findIndex(({ step }) => step === LAST_STEP);
    // A link that ends later is no end of what was told before.
    if (refusedAt >= 0 && (told < 0 || refusedAt < told)) return REFUSED;
    if (told >= 0) return GOOD;
    return steps.some(({ step }) => step === LAST_STEP - 1)
      ? { text: 'the device is yet to hear', mood: 'busy' }
      : BUSY;
  }
  if (refusedAt >= 0) return REFUSED;
  if (kind === 'enrolment') return steps.some(({ name }) => name === 'EnrolReceipt') ? GOOD : BUSY;
  if (kind !== 'question') return GOOD;
  const isAnswered = steps.some(({ status }) => status !== null);
  return isAnswered ? { text: 'answered', mood: 'good' } : { text: 'waits', mood: 'busy' };
}

const REFUSED = { text: 'refused', mood: 'bad' } as const;
const GOOD = { text: 'done', mood: 'good' } as const;
const BUSY = { text: 'on its way', mood: 'busy' } as const;

const PARTIES: Readonly<Record<string, string>> = {
  pne: 'device',
  gateway: 'this gateway',
  'home-gateway': 'home gateway',
  server: 'server',
};
const VIA = { ble: 'over Bluetooth', https: 'over HTTPS', local: 'here' } as const;

/** One message in a line. */
export function stepDetail({ name, from, to, via, bytes, meaning }: StoryStep): string {
  const way = from === to ? '' : `, ${PARTIES[from] ?? from} to ${PARTIES[to] ?? to}`;
  const size = bytes > 0 ? `, ${bytes} bytes` : '';
  return `${name}${way}, ${VIA[via]}${size}${meaning === null ? '' : `: ${meaning}`}`;
}
