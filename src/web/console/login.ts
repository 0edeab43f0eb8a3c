/** The page before a login: how to get a link, and the password where one is set. */
import { type Greeting, post } from './client.ts';
import { h } from './dom.ts';
import { card, faultLine } from './parts.ts';

/** @param why what a person should know first: that a link is spent, say */
export function loginPage(greeting: Greeting, why: string | undefined, onDone: () => void): HTMLElement {
  const parts = [
    h('header', { class: 'bar' }, h('h1', { tabindex: '-1' }, 'Log in at this gateway')),
    why === undefined ? undefined : h('p', { class: 'notice notice-bad', role: 'alert' }, why),
    greeting.hasPassword ? passwordForm(onDone) : undefined,
    card(
      'link',
      'With a link',
      h('p', {}, 'On the gateway, in a shell, run'),
      h('p', { class: 'code' }, 'cpns gateway console'),
      h('p', {}, 'It shows a link and a QR. The link logs in once, within ten minutes.'),
    ),
    h(
      'p',
      { class: 'quiet small' },
      'This page’s certificate should have the fingerprint that the shell shows. It is said to be ',
      h('span', { class: 'code' }, greeting.fingerprint),
      ', and only the browser’s own view of the certificate proves it.',
    ),
  ];
  return h('main', { class: 'page' }, ...parts);
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
  const form = h(
    'form',
    {
      class: 'stack',
      on: {
        submit: (event) => {
          event.preventDefault();
          submit.disabled = true;
          post('login-password', { password: input.value })
            .then(onDone, (error) => {
              fault.say(
                error instanceof Error && error.message.startsWith('The request carries') ? WRONG : error,
              );
              input.select();
            })
            .finally(() => {
              submit.disabled = false;
            });
        },
      },
    },
    h('div', { class: 'field' }, h('label', { for: 'password' }, 'Password'), input),
    fault.element,
    submit,
  );
  return card('password-card', 'With your password', form);
}

const WRONG = new Error('That is not the password.');
