/**
 * What happened lately, told as stories: a Bluetooth link with what went over it, or a question with its answer. Made of
 * trace events and gateway events, in a ring of fixed size: whoever floods the gateway with links pushes older stories out
 * and takes no more memory. Pure. Knows no body and no key: the events have none.
 */
import { toHex } from '../base/bytes.ts';
import type { JoinId } from '../base/ids.ts';
import { STATUSES, type Status } from '../base/statuses.ts';
import type { GatewayEvent } from '../nodes/gateway/events.ts';
import type { TraceEvent } from '../nodes/trace.ts';
import type { StoryKind, StoryStep, StoryView } from './view.ts';

export const MAX_STORIES = 40;
export const MAX_STEPS = 48;
/** A link, and the joins and refreshes over it. */
const MAX_NAMES = 8;

interface Story {
  readonly id: number;
  /** Link, transaction, join or question by which events find it. */
  readonly names: Set<string>;
  kind: StoryKind;
  about: string | null;
  readonly startedAtMs: number;
  readonly steps: StoryStep[];
}

/** What a link was for, by the first message that says so. */
const KINDS: Readonly<Record<string, StoryKind>> = {
  PnSetupRequest: 'join',
  // After a restart a join goes on without its link.
  AuthenticationResponse: 'join',
  PnRegistrationResponse: 'join',
  Resume: 'return',
  Resumed: 'return',
  EnrolOffer: 'enrolment',
};
/** Bookkeeping of the trace that tells a person nothing. */
const UNTOLD = new Set(['LinkTranscript']);

export class Stories {
  readonly #stories: Story[] = [];
  #lastId = 0;

  trace(event: TraceEvent): void {
    const { link, joinKey, joinId } = event;
    const names = Object.entries({ link, txn: joinKey, join: joinId }).flatMap(([what, name]) =>
      name ? [`${what} ${name}`] : [],
    );
    const story = this.#find(names) ?? this.#begin('link', names, event.atMs);
    for (const name of names) if (story.names.size < MAX_NAMES) story.names.add(name);
    const kind = KINDS[event.name];
    if (kind && story.kind === 'link') story.kind = kind;
    if (!UNTOLD.has(event.name)) push(story, stepOf(event));
  }

  event(event: GatewayEvent, atMs: number): void {
    if (event.kind === 'asked') {
      const { joinId, pne, asking } = event.view;
      const story = this.#question(joinId, atMs);
      story.about = `${pne.label ?? toHex(pne.thumbprint).slice(0, 16)} · ${asking.gateway} (${asking.user})`;
      this.#tell(joinId, { ...ASKED, atMs });
    } else if (event.kind === 'answered') {
      const { joinId, decision, decidedBy } = event;
      this.#question(joinId, atMs);
      this.#tell(joinId, {
        ...ANSWERED,
        name: `Answered by ${decidedBy}`,
        atMs,
        ...inWords(decision.reason),
      });
    } else if (event.kind === 'settled') {
      const story = this.#find([`question ${toHex(event.joinId)}`]);
      if (story) push(story, { ...SETTLED, atMs, ...inWords(event.status) });
    }
  }

  #question(joinId: JoinId, atMs: number): Story {
    const names = [`question ${toHex(joinId)}`];
    return this.#find(names) ?? this.#begin('question', names, atMs);
  }

  /** In the question's story; and in the join's, where this gateway is the one that asks, too. */
  #tell(joinId: JoinId, step: StoryStep): void {
    for (const what of ['question', 'join']) {
      const story = this.#find([`${what} ${toHex(joinId)}`]);
      // Of a join the server has the last word: a no comes by it, or by nobody.
      if (story) push(story, what === 'join' ? { ...step, ends: false } : step);
    }
  }

  /** The newest first. */
  list(): readonly StoryView[] {
    return this.#stories
      .map(({ names: _names, steps, ...story }) => ({ ...story, steps: [...steps] }))
      .reverse();
  }

  /** By the first name that leads to one: a link is closer than its transaction, which many links may be about. */
  #find(names: readonly string[]): Story | undefined {
    for (const name of names) {
      const found = this.#stories.find((story) => story.names.has(name));
      if (found) return found;
    }
    return undefined;
  }

  #begin(kind: StoryKind, names: readonly string[], startedAtMs: number): Story {
    const story = { id: ++this.#lastId, names: new Set(names), kind, about: null, startedAtMs, steps: [] };
    this.#stories.push(story);
    if (this.#stories.length > MAX_STORIES) this.#stories.shift();
    return story;
  }
}

const NOTHING = { bytes: 0, status: null, meaning: null, ends: false } as const;
const ASKED = {
  ...NOTHING,
  step: 8,
  name: 'Asked',
  from: 'server',
  to: 'home-gateway',
  via: 'https',
} as const;
const ANSWERED = { ...NOTHING, step: 9, from: 'home-gateway', to: 'server', via: 'https' } as const;
const SETTLED = {
  ...NOTHING,
  step: null,
  name: 'Outcome',
  from: 'server',
  to: 'home-gateway',
  via: 'https',
} as const;

function push(story: Story, step: StoryStep): void {
  if (story.steps.length < MAX_STEPS) story.steps.push(step);
}

function stepOf({ step, name, from, to, via, bytes, atMs, status }: TraceEvent): StoryStep {
  const told = inWords(status);
  const isPassing = PASSING.has(name) || (name === 'Refusal' && status && STATUSES[status].retryable);
  return { step: step ?? null, name, from, to, via, bytes, atMs, ...told, ends: told.ends && !isPassing };
}

/** What is said while a story goes on, whatever its status. */
const PASSING = new Set(['Waiting', 'TransactionWaiting', 'TransactionState', 'NoAnswer']);

function inWords(status: Status | undefined): Pick<StoryStep, 'status' | 'meaning' | 'ends'> {
  return status === undefined
    ? { status: null, meaning: null, ends: false }
    : { status, meaning: STATUSES[status].sentence, ends: status !== 'ok' };
}
