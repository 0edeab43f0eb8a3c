/** The personal networks that this gateway opened, with their members and links; and how the gateway is. */
import type { ConsoleView, HealthView, MemberView, PnView } from '../../console/view.ts';
import { h, Region } from './dom.ts';
import { badge, card, facts, type Mood } from './parts.ts';

export class Networks {
  readonly element: HTMLElement;
  readonly #region: Region<readonly PnView[]>;

  constructor() {
    const place = h('div', { class: 'stack' });
    this.element = card('networks', 'Personal networks', place);
    this.#region = new Region(place, (pns) =>
      pns.length === 0 ? [h('p', { class: 'quiet' }, 'This gateway has opened none.')] : pns.map(network),
    );
  }

  update(pns: readonly PnView[]): void {
    this.#region.update(pns);
  }
}

function network({ pnId, name, version, inviting, members }: PnView): HTMLElement {
  const title = `pn-${pnId}`;
  const linked = members.filter(({ link }) => link).length;
  return h(
    'article',
    { class: 'stack', 'aria-labelledby': title },
    h('h3', { id: title }, name),
    h(
      'p',
      { class: 'quiet small' },
      `${members.length === 1 ? '1 device' : `${members.length} devices`}, ${linked} linked now; version ${version}${inviting ? '; inviting' : ''}`,
    ),
    members.length === 0
      ? undefined
      : h('ul', { class: 'list tree' }, ...members.map((each) => member(each))),
  );
}

function member({ joinId, handle, label, state, meaning, link }: MemberView): HTMLElement {
  const [text, mood]: readonly [string, Mood] =
    state === 'refused'
      ? ['refused', 'bad']
      : state === 'pending'
        ? ['joining', 'busy']
        : link
          ? ['linked', 'good']
          : ['away', 'quiet'];
  const name = label ?? (handle === null ? `join ${joinId.slice(0, 8)}` : `member ${handle}`);
  const why = meaning === null ? undefined : h('p', { class: 'quiet small' }, meaning);
  return h('li', { class: 'entry' }, h('div', {}, h('p', { class: 'label' }, name), why), badge(text, mood));
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
