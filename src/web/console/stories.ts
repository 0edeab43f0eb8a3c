/** What happened: stories that open into ladders, and steps that open into what went over the air. */
import type { StoryStep, StoryView } from '../../console/view.ts';
import { h, KeyedList } from './dom.ts';
import { badge, card } from './parts.ts';
import { dateAndTime, LAST_STEP, stepDetail, stepTitle, storyEnd, storyTitle, timeOfDay } from './words.ts';

export class Stories {
  readonly element: HTMLElement;
  readonly #list: KeyedList<StoryView>;
  readonly #none = h('p', { class: 'quiet' }, 'Nothing yet since the gateway was started.');

  constructor() {
    const items = h('div', { class: 'list' });
    this.#list = new KeyedList(items, ({ id }) => String(id), drawStory);
    this.element = card('stories', 'What happened', this.#none, items);
  }

  update(stories: readonly StoryView[]): void {
    this.#none.hidden = stories.length > 0;
    this.#list.update(stories);
  }
}

/** Goes on in the element that is there: what is open stays open, and the focus where it is. */
function drawStory(story: StoryView, before: HTMLElement | undefined): HTMLElement {
  const details = h('details', { class: 'story' });
  const { text, mood } = storyEnd(story);
  const summary = h(
    'summary',
    {},
    h('span', { class: 'story-title' }, storyTitle(story)),
    h('span', { class: 'quiet small' }, dateAndTime(story.startedAtMs)),
    badge(text, mood),
  );
  const rows = story.kind === 'join' ? ladder(story.steps) : list(story.steps);
  const open = new Set(
    [...(before?.querySelectorAll('details[open]') ?? [])].map((each) => each.getAttribute('data-step')),
  );
  for (const each of rows.querySelectorAll('details')) each.open = open.has(each.getAttribute('data-step'));
  details.append(summary, rows);
  if (!(before instanceof HTMLDetailsElement)) return details;
  const focused = before.contains(document.activeElement) ? document.activeElement : null;
  const place = focused?.closest('details')?.getAttribute('data-step');
  before.replaceChildren(summary, rows);
  if (focused) {
    const again = place ? rows.querySelector(`details[data-step="${place}"] > summary`) : summary;
    if (again instanceof HTMLElement) again.focus();
  }
  return before;
}

/** Steps 0 to 13: those that were seen here can be opened, those before the furthest are known to be done. */
function ladder(seen: readonly StoryStep[]): HTMLElement {
  const furthest = Math.max(-1, ...seen.map(({ step }) => step ?? -1));
  const end = seen.find(
    ({ name, status }) => name === 'Abort' || (status !== null && status !== 'ok' && name !== 'Waiting'),
  );
  const failedAt = end && furthest < LAST_STEP ? furthest + 1 : undefined;
  const steps = Array.from({ length: LAST_STEP + 1 }, (_, step) => {
    const mine = seen.filter((each) => each.step === step);
    const state = step === failedAt ? 'failed' : step <= furthest ? 'done' : 'ahead';
    const told = step === failedAt && end ? [...mine, end] : mine;
    return rung(step, state, told);
  });
  const others = seen.filter(({ step, name }) => step === null && name !== 'Abort');
  const ol = h('ol', { class: 'ladder', 'aria-label': 'Steps' }, ...steps);
  return others.length === 0 ? ol : h('div', { class: 'stack' }, ol, list(others));
}

const MARKS: Readonly<Record<string, string>> = { done: '✓', failed: '✕' };
const SPOKEN: Readonly<Record<string, string>> = {
  done: 'done',
  failed: 'failed here',
  ahead: 'not reached',
};

function rung(step: number, state: 'done' | 'failed' | 'ahead', seen: readonly StoryStep[]): HTMLElement {
  const title = stepTitle(step) ?? '';
  const spoken = h('span', { class: 'hidden' }, `Step ${step}, ${SPOKEN[state]}: `);
  const lines = seen.map((each) =>
    h('p', { class: 'step-detail' }, `${timeOfDay(each.atMs)}  ${stepDetail(each)}`),
  );
  const body =
    lines.length === 0
      ? h('p', {}, spoken, title)
      : h(
          'details',
          { 'data-step': String(step), open: state === 'failed' },
          h('summary', {}, spoken, title),
          ...lines,
        );
  return h(
    'li',
    { class: `step step-${state}${lines.length === 0 ? ' step-elsewhere' : ''}` },
    h('span', { class: 'step-mark', 'aria-hidden': 'true' }, MARKS[state] ?? String(step)),
    h('div', { class: 'step-body' }, body),
  );
}

function list(steps: readonly StoryStep[]): HTMLElement {
  const rows = steps.map((each) =>
    h('li', {}, h('span', { class: 'quiet' }, timeOfDay(each.atMs)), ` ${stepDetail(each)}`),
  );
  return h('ol', { class: 'lines small', 'aria-label': 'Messages' }, ...rows);
}
