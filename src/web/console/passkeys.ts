/** The owner's passkeys on the page: making, listing and removing them, and why there can be none at an address. */
import type { ConsoleView, PasskeyView } from '../../console/view.ts';
import { post } from './client.ts';
import { h, KeyedList, Region } from './dom.ts';
import { button, confirmed, faultLine, form } from './parts.ts';
import { addPasskey } from './passkey-calls.ts';
import { withRecentLogin } from './recent-login.ts';
import { dateAndTime } from './words.ts';

const ADDRESS = /^\[.*\]$|^\d+(\.\d+){3}$/;
/** Why there can be no passkey on this page, for the person before it; undefined where there can be. */
function whyNoPasskeys(
  names: readonly string[],
): { readonly why: string; readonly open: string[] } | undefined {
  if (ADDRESS.test(location.hostname)) {
    const open = names
      .filter((name) => name !== 'localhost')
      .map((name) => `https://${name}:${location.port || 443}/`);
    return {
      why: 'You came by an address. A passkey belongs to a name, never to an address: open the page by its name, log in there, and add it.',
      open,
    };
  }
  if (!('PublicKeyCredential' in window)) return { why: 'This browser has no passkeys.', open: [] };
  return undefined;
}

export class Passkeys {
  readonly element: HTMLElement;
  readonly #list: KeyedList<PasskeyView>;
  readonly #adding: Region<readonly string[]>;
  readonly #fault = faultLine();

  constructor() {
    const items = h('ul', { class: 'list' });
    this.#list = new KeyedList(
      items,
      ({ id }) => id,
      (passkey) => this.#entry(passkey),
    );
    const adding = h('div', { class: 'stack' });
    this.#adding = new Region(adding, (names) => {
      const none = whyNoPasskeys(names);
      return none ? [noPasskeys(none)] : [addForm()];
    });
    this.element = h(
      'div',
      { class: 'stack', role: 'group', 'aria-labelledby': 'passkeys-title' },
      h('h3', { id: 'passkeys-title' }, 'Passkeys'),
      items,
      this.#fault.element,
      adding,
    );
  }

  update({ passkeys, names }: ConsoleView['access']): void {
    this.#list.update(passkeys);
    this.#adding.update(names);
  }

  #entry({ id, name, rpId, addedAt, usedAt, wentBack }: PasskeyView): HTMLElement {
    const remove = async () => {
      const what =
        'It lets nobody in any more, and other browsers are logged out. On the device itself it stays until you delete it there.';
      if (await confirmed(`Remove the passkey “${name}”?`, what, 'Remove it'))
        await post('passkey-remove', { id });
    };
    const used = usedAt === null ? 'not used yet' : `used ${dateAndTime(usedAt * 1000)}`;
    return h(
      'li',
      { class: 'entry entry-tall' },
      h(
        'div',
        {},
        h('p', { class: 'label' }, name),
        h('p', { class: 'quiet small' }, `for ${rpId}; added ${dateAndTime(addedAt * 1000)}; ${used}`),
        wentBack
          ? h(
              'p',
              { class: 'fault small' },
              'Its count went back once, and it was not let in: somebody may have a copy. Remove it, and add another.',
            )
          : undefined,
      ),
      button('Remove', remove, this.#fault.say, {
        class: 'button-danger',
        label: `Remove the passkey ${name}`,
      }),
    );
  }
}

function noPasskeys({ why, open }: { readonly why: string; readonly open: readonly string[] }): HTMLElement {
  const links = open.map((url) => h('li', {}, h('a', { href: url }, url)));
  return h('div', { class: 'notice' }, h('p', {}, why), h('ul', {}, ...links));
}

function addForm(): HTMLElement {
  const fault = faultLine();
  const input = h('input', {
    id: 'passkey-name',
    maxlength: '64',
    required: true,
    autocomplete: 'off',
    'aria-describedby': 'passkey-help',
  });
  const submit = h('button', { type: 'submit', class: 'button' }, 'Add a passkey');
  const add = async () => {
    await withRecentLogin(() => addPasskey(input.value));
    input.value = '';
  };
  return form(
    submit,
    add,
    fault.say,
    h(
      'div',
      { class: 'field' },
      h('label', { for: 'passkey-name' }, 'Name of the new passkey'),
      input,
      h(
        'p',
        { id: 'passkey-help', class: 'quiet small' },
        `“My phone”, say. It lets in at ${location.hostname} only.`,
      ),
    ),
    fault.element,
    h('div', { class: 'row' }, submit),
  );
}
