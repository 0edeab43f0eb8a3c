/** Ways to log in: how to get a link; the passkey and the password where there are such. The page before a login has them. */
import { type Greeting, post, Refused } from './client.ts';
import { type Child, h } from './dom.ts';
import { button, card, faultLine, form } from './parts.ts';
import { loginByPasskey } from './passkey-calls.ts';

/** @param why what a person should know first: that a link is spent, say */
export function loginPage(greeting: Greeting, why: string | undefined, onDone: () => void): HTMLElement {
  const parts = [
    h('header', { class: 'bar' }, h('h1', { tabindex: '-1' }, 'Log in at this gateway')),
    why === undefined ? undefined : h('p', { class: 'notice notice-bad', role: 'alert' }, why),
    ...waysIn(greeting, onDone),
    linkCard('It shows a link and a QR. The link logs in once, within ten minutes.'),
    h(
      'p',
      { class: 'quiet small' },
      'Before the first login here, compare the certificate’s SHA-256 fingerprint as the browser itself shows it with the one in the shell. This page says ',
      h('span', { class: 'code' }, greeting.fingerprint),
      ', which a page of somebody in between could say as well.',
    ),
  ];
  return h('main', { class: 'page' }, ...parts);
}

/** Without a shell. */
export function waysIn({ passkeyNames, hasPassword }: Greeting, onDone: () => void): readonly Child[] {
  return [
    passkeyNames.length > 0 ? passkeyCard(passkeyNames, onDone) : undefined,
    hasPassword ? passwordForm(onDone) : undefined,
  ];
}

/** @param what of the link that comes */
export function linkCard(what: string): HTMLElement {
  const how = h('p', {}, 'On the gateway, in a shell, run');
  return card(
    'link',
    'With a link',
    how,
    h('p', { class: 'code' }, 'cpns gateway console'),
    h('p', {}, what),
  );
}

/** @param names at which a passkey lets in: this page's, or where to go instead */
function passkeyCard(names: readonly string[], onDone: () => void): HTMLElement {
  const fault = faultLine();
  if (names.includes(location.hostname)) {
    const login = () => loginByPasskey().then(onDone);
    const enter = button('Log in with a passkey', login, fault.say, { class: 'button-primary' });
    return card('passkey', 'With a passkey', fault.element, enter);
  }
  const port = location.port || 443;
  const links = names.map((name) => {
    const url = `https://${name}:${port}/`;
    return h('li', {}, h('a', { href: url }, url));
  });
  const why = h('p', {}, 'A passkey belongs to a name, and yours are for another one than this page’s:');
  return card('passkey', 'With a passkey', why, h('ul', {}, ...links));
}

function passwordForm(onDone: () => void): HTMLElement {
  const fault = faultLine();
  const input = h('input', {
    id: 'password',
    type: 'password',
    autocomplete: 'current-password',
    required: true,
    maxlength: '128',
  });
  const submit = h('button', { type: 'submit', class: 'button button-primary' }, 'Log in');
  const login = () => post('login-password', { password: input.value }).then(onDone);
  const say = (error: unknown) => {
    fault.say(error instanceof Refused && error.status === 'not-authenticated' ? WRONG : error);
    if (error !== undefined) input.select();
  };
  const field = h('div', { class: 'field' }, h('label', { for: 'password' }, 'Password'), input);
  const entry = form(submit, login, say, field, fault.element, submit);
  return card('password-card', 'With your password', entry);
}

const WRONG = new Error('That is not the password.');
