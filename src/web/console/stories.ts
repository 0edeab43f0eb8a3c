/** What happened: stories that open into ladders, and steps that open into what went over the air. */
import type { StoryStep, StoryView } from '../../console/view.ts';
import { h, KeyedList } from './dom.ts';
import { type Rung, type RungState, rungs } from './ladder.ts';
import { badge, card } from './parts.ts';
import { dateAndTime, stepDetail, stepTitle, storyEnd, storyTitle, timeOfDay } from './words.ts';

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
  const known = new Map(
    [...(before?.querySelectorAll('details') ?? [])].map((each) => [each.dataset['step'], each.open]),
  );
  for (const each of rows.querySelectorAll('details'))
    each.open = known.get(each.dataset['step']) ?? each.open;
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

function ladder(steps: readonly StoryStep[]): HTMLElement {
  const shown = rungs(steps);
  const onLadder = new Set(shown.flatMap(({ seen }) => seen));
  const others = steps.filter((each) => !onLadder.has(each));
  const ol = h('ol', { class: 'ladder', 'aria-label': 'Steps' }, ...shown.map(drawRung));
  return others.length === 0 ? ol : h('div', { class: 'stack' }, ol, list(others));
}

const MARKS: Readonly<Record<RungState, string | undefined>> = {
  ...{ done: '✓', inferred: '(✓)', failed: '✕', unknown: '?', ahead: undefined },
};
const SPOKEN: Readonly<Record<RungState, string>> = {
  done: 'done',
  inferred: 'done, not seen from here',
  failed: 'failed here',
  unknown: 'not known here',
  ahead: 'not reached',
};
const WHY: Readonly<Partial<Record<RungState, string>>> = {
  inferred: 'Not seen from here; it follows from what came after.',
  unknown: 'Not seen from here, and nothing that came says so.',
};

function drawRung({ step, state, seen }: Rung): HTMLElement {
  const title = stepTitle(step) ?? '';
  const spoken = h('span', { class: 'hidden' }, `Step ${step}, ${SPOKEN[state]}: `);
  const lines = seen.map((each) =>
    h('p', { class: 'step-detail' }, `${timeOfDay(each.atMs)}  ${stepDetail(each)}`),
  );
  const why = WHY[state];
  if (why !== undefined) lines.push(h('p', { class: 'step-detail' }, why));
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
    { class: `step step-${state}${state === 'ahead' ? ' step-elsewhere' : ''}` },
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
