/** Who may come in: passkeys, the password, sessions, the certificate's fingerprint, logging out. */
import type { ConsoleView } from '../../console/view.ts';
import { post } from './client.ts';
import { h, Region } from './dom.ts';
import { button, card, facts, faultLine, form } from './parts.ts';
import { Passkeys } from './passkeys.ts';

export class Access {
  readonly element: HTMLElement;
  readonly #facts: Region<Pick<ConsoleView['access'], 'hasPassword' | 'sessions' | 'fingerprint'>>;
  readonly #remove: HTMLButtonElement;
  readonly #passkeys = new Passkeys();

  constructor() {
    const fault = faultLine();
    const place = h('div');
    this.#facts = new Region(place, ({ hasPassword, sessions, fingerprint }) => [
      facts(
        ['Password', hasPassword ? 'set' : 'none'],
        ['Logged in', sessions === 1 ? 'this browser only' : `${sessions} browsers`],
        ['Certificate', h('span', { class: 'code small' }, fingerprint)],
      ),
    ]);
    this.#remove = button('Remove the password', () => post('password', { password: null }), fault.say);
    const logout = (everywhere: boolean) => post('logout', { everywhere }).then(() => location.reload());
    this.element = card(
      'access',
      'Access',
      place,
      this.#passkeys.element,
      passwordForm(),
      fault.element,
      h(
        'div',
        { class: 'row' },
        this.#remove,
        button('Log out', () => logout(false), fault.say),
        button('Log out everywhere', () => logout(true), fault.say),
      ),
    );
  }

  update({ access }: ConsoleView): void {
    const { hasPassword, sessions, fingerprint } = access;
    this.#facts.update({ hasPassword, sessions, fingerprint });
    this.#passkeys.update(access);
    this.#remove.hidden = !hasPassword;
  }
}

function passwordForm(): HTMLElement {
  const fault = faultLine();
  const done = h('p', { role: 'status' });
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
    await post('password', { password: input.value });
    input.value = '';
    done.textContent = 'The password is set; other browsers are logged out.';
  };
  return form(
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
    fault.element,
    done,
    h('div', { class: 'row' }, submit),
  );
}
