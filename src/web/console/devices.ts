/** The PNEs whose home this gateway is: who they are, taking one off, and enrolling another. */
import type { ConsoleView, EnrolmentView, PneView, ShownCodeView } from '../../console/view.ts';
import { post } from './client.ts';
import { h, KeyedList, qrPicture, Region } from './dom.ts';
import { badge, button, card, confirmed, faultLine, form } from './parts.ts';

export class Devices {
  readonly element: HTMLElement;
  readonly #list: KeyedList<PneView>;
  readonly #none = h('p', { class: 'quiet' }, 'No device is enrolled here yet.');
  readonly #fault = faultLine();

  constructor() {
    const items = h('ul', { class: 'list' });
    this.#list = new KeyedList(
      items,
      ({ thumbprint }) => thumbprint,
      (pne) => this.#entry(pne),
    );
    this.element = card('devices', 'Your devices', this.#none, items, this.#fault.element);
  }

  update(pnes: readonly PneView[]): void {
    this.#none.hidden = pnes.length > 0;
    this.#list.update(pnes);
  }

  #entry({ thumbprint, label, acknowledged, revoked }: PneView): HTMLElement {
    const name = label ?? thumbprint.slice(0, 16);
    const state = revoked
      ? badge('taken off', 'bad')
      : badge(
          acknowledged ? 'enrolled' : 'enrolled, not yet confirmed by it',
          acknowledged ? 'good' : 'busy',
        );
    const revoke = async () => {
      const text =
        'From now on this home answers that it is not yours: it joins nothing new. Networks that it is in keep it until their gateway or the operator lets it go. Enrolling it again takes it back.';
      if (await confirmed(`Take “${name}” off?`, text, 'Take it off')) await post('revoke', { thumbprint });
    };
    return h(
      'li',
      { class: 'entry' },
      h(
        'div',
        {},
        h('p', { class: 'label' }, name),
        h('p', { class: 'quiet small code' }, thumbprint.slice(0, 16)),
        state,
      ),
      revoked
        ? undefined
        : button('Take off', revoke, this.#fault.say, { class: 'button-danger', label: `Take off ${name}` }),
    );
  }
}

export class Enrol {
  readonly element: HTMLElement;
  readonly #typed: HTMLElement;
  readonly #shown: HTMLElement;
  readonly #code = h('div', { class: 'stack' });
  readonly #progress: Region<readonly EnrolmentView[]>;
  readonly #fault = faultLine();
  #show: HTMLButtonElement | undefined;
  #isShowing = false;

  constructor() {
    const progress = h('div', { class: 'stack', role: 'status' });
    this.#progress = new Region(progress, (list) => list.map((each) => this.#progressOf(each)));
    this.#typed = this.#form();
    this.#shown = this.#offer();
    this.element = card('enrol', 'Add a device', this.#typed, this.#shown, progress, this.#fault.element);
  }

  update({ canScan, canShowCode, enrolments }: ConsoleView): void {
    this.#typed.hidden = !canScan;
    this.#shown.hidden = !canShowCode;
    this.#progress.update(enrolments);
    const isWaiting = enrolments.some(
      ({ by, state }) => by === 'shown' && (state === 'waiting' || state === 'comparing'),
    );
    // The code was used, or its time is over.
    if (this.#isShowing && !isWaiting) this.#hide();
  }

  #form(): HTMLElement {
    const fault = faultLine();
    const input = h('input', {
      id: 'code',
      autocomplete: 'off',
      autocapitalize: 'characters',
      spellcheck: 'false',
      maxlength: '128',
      required: true,
      'aria-describedby': 'code-help',
    });
    const submit = h('button', { type: 'submit', class: 'button button-primary' }, 'Find and enrol it');
    const pair = async () => {
      await post('pair', { code: input.value });
      input.value = '';
    };
    return form(
      submit,
      pair,
      fault.say,
      h(
        'div',
        { class: 'field' },
        h('label', { for: 'code' }, 'Code that the device shows'),
        input,
        h(
          'p',
          { id: 'code-help', class: 'quiet small' },
          'On a Pi: cpns pne enrol. Ten groups of five letters.',
        ),
      ),
      fault.element,
      submit,
    );
  }

  #offer(): HTMLElement {
    const fault = faultLine();
    const show = async () => {
      const shown = (await post('show-code', {})) as ShownCodeView;
      this.#isShowing = true;
      this.#code.replaceChildren(...this.#drawCode(shown));
    };
    this.#show = button('Show a code', show, fault.say);
    const why = h('p', { class: 'quiet small' }, 'For a phone, or a device that connects by itself.');
    return h('div', { class: 'stack' }, this.#show, why, this.#code, fault.element);
  }

  #drawCode({ code, url, expiresInMs, modules }: ShownCodeView): readonly HTMLElement[] {
    const hide = async () => {
      await post('hide-code', {});
      this.#hide();
    };
    const where =
      url === null
        ? 'Scan it with the device, or type it in there.'
        : 'Scan it with the phone: it opens the phone’s page, with the code.';
    const minutes = Math.round(expiresInMs / 60_000);
    const picture = h('div', { class: 'qr-frame' });
    picture.append(qrPicture(modules, 'QR of the code'));
    return [
      picture,
      h('p', { class: 'code', id: 'shown-code' }, code),
      h('p', {}, `${where} It lives for ${minutes} minutes and enrols one device.`),
      button('Take it back', hide, this.#fault.say),
    ];
  }

  #progressOf(view: EnrolmentView): HTMLElement {
    return view.state === 'comparing' ? this.#comparison(view) : progressLine(view);
  }

  #comparison({ label, digits }: EnrolmentView): HTMLElement {
    const answer = (same: boolean) => () => post('compared', { digits, same });
    return h(
      'div',
      { class: 'notice stack' },
      h('p', {}, `“${label}” has the code. Look at your device: does it show this number?`),
      h('p', { class: 'digits code', id: 'digits' }, `${digits?.slice(0, 3)} ${digits?.slice(3)}`),
      h(
        'div',
        { class: 'row' },
        button('The same', answer(true), this.#fault.say, { class: 'button-primary' }),
        button('Different', answer(false), this.#fault.say, { class: 'button-danger' }),
      ),
    );
  }

  #hide(): void {
    const hadFocus = this.#code.contains(document.activeElement);
    this.#isShowing = false;
    this.#code.replaceChildren();
    if (hadFocus) this.#show?.focus();
  }
}

function progressLine({ by, state, label, meaning }: EnrolmentView): HTMLElement {
  const what = by === 'typed' ? 'The code you typed in' : 'The code shown here';
  if (state === 'waiting') {
    const waits = by === 'typed' ? 'the device is looked for' : 'waits for its device';
    return h('p', { class: 'notice' }, `${what}: ${waits}.`);
  }
  if (state === 'done') return h('p', { class: 'notice notice-good' }, `“${label}” is yours now.`);
  return h('p', { class: 'notice notice-bad' }, `${what}: ${meaning ?? 'it failed.'}`);
}
