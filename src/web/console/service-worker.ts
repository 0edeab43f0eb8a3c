/**
 * Takes push messages while the console is closed: shows what is asked, and opens the page at that question. Keeps nothing and
 * answers no request of the page.
 */
import type { PushMessage } from '../../console/view.ts';

interface Scope {
  readonly registration: ServiceWorkerRegistration;
  readonly clients: {
    matchAll(options: { type: 'window'; includeUncontrolled: boolean }): Promise<readonly Window[]>;
    openWindow(url: string): Promise<unknown>;
  };
  skipWaiting(): Promise<void>;
  addEventListener(type: 'install', listener: (event: Waiting) => void): void;
  addEventListener(type: 'push', listener: (event: Pushed) => void): void;
  addEventListener(type: 'notificationclick', listener: (event: Clicked) => void): void;
}

interface Waiting {
  waitUntil(work: Promise<unknown>): void;
}

/** A page of this gateway that is open. */
interface Window {
  readonly url: string;
  focus(): Promise<unknown>;
  postMessage(message: unknown): void;
}

interface Pushed extends Waiting {
  readonly data: { json(): unknown } | null;
}

interface Clicked extends Waiting {
  readonly notification: Notification;
}

const scope = globalThis as unknown as Scope;

scope.addEventListener('install', (event) => event.waitUntil(scope.skipWaiting()));

scope.addEventListener('push', (event) => {
  const { title, body, joinId } = read(event);
  // One for each question: a second message about it takes the place of the first.
  const options = { body, tag: joinId ?? 'trial', data: joinId, requireInteraction: joinId !== null };
  event.waitUntil(scope.registration.showNotification(title, options));
});

/** A browser wants something shown for every message, also for one that can't be read. */
function read({ data }: Pushed): PushMessage {
  try {
    const { title, body, joinId } = (data?.json() ?? {}) as Partial<Record<keyof PushMessage, unknown>>;
    if (typeof title === 'string' && typeof body === 'string')
      return { title, body, joinId: typeof joinId === 'string' ? joinId : null };
  } catch {
    // Said below.
  }
  return { title: 'Gateway', body: 'There is something for you on the page.', joinId: null };
}

scope.addEventListener('notificationclick', (event) => {
  event.notification.close();
  event.waitUntil(show(event.notification.data));
});

async function show(joinId: unknown): Promise<void> {
  const page = new URL('./', scope.registration.scope).href;
  const windows = await scope.clients.matchAll({ type: 'window', includeUncontrolled: true });
  // The phone's page is below this one, and is not meant.
  const open = windows.find(({ url }) => url.split('#')[0] === page);
  if (!open) {
    await scope.clients.openWindow(typeof joinId === 'string' ? `${page}#question=${joinId}` : page);
    return;
  }
  open.postMessage({ question: joinId });
  await open.focus();
}
