/**
 * Keeps the page for when there is no network: everything at installation, answers from there first, and a new version as
 * a whole when its list of files changed. Owns the cache; must not know the page. The list is put in by the build.
 */

interface Scope {
  readonly location: { readonly href: string };
  skipWaiting(): Promise<void>;
  readonly clients: { claim(): Promise<void> };
  addEventListener(type: 'install' | 'activate', listener: (event: Waiting) => void): void;
  addEventListener(type: 'fetch', listener: (event: Fetching) => void): void;
}

interface Waiting {
  waitUntil(work: Promise<unknown>): void;
}

interface Fetching {
  readonly request: Request;
  respondWith(answer: Promise<Response>): void;
}

const scope = globalThis as unknown as Scope;
/** A version, then the files, relative to the worker; replaced by the build. */
const [version = '', ...files] = '__FILES__'.split(' ');
const CACHE = `cpns-pne ${version}`;
const page = new URL('./', scope.location.href).href;

scope.addEventListener('install', (event) => {
  const work = caches
    .open(CACHE)
    .then((cache) => cache.addAll(files.map((file) => new URL(file, page).href)));
  event.waitUntil(work.then(() => scope.skipWaiting()));
});

scope.addEventListener('activate', (event) => {
  const old = (name: string) => name.startsWith('cpns-pne ') && name !== CACHE;
  const work = caches
    .keys()
    .then((names) => Promise.all(names.filter(old).map((name) => caches.delete(name))))
    .then(() => scope.clients.claim());
  event.waitUntil(work);
});

scope.addEventListener('fetch', (event) => {
  const { request } = event;
  if (request.method !== 'GET' || !request.url.startsWith(page)) return;
  // A navigation may carry anything behind the path; the page is one and the same.
  const wanted = request.mode === 'navigate' ? page : request.url;
  event.respondWith(caches.match(wanted).then((kept) => kept ?? fetch(request)));
});
