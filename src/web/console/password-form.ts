/** Setting a password; with what else lets in or listens named, to be taken away in the same go. */
import type { ConsoleView } from '../../console/view.ts';
import { post } from './client.ts';
import { h } from './dom.ts';
import { faultLine, form } from './parts.ts';
import { withRecentLogin } from './recent-login.ts';

type Named = readonly { readonly name: string }[];

export class PasswordForm {
  readonly element: HTMLElement;
  readonly #done = h('p', { role: 'status' });
  readonly #alone = h('input', { id: 'alone', type: 'checkbox' });
  readonly #others = h('span');
  readonly #offer = h(
    'div',
    { class: 'check', hidden: true },
    this.#alone,
    h('label', { for: 'alone' }, 'Take away all else that was added: ', this.#others),
  );

  constructor() {
    const fault = faultLine();
    const input = h('input', {
      id: 'new-password',
      type: 'password',
      autocomplete: 'new-password',
      minlength: '10',
      maxlength: '128',
      required: true,
      'aria-describedby': 'new-password-help',
    });
    const submit = h('button', { type: 'submit', class: 'button' }, 'Set the password');
    const set = async () => {
      const wanted = { password: input.value, alone: this.#alone.checked };
      await withRecentLogin(() => post('password', wanted));
      input.value = '';
      this.#alone.checked = false;
      this.#done.textContent = wanted.alone
        ? 'The password is set, and the only way in besides links. Other browsers are logged out.'
        : 'The password is set. Other browsers are logged out.';
    };
    this.element = form(
      submit,
      set,
      fault.say,
      h(
        'div',
        { class: 'field' },
        h('label', { for: 'new-password' }, 'New password'),
        input,
        h(
          'p',
          { id: 'new-password-help', class: 'quiet small' },
          'At least ten characters. With it you can log in without a link from the shell.',
        ),
      ),
      this.#offer,
      fault.element,
      this.#done,
      h('div', { class: 'row' }, submit),
    );
  }

  update(passkeys: ConsoleView['access']['passkeys'], browsers: ConsoleView['browsers']): void {
    const others = [...named('passkey', passkeys), ...named('notified browser', browsers)].join(', ');
    if (this.#others.textContent === others) return;
    this.#others.textContent = others;
    this.#offer.hidden = others === '';
    // What was agreed to is not what is there now.
    this.#alone.checked = false;
  }
}

const named = (what: string, all: Named): readonly string[] => all.map(({ name }) => `${what} “${name}”`);
