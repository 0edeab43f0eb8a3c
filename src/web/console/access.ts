/** Who may come in: passkeys, the password, sessions, the certificate's fingerprint, logging out. */
import type { ConsoleView } from '../../console/view.ts';
import { post } from './client.ts';
import { h, Region } from './dom.ts';
import { button, card, facts, faultLine } from './parts.ts';
import { Passkeys } from './passkeys.ts';
import { PasswordForm } from './password-form.ts';

export class Access {
  readonly element: HTMLElement;
  readonly #facts: Region<Pick<ConsoleView['access'], 'hasPassword' | 'sessions' | 'fingerprint'>>;
  readonly #remove: HTMLButtonElement;
  readonly #passkeys = new Passkeys();
  readonly #password = new PasswordForm();

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
      this.#password.element,
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

  update({ access, browsers }: ConsoleView): void {
    const { hasPassword, sessions, fingerprint } = access;
    this.#facts.update({ hasPassword, sessions, fingerprint });
    this.#passkeys.update(access);
    this.#password.update(access.passkeys, browsers);
    this.#remove.hidden = !hasPassword;
  }
}
