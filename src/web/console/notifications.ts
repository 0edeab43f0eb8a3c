/**
 * Notifications while the page is closed: adding this browser, the list of those that were added, trying and removing one.
 * Owns the calls of the browser and what a person is told, before and after. The messages themselves are service-worker.ts.
 */
import type { BrowserView, ConsoleView } from '../../console/view.ts';
import { bytes, text } from './base64url.ts';
import { post } from './client.ts';
import { h, KeyedList } from './dom.ts';
import { button, card, faultLine, form } from './parts.ts';
import { withRecentLogin } from './recent-login.ts';

const WORKER = '/service-worker.js';
const SUBSCRIBED_WITHIN_MS = 20_000;
const PROMISE =
  'Switched on, the gateway sends a message at each question to the push service of your browser: Google’s, Mozilla’s, Apple’s or Microsoft’s. That service learns when, and for which browser; what is asked is encrypted for this browser alone. Off, the gateway contacts none of them.';

export class Notifications {
  readonly element: HTMLElement;
  readonly #list: KeyedList<BrowserView>;
  readonly #fault = faultLine();
  readonly #done = h('p', { role: 'status' });

  constructor() {
    const items = h('ul', { class: 'list' });
    this.#list = new KeyedList(
      items,
      ({ id }) => id,
      (browser) => this.#entry(browser),
    );
    const why = whyNone();
    this.element = card(
      'notifications',
      'Notifications',
      h('p', { class: 'quiet small' }, PROMISE),
      items,
      this.#done,
      this.#fault.element,
      why === undefined ? this.#form() : h('p', { class: 'notice' }, why),
    );
  }

  update({ browsers }: Pick<ConsoleView, 'browsers'>): void {
    this.#list.update(browsers);
  }

  #entry({ id, name, detail, service, last }: BrowserView): HTMLElement {
    const tell = (result: string) => {
      this.#done.textContent = `${name}: ${result}.`;
    };
    const trial = async () => tell(((await post('push-trial', { id })) as { result: string }).result);
    const remove = async () => {
      await post('push-remove', { id });
      // Of this very browser its own half goes as well.
      const own = await ownSubscription();
      if (own && (await idOf(own.endpoint)) === id) await own.unsubscribe();
      tell('taken off');
    };
    const says = detail ? 'says what is asked' : 'says only that something is asked';
    return h(
      'li',
      { class: 'entry entry-tall' },
      h(
        'div',
        {},
        h('p', { class: 'label' }, name),
        h('p', { class: 'quiet small' }, `by ${service}; ${says}${last === null ? '' : `; last: ${last}`}`),
      ),
      h(
        'div',
        { class: 'row' },
        button('Try it', trial, this.#fault.say, { label: `Try it: ${name}` }),
        button('Take off', remove, this.#fault.say, {
          class: 'button-danger',
          label: `Take off: ${name}`,
        }),
      ),
    );
  }

  #form(): HTMLElement {
    const name = h('input', { id: 'browser-name', maxlength: '64', required: true, autocomplete: 'off' });
    const detail = h('input', { id: 'browser-detail', type: 'checkbox', checked: true });
    const submit = h('button', { type: 'submit', class: 'button' }, 'Notify this browser');
    const add = async () => {
      await withRecentLogin(() => subscribe(name.value, detail.checked));
      name.value = '';
      this.#done.textContent = 'Switched on. Try it, with the page closed if you like.';
    };
    return form(
      submit,
      add,
      this.#fault.say,
      h('div', { class: 'field' }, h('label', { for: 'browser-name' }, 'Name of this browser'), name),
      h(
        'div',
        { class: 'check' },
        detail,
        h('label', { for: 'browser-detail' }, 'Say what is asked: whoever sees the screen can read it'),
      ),
      h('div', { class: 'row' }, submit),
    );
  }
}

/** @returns why this browser has none here; undefined where it may */
function whyNone(): string | undefined {
  if ('serviceWorker' in navigator && 'PushManager' in window) return undefined;
  return 'This browser has no notifications for this page; none on an iPhone has.';
}

/** @throws Error with what a person can do about it */
async function subscribe(name: string, detail: boolean): Promise<void> {
  if ((await Notification.requestPermission()) !== 'granted')
    throw new Error('This browser forbids the page to notify. You can allow it at the left of the address.');
  const registration = await worker();
  const { publicKey } = (await post('push-key', {})) as { publicKey: string };
  const subscription = await subscribed(registration, publicKey);
  const { endpoint } = subscription;
  const [p256dh, auth] = [subscription.getKey('p256dh'), subscription.getKey('auth')];
  if (!p256dh || !auth) throw new Error('This browser gave no key to encrypt to.');
  const keys = { p256dh: text(p256dh), auth: text(auth) };
  const { isTaken } = (await post('push-subscribe', { name, detail, endpoint, ...keys })) as {
    isTaken: boolean;
  };
  if (isTaken) return;
  await subscription.unsubscribe();
  const { host } = new URL(endpoint);
  throw new Error(
    `The gateway does not know the push service ${host}. push_hosts in its configuration can name it.`,
  );
}

/** The one script address that the page's policy lets through; a policy can be made once. */
const workerUrl = (
  window.trustedTypes?.createPolicy('cpns-worker', { createScriptURL: () => WORKER }) ?? {
    createScriptURL: () => WORKER,
  }
).createScriptURL('');

async function worker(): Promise<ServiceWorkerRegistration> {
  try {
    await navigator.serviceWorker.register(workerUrl as string, { scope: '/', updateViaCache: 'none' });
  } catch {
    throw new Error(
      'This browser runs nothing in the background behind a certificate warning. Trust the gateway’s certificate on this device first: docs/console.md says how.',
    );
  }
  return navigator.serviceWorker.ready;
}

/** One that was made with an older key of the gateway is of no use any more. */
async function subscribed(
  registration: ServiceWorkerRegistration,
  publicKey: string,
): Promise<PushSubscription> {
  const { pushManager } = registration;
  const known = await pushManager.getSubscription();
  const key = known?.options.applicationServerKey;
  if (known && key && text(key) === publicKey) return known;
  await known?.unsubscribe();
  // Without the internet Chromium waits for its push service for ever.
  const late = new Promise<never>((_, reject) => setTimeout(reject, SUBSCRIBED_WITHIN_MS));
  const options = { userVisibleOnly: true, applicationServerKey: bytes(publicKey) };
  try {
    return await Promise.race([pushManager.subscribe(options), late]);
  } catch {
    throw new Error(
      'This browser did not reach its push service. It needs the internet for that, and a window that is not a private one.',
    );
  }
}

async function ownSubscription(): Promise<PushSubscription | null> {
  const registration = await navigator.serviceWorker?.getRegistration('/');
  return (await registration?.pushManager.getSubscription()) ?? null;
}

/** As the gateway names it. */
async function idOf(endpoint: string): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(endpoint)));
  return Array.from(hash.subarray(0, 16), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Takes away what tells of questions that have been answered. @param waiting join IDs */
export async function closeAnswered(waiting: readonly string[]): Promise<void> {
  const registration = await navigator.serviceWorker?.getRegistration('/');
  for (const notification of (await registration?.getNotifications()) ?? [])
    if (notification.data && !waiting.includes(notification.data)) notification.close();
}
