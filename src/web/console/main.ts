/**
 * The gateway's console: takes the login link out of the address, logs in, and shows the sections as the gateway's view
 * changes. Composition only.
 */
import type { ConsoleView } from '../../console/view.ts';
import '../shared/base.css';
import '../shared/ladder.css';
import { Access } from './access.ts';
import { Approvals } from './approvals.ts';
import { type Greeting, get, listen, post } from './client.ts';
import './console.css';
import { Devices, Enrol } from './devices.ts';
import { h, Region } from './dom.ts';
import { loginPage } from './login.ts';
import { Health, healthBadge, Networks } from './networks.ts';
import { closeAnswered, Notifications } from './notifications.ts';
import { button } from './parts.ts';
import { Reports } from './reports.ts';
import { Stories } from './stories.ts';

const LOGIN = '#login=';
const QUESTION = '#question=';
/** From a notification: shown as soon as the page has it, after a login perhaps. */
let wanted: string | undefined;
/** Shows it; does nothing while nobody is logged in. */
let askedFor = () => {};

const place = document.getElementById('app');
if (!place) throw new Error('the page has no place for the app');
const root: HTMLElement = place;

/** The secret of the link, out of the address before anything else: it must not stay in a history. */
function takeToken(): string | undefined {
  const { hash, pathname } = location;
  if (!hash.startsWith(LOGIN)) return undefined;
  history.replaceState(null, '', pathname);
  return hash.slice(LOGIN.length);
}

function takeQuestion(): void {
  const { hash, pathname } = location;
  if (!hash.startsWith(QUESTION)) return;
  history.replaceState(null, '', pathname);
  wanted = hash.slice(QUESTION.length);
}

async function showLogin(why?: string): Promise<void> {
  try {
    const greeting = (await get('greeting')) as Greeting;
    root.replaceChildren(loginPage(greeting, why, () => showConsole().focus()));
    root.querySelector('h1')?.focus();
  } catch (error) {
    const text = error instanceof Error ? error.message : '';
    const again = button(
      'Try again',
      () => showLogin(why),
      () => {},
    );
    root.replaceChildren(
      h('main', { class: 'page' }, h('h1', {}, 'Gateway'), h('p', { role: 'alert' }, text), again),
    );
  }
}

/** @returns its heading, where somebody who has just logged in begins to read */
function showConsole(): HTMLElement {
  const title = h('h1', { tabindex: '-1' }, 'Gateway');
  const badgePlace = h('span');
  const health = new Region<ConsoleView['health']>(badgePlace, (value) => [healthBadge(value)]);
  const lost = h('p', { class: 'notice notice-bad', role: 'status', hidden: true });
  const approvals = new Approvals();
  const devices = new Devices();
  const enrol = new Enrol();
  const networks = new Networks();
  const healthCard = new Health();
  const stories = new Stories();
  const reports = new Reports();
  const access = new Access();
  const notifications = new Notifications();
  root.replaceChildren(
    h('a', { class: 'skip', href: '#approvals' }, 'To what waits for your answer'),
    h('header', { class: 'page console-head' }, h('div', { class: 'bar' }, title, badgePlace), lost),
    h(
      'main',
      { class: 'page console' },
      h('div', { class: 'column' }, approvals.element, reports.element, networks.element, stories.element),
      h(
        'div',
        { class: 'column' },
        devices.element,
        enrol.element,
        healthCard.element,
        notifications.element,
        access.element,
      ),
    ),
  );
  const showWanted = () => {
    if (wanted !== undefined) approvals.show(wanted);
    wanted = undefined;
  };
  askedFor = showWanted;
  listen({
    onView: (view) => {
      title.textContent = `${view.gateway.label}, the gateway of ${view.gateway.user}`;
      health.update(view.health);
      approvals.update(view.approvals);
      reports.update(view.reports);
      devices.update(view.pnes);
      enrol.update(view);
      networks.update(view);
      healthCard.update(view);
      stories.update(view.stories);
      access.update(view);
      notifications.update(view);
      root.dataset['ready'] = 'yes';
      showWanted();
      const waiting = view.approvals.map(({ joinId }) => joinId);
      closeAnswered(waiting).catch(() => {});
    },
    onStream: (isUp) => {
      lost.hidden = isUp;
      lost.textContent = isUp
        ? ''
        : 'The connection to the gateway is lost; it is tried again. What you see may be old.';
    },
    onLoggedOut: () => {
      askedFor = () => {};
      void showLogin('You are logged out.');
    },
  });
  return title;
}

async function start(): Promise<void> {
  const token = takeToken();
  if (token !== undefined) {
    try {
      await post('login-link', { token });
      showConsole();
      return;
    } catch (error) {
      return showLogin(error instanceof Error ? error.message : undefined);
    }
  }
  const isIn = await get('state').then(
    () => true,
    () => false,
  );
  if (isIn) showConsole();
  else await showLogin();
}

window.addEventListener('hashchange', () => {
  if (location.hash.startsWith(LOGIN)) void start();
  takeQuestion();
  askedFor();
});
navigator.serviceWorker?.addEventListener('message', ({ data }) => {
  const { question } = data as { question: unknown };
  if (typeof question === 'string') wanted = question;
  askedFor();
});
takeQuestion();
void start();
