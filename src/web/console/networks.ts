/** The personal networks that this gateway opened, with their members and links; and how the gateway is. */
import type { ConsoleView, HealthView, MemberView, PnView } from '../../console/view.ts';
import { drawn, h, KeyedList, Region } from './dom.ts';
import { drawGraph, type LinkState, linkState, memberName } from './graph.ts';
import { badge, card, facts, type Mood } from './parts.ts';

export class Networks {
  readonly element: HTMLElement;
  readonly #list: KeyedList<PnView & { readonly gateway: string }>;
  readonly #none = h('p', { class: 'quiet' }, 'This gateway has opened none.');

  constructor() {
    const place = h('div', { class: 'stack' });
    this.element = card('networks', 'Personal networks', this.#none, place);
    this.#list = new KeyedList(place, ({ pnId }) => pnId, network);
  }

  update({ pns, gateway: { label } }: Pick<ConsoleView, 'pns' | 'gateway'>): void {
    this.#none.hidden = pns.length > 0;
    this.#list.update(pns.map((pn) => ({ ...pn, gateway: label })));
  }
}

function network({
  pnId,
  name,
  version,
  inviting,
  members,
  gateway,
}: PnView & { readonly gateway: string }): HTMLElement {
  const title = `pn-${pnId}`;
  const linked = members.filter(({ link }) => link).length;
  // Who was refused is in the list alone: it is no part of the network.
  const shown = members.filter(({ state }) => state !== 'refused');
  return h(
    'article',
    { class: 'stack', 'aria-labelledby': title },
    h('h3', { id: title }, name),
    h(
      'p',
      { class: 'quiet small' },
      `${members.length === 1 ? '1 device' : `${members.length} devices`}, ${linked} linked now; version ${version}${inviting ? '; inviting' : ''}`,
    ),
    shown.length === 0 ? undefined : picture((width) => drawGraph(name, gateway, shown, width)),
    shown.length === 0 ? undefined : legend(),
    members.length === 0
      ? undefined
      : h('ul', { class: 'list tree' }, ...members.map((each) => member(each))),
  );
}

/** Drawn anew whenever its place has another width, in letters of the page. */
function picture(draw: (width: number) => SVGElement): HTMLElement {
  const place = h('div', { class: 'graph-frame' });
  let drawnFor = 0;
  new ResizeObserver(() => {
    const letter = Number.parseFloat(getComputedStyle(document.documentElement).fontSize) / 16;
    const width = Math.round(place.clientWidth / letter);
    if (width === drawnFor || width === 0) return;
    drawnFor = width;
    place.replaceChildren(draw(width));
  }).observe(place);
  return place;
}

/** For who sees the picture; the list has a word for each link. */
function legend(): HTMLElement {
  const line = (state: LinkState) =>
    h(
      'span',
      { class: 'legend' },
      drawn('svg', { width: 28, height: 8 }, drawn('path', { class: `edge edge-${state}`, d: 'M0 4H28' })),
      state,
    );
  return h(
    'p',
    { class: 'quiet small row', 'aria-hidden': 'true' },
    ...(['linked', 'away', 'joining'] as const).map(line),
  );
}

const MOODS: Readonly<Record<LinkState, Mood>> = { linked: 'good', away: 'quiet', joining: 'busy' };

function member(view: MemberView): HTMLElement {
  const state = linkState(view);
  const shown = view.state === 'refused' ? badge('refused', 'bad') : badge(state, MOODS[state]);
  const why = view.meaning === null ? undefined : h('p', { class: 'quiet small' }, view.meaning);
  return h('li', { class: 'entry' }, h('div', {}, h('p', { class: 'label' }, memberName(view)), why), shown);
}

export class Health {
  readonly element: HTMLElement;
  readonly #region: Region<Pick<ConsoleView, 'health' | 'gateway'>>;

  constructor() {
    const place = h('div', { class: 'stack' });
    this.element = card('health', 'How the gateway is', place);
    this.#region = new Region(place, ({ health, gateway }) => [
      facts(
        ['Bluetooth', radioLine(health)],
        ['In all', health.text],
        ['Links now', String(health.links)],
        ['Adapter profile', health.profile],
        ['Channel to the server', health.channel === 'up' ? 'up' : 'down: it is dialled again by itself'],
        ['Server', gateway.server],
        ['Home address', gateway.homeAddress],
      ),
      h('p', { class: 'quiet small' }, 'More about the adapter and what mends it: cpns doctor, in a shell.'),
    ]);
  }

  update({ health, gateway }: ConsoleView): void {
    this.#region.update({ health, gateway });
  }
}

function radioLine({ radio, why }: HealthView): string {
  return radio === 'ready' ? 'ready' : `waiting for the adapter${why === null ? '' : `: ${why}`}`;
}

export function healthBadge({ healthy, radio, channel }: HealthView): HTMLElement {
  if (radio === 'waiting') return badge('no Bluetooth', 'bad');
  if (healthy === false) return badge('in trouble', 'bad');
  return channel === 'up' ? badge('well', 'good') : badge('server out of reach', 'busy');
}
