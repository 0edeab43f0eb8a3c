/** Gateways that the owner reported: the file for the operator, and taking a report back. */
import type { ConsoleView } from '../../console/view.ts';
import { post } from './client.ts';
import { h, KeyedList } from './dom.ts';
import { button, card, confirmed, faultLine } from './parts.ts';
import { dateAndTime } from './words.ts';

type Report = ConsoleView['reports'][number];

export class Reports {
  readonly element: HTMLElement;
  readonly #list: KeyedList<Report>;
  readonly #fault = faultLine();

  constructor() {
    const items = h('ul', { class: 'list' });
    this.#list = new KeyedList(
      items,
      ({ joinId }) => joinId,
      (report) => this.#entry(report),
    );
    this.element = card(
      'reports',
      'Reported by you',
      h(
        'p',
        { class: 'quiet small' },
        'Nothing was sent to anybody. The file holds who asked and the signed evidence; give it to your operator, who can shut the gateway out.',
      ),
      items,
      this.#fault.element,
    );
    this.element.hidden = true;
  }

  update(reports: readonly Report[]): void {
    this.element.hidden = reports.length === 0;
    this.#list.update(reports);
  }

  #entry({ joinId, reportedAt, gateway, pne, claimedPnName }: Report): HTMLElement {
    const who = `${gateway.user}’s gateway “${gateway.label}”`;
    const withdraw = async () => {
      const text = 'It may ask again, for each of your devices. Save the file first if you want to keep it.';
      if (await confirmed(`Withdraw the report of ${who}?`, text, 'Withdraw it'))
        await post('withdraw-report', { joinId });
    };
    return h(
      'li',
      { class: 'entry entry-tall' },
      h(
        'div',
        {},
        h('p', { class: 'label' }, who),
        h(
          'p',
          { class: 'quiet small' },
          `wanted “${pne.label ?? pne.thumbprint.slice(0, 16)}” for “${claimedPnName}”; reported ${dateAndTime(reportedAt * 1000)}`,
        ),
        h('p', { class: 'quiet small code' }, gateway.gatewayId),
      ),
      h(
        'div',
        { class: 'row' },
        h(
          'a',
          {
            class: 'button',
            href: `/api/report/${joinId}`,
            download: '',
            'aria-label': `Save the file: ${who}`,
          },
          'Save the file',
        ),
        button('Withdraw', withdraw, this.#fault.say, { label: `Withdraw: ${who}` }),
      ),
    );
  }
}
