/**
 * Passkeys on the page: logging in by one, and making, listing and removing them. Owns the calls of the browser and what a
 * person is told when they do not work here: at an address instead of a name, or past a certificate warning.
 */
import type { ConsoleView, PasskeyOptionsView, PasskeyView } from '../../console/view.ts';
import { bytes, text } from './base64url.ts';
import { post } from './client.ts';
import { h, KeyedList, Region } from './dom.ts';
import { button, confirmed, faultLine, form } from './parts.ts';
import { dateAndTime } from './words.ts';

const ADDRESS = /^\[.*\]$|^\d+(\.\d+){3}$/;
const CANCELLED = 'That was cancelled, took too long, or this device has no passkey for this name.';
const WARNED =
  'This browser makes no passkeys behind a certificate warning. Trust the gateway’s certificate on this device first: docs/console.md says how.';

/** Why there can be no passkey on this page, for the person before it; undefined where there can be. */
export function whyNoPasskeys(
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

/** @throws Error with what a person can do about it */
export async function loginByPasskey(): Promise<void> {
  const { rpId, challenge } = (await post('passkey-challenge', {})) as { rpId: string; challenge: string };
  const publicKey = { rpId, challenge: bytes(challenge), userVerification: 'required' } as const;
  const found = (await told(navigator.credentials.get({ publicKey }))) as PublicKeyCredential;
  const { clientDataJSON, authenticatorData, signature } = found.response as AuthenticatorAssertionResponse;
  await post('login-passkey', {
    id: found.id,
    clientData: text(clientDataJSON),
    authenticatorData: text(authenticatorData),
    signature: text(signature),
  });
}

async function addPasskey(name: string): Promise<void> {
  const { rpId, challenge, user, algorithms, known } = (await post('passkey-new', {})) as PasskeyOptionsView;
  const made = (await told(
    navigator.credentials.create({
      publicKey: {
        rp: { id: rpId, name: 'CPNS gateway' },
        user: { ...user, id: bytes(user.id) },
        challenge: bytes(challenge),
        pubKeyCredParams: algorithms.map((alg) => ({ type: 'public-key', alg })),
        excludeCredentials: known.map((id) => ({ type: 'public-key', id: bytes(id) })),
        authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
        attestation: 'none',
      },
    }),
  )) as PublicKeyCredential;
  const response = made.response as AuthenticatorAttestationResponse;
  const publicKey = response.getPublicKey();
  if (!publicKey) throw new Error('This authenticator makes keys that the gateway does not know.');
  await post('passkey-add', {
    name,
    passkey: {
      id: made.id,
      clientData: text(response.clientDataJSON),
      authenticatorData: text(response.getAuthenticatorData()),
      publicKey: text(publicKey),
      algorithm: response.getPublicKeyAlgorithm(),
    },
  });
}

/** What the browser says is for developers; this is for the person. */
async function told(asked: Promise<Credential | null>): Promise<Credential> {
  try {
    const credential = await asked;
    if (credential) return credential;
  } catch (error) {
    const { name, message } = error instanceof Error ? error : { name: '', message: '' };
    if (/certificate/i.test(message)) throw new Error(WARNED);
    if (name === 'InvalidStateError') throw new Error('This device has a passkey for this gateway already.');
    if (name !== 'NotAllowedError') throw error;
  }
  throw new Error(CANCELLED);
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
    await addPasskey(input.value);
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
