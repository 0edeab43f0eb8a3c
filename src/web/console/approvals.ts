/**
 * What waits for the owner: each question with what was verified and what is only claimed told apart, and five answers.
 */
import { limitInWords } from '../../base/money.ts';
import type { ApprovalView } from '../../nodes/gateway/approval-view.ts';
import { post } from './client.ts';
import { h, KeyedList } from './dom.ts';
import { button, card, confirmed, facts, faultLine } from './parts.ts';
import { dateAndTime } from './words.ts';

export class Approvals {
  readonly element: HTMLElement;
  readonly #list: KeyedList<ApprovalView>;
  readonly #none = h('p', { class: 'quiet' }, 'Nothing waits for you.');
  readonly #told = h('p', { class: 'hidden', role: 'status' });

  constructor() {
    const items = h('div', { class: 'stack' });
    this.#list = new KeyedList(
      items,
      ({ joinId }) => joinId,
      (view) => question(view, () => this.element.querySelector('h2')?.focus()),
    );
    this.element = card('approvals', 'Waiting for your answer', this.#told, this.#none, items);
  }

  /** Brings a question before the person, from a notification. */
  show(joinId: string): void {
    const heading = document.getElementById(titleOf(joinId)) ?? this.element.querySelector('h2');
    heading?.scrollIntoView({ block: 'center' });
    heading?.focus();
  }

  update(approvals: readonly ApprovalView[]): void {
    this.#none.hidden = approvals.length > 0;
    this.#list.update(approvals);
    const said = approvals.length === 0 ? '' : `${approvals.length} waiting for your answer`;
    if (this.#told.textContent !== said) this.#told.textContent = said;
    document.title = approvals.length === 0 ? 'Gateway' : `(${approvals.length}) Gateway`;
  }
}

const titleOf = (joinId: string): string => `ask-${joinId.slice(0, 16)}`;

function question(view: ApprovalView, onAnswered: () => void): HTMLElement {
  const fault = faultLine();
  const title = titleOf(view.joinId);
  const who = `${view.user}’s gateway “${view.gateway}”`;
  const answer = (text: string, allow: boolean, always: boolean, look: string) =>
    button(
      text,
      async () => {
        await post('decide', { joinId: view.joinId, allow, always });
        // The question goes, and the focus with it, unless it is put somewhere.
        onAnswered();
      },
      fault.say,
      { class: look, label: `${text}: ${view.pne}, ${view.gateway}` },
    );
  const report = async () => {
    const text =
      'The answer is no, to this and to all that this gateway asks from now on, for every device of yours. What it said is kept here with its signatures, in a file for your operator; nothing is sent by itself.';
    if (!(await confirmed(`Report ${who}?`, text, 'Report it'))) return;
    await post('report', { joinId: view.joinId });
    onAnswered();
  };
  const cost = `up to ${limitInWords(view.limit, view.currency, view.periodDays)}`;
  return h(
    'article',
    { class: 'card question', 'aria-labelledby': title },
    h(
      'h3',
      { id: title, tabindex: '-1' },
      `${who} wants your “${view.pne}” to join “${view.claimedPnName}”; charges ${cost}.`,
    ),
    facts(
      ['Who asks', `${view.user}, gateway “${view.gateway}” (the operator vouches for both)`],
      [
        'Network',
        `“${view.claimedPnName}”, ${view.setupType === 'new' ? 'a new one' : 'one that exists'} (their own word)`,
      ],
      ['Charged to you', cost],
      ['Answer by', dateAndTime(view.deadline * 1000)],
    ),
    h(
      'div',
      { class: 'row' },
      answer('Allow once', true, false, 'button-primary'),
      answer('Allow always', true, true, ''),
      answer('Deny', false, false, ''),
      answer('Never', false, true, 'button-danger'),
      button('Report', report, fault.say, {
        class: 'button-danger',
        label: `Report: ${view.pne}, ${view.gateway}`,
      }),
    ),
    h(
      'p',
      { class: 'quiet small' },
      '“Always” and “never” are about this device with this very gateway; “always” up to this cost.',
    ),
    fault.element,
  );
}
