/**
 * From what the tap saw to what an exchange spent: which message was which step, the same exchange as turns to be played
 * raw, and the connection events by the definition that the report states. Pure.
 */
import type { TraceEvent } from '../../src/nodes/trace.ts';
import type { Turn } from './establishment-party.ts';
import type { Direction, TappedLink, TappedMessage, TappedSegment } from './tapped-link.ts';

/** Steps on Bluetooth, in order. */
export const STEPS = [1, 2, 5, 6, 13] as const;
export type Step = (typeof STEPS)[number];

export interface StepMessages {
  readonly link: TappedLink;
  readonly openP: TappedMessage;
  readonly openG: TappedMessage;
  /** Acknowledges step 13; not part of what is counted, nor of the raw exchange. */
  readonly ack: TappedMessage | undefined;
  of(step: Step): TappedMessage;
}

/** From a radio link that has just been made to a member, one after the other. */
export const PHASES = [
  ['connect', 'MTU, discovery, subscription; to the first segment'],
  ['open', 'OPEN both ways, to step 1'],
  ['setup', 'steps 1 and 2'],
  ['challenge', 'steps 3 and 4, at the server'],
  ['authentication', 'steps 5 and 6'],
  ['confirmation', 'steps 7 to 12, at server and home gateway'],
  ['notify', 'step 13'],
] as const;
export type Phase = (typeof PHASES)[number][0];

export interface Spent {
  /** Connection events from hand-over of a request to arrival of its answer, and of the last message. */
  readonly elapsed: number;
  /** Connection events of each message from its own hand-over. */
  readonly inFlight: number;
  /** Connection events in which a segment went either way, from step 1 to step 13, the gateway's Waiting included. */
  readonly used: number;
  /** Segments without payload, from step 1 to step 13. */
  readonly bare: number;
  readonly ms: number;
  /** Milliseconds of each phase, and together. */
  readonly phasesMs: Readonly<Record<Phase | 'all', number>>;
  /** What the PNE took to answer steps 1 and 5. */
  readonly answerMs: readonly [number, number];
  /** Events the radio could not hold in time. */
  readonly missed: number;
}

const ACK = 14;
/** Where a gateway would wait for its server: long enough that nothing is left in the air. */
const SERVER_MS = 31;

/**
 * Finds the establishment among the links and names its messages by the order in which their senders traced them.
 * @throws Error when radio and trace don't tell the same story
 */
export function stepMessages(links: readonly TappedLink[], trace: readonly TraceEvent[]): StepMessages {
  // Only an establishment has records of both epochs.
  const link = links.find(({ messages }) => messages.length > 2 && epochs(messages).size === 2);
  if (!link) throw new Error('no establishment on the radio');
  const opens = new Map<Direction, TappedMessage>();
  const steps = new Map<number, TappedMessage>();
  for (const direction of ['up', 'down'] as const) {
    const [open, ...rest] = link.messages.filter((message) => message.direction === direction);
    if (open) opens.set(direction, open);
    const from = direction === 'up' ? 'gateway' : 'pne';
    const name = trace.find(({ step, via }) => step === 1 && via === 'ble')?.link;
    const sent = trace.filter((event) => event.via === 'ble' && event.from === from && event.link === name);
    const named = sent.filter(({ step }) => step !== 0);
    rest.forEach((message, i) => {
      const step = named[i]?.name === 'Ack' ? ACK : named[i]?.step;
      if (step !== undefined) steps.set(step, message);
    });
  }
  const [openP, openG] = [opens.get('down'), opens.get('up')];
  if (!openP || !openG) throw new Error('no OPEN on the radio');
  const of = (step: Step): TappedMessage => {
    const message = steps.get(step);
    if (!message) throw new Error(`step ${step} was not seen on the radio`);
    return message;
  };
  for (const step of STEPS) of(step);
  return { link, openP, openG, ack: steps.get(ACK), of };
}

function epochs(messages: readonly TappedMessage[]): ReadonlySet<number> {
  return new Set(messages.map(({ epoch }) => epoch));
}

/** The exchange as it is to be repeated raw: OPENs, then the steps, the gateway waiting where it waits for the server. */
export function turnsOf({ openP, openG, of }: StepMessages): Turn[] {
  const turn = (messages: readonly TappedMessage[], afterMs = 0): Turn => ({
    direction: messages[0]?.direction ?? 'up',
    segments: messages.flatMap(({ segments }) => segments.map(({ bytes }) => bytes)),
    afterMs,
  });
  return [
    turn([openP]),
    turn([openG, of(1)]),
    turn([of(2)]),
    turn([of(5)], SERVER_MS),
    turn([of(6)]),
    turn([of(13)], SERVER_MS),
  ];
}

export function eventsOf({ link, openP, openG, of }: StepMessages): Spent {
  const handed = (step: Step) => first(of(step)).handedAfter;
  const crossed = (step: Step) => arrival(last(of(step)));
  const spans: readonly (readonly [from: Step, to: Step])[] = [
    [1, 2],
    [5, 6],
    [13, 13],
  ];
  const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
  const answerMs = (request: Step, answer: Step) =>
    first(of(answer)).handedAtMs - last(of(request)).crossedAtMs;
  const [from, to] = [first(of(1)).handedAtMs, last(of(13)).crossedAtMs];
  const between = ({ crossedAtMs }: TappedSegment) => crossedAtMs >= from && crossedAtMs <= to;
  const bare = link.bare.filter(between);
  const messages = link.messages.filter((message) => message !== openP && message !== openG);
  const segments = [...messages.flatMap((message) => message.segments), ...bare].filter(between);
  return {
    elapsed: sum(spans.map(([request, answer]) => crossed(answer) - handed(request))),
    inFlight: sum(STEPS.map((step) => crossed(step) - handed(step))),
    used: new Set(segments.map(({ crossedIn }) => crossedIn)).size,
    bare: bare.length,
    ms: sum(spans.map(([request, answer]) => last(of(answer)).crossedAtMs - first(of(request)).handedAtMs)),
    phasesMs: phasesOf(link, openP, of),
    answerMs: [answerMs(1, 2), answerMs(5, 6)],
    missed: link.counters.eventsMissed,
  };
}

function phasesOf(
  { startedAtMs }: TappedLink,
  openP: TappedMessage,
  of: StepMessages['of'],
): Readonly<Record<Phase | 'all', number>> {
  const handed = (step: Step) => first(of(step)).handedAtMs;
  const crossed = (step: Step) => last(of(step)).crossedAtMs;
  const opened = first(openP).handedAtMs;
  return {
    connect: opened - startedAtMs,
    open: handed(1) - opened,
    setup: crossed(2) - handed(1),
    challenge: handed(5) - crossed(2),
    authentication: crossed(6) - handed(5),
    confirmation: handed(13) - crossed(6),
    notify: crossed(13) - handed(13),
    all: crossed(13) - startedAtMs,
  };
}

function first({ segments }: TappedMessage): TappedSegment {
  const [segment] = segments;
  if (!segment) throw new Error('a message without segments');
  return segment;
}

function last({ segments }: TappedMessage): TappedSegment {
  const segment = segments.at(-1);
  if (!segment) throw new Error('a message without segments');
  return segment;
}

function arrival({ crossedIn }: TappedSegment): number {
  if (crossedIn === undefined) throw new Error('a segment never crossed');
  return crossedIn;
}
