/**
 * The page's own views with states that a test chooses: every refusal of the protocol and every screen, without a radio.
 * Bundled by gallery.test.ts; `cpnsShow(name)` puts one on. Must not hold a view of its own.
 */
import { render } from 'preact';
import { GatewayId, PnId } from '../../../src/base/ids.ts';
import { STATUSES, type Status } from '../../../src/base/statuses.ts';
import { encodeCbor } from '../../../src/messages/cbor.ts';
import '../../../src/web/shared/base.css';
import '../../../src/web/shared/ladder.css';
import '../../../src/web/pne/pne.css';
import { type BrowserFacts, unsupported } from '../../../src/web/pne/platform.ts';
import type { AppState, RunView } from '../../../src/web/pne/state.ts';
import type { Actions } from '../../../src/web/pne/views/actions.ts';
import { App, Blocked } from '../../../src/web/pne/views/app.tsx';
import { Observable } from '../../../src/web/shared/observable.ts';

const th3 = new Uint8Array(32);
const hostile = '<b onmouseover=alert(1)>"&\u2019';

const base: AppState = {
  screen: { name: 'home' },
  hasCode: false,
  codeFault: undefined,
  thumbprint: '9b7e0c9286bf2b7f2e5007735779be1494b93813dc10217a483965b06951aabb',
  owner: { userLabel: hostile, homeAddress: '52ea8abccc74b541@op.example' },
  networks: [
    {
      pnId: '4844d8b8f08e6cbe',
      th3,
      name: hostile,
      gatewayId: '7093a2c323944c8b',
      version: 7,
      issuedAt: 1_893_456_000,
      stale: true,
      members: Array.from({ length: 4 }, (_, handle) => ({
        handle: handle + 1,
        label: handle === 2 ? undefined : `${hostile} ${handle}`,
        capability:
          handle === 3
            ? Uint8Array.of(0xff, 1, 2)
            : encodeCbor(
                new Map<string, string>([
                  ['class', 'headset'],
                  [hostile, hostile],
                ]),
              ),
        contents: handle === 0 ? [{ name: hostile, mediaType: 'audio/*' }] : [],
        isThisDevice: handle === 1,
      })),
    },
  ],
  pending: [{ pnId: '0044d8b8f08e6cbe', th3, gatewayId: '7093a2c323944c8b' }],
  run: undefined,
  link: { state: 'none' },
  settings: {
    name: 'Phone',
    deviceClass: 'phone',
    tellsBrowserFacts: true,
    contents: [{ name: 'Music', mediaType: 'audio/*' }],
  },
  known: { platform: 'android', screen: '390×844' },
  notice: undefined,
};

const run: RunView = {
  purpose: 'establish',
  course: { state: 'awaiting-notify' },
  question: undefined,
  answerBeforeMs: undefined,
  digits: undefined,
  result: undefined,
};

const SCREENS: Readonly<Record<string, AppState>> = {
  settings: { ...base, screen: { name: 'settings' } },
  home: { ...base, notice: 'You left.' },
  network: { ...base, screen: { name: 'network', pnId: '4844d8b8f08e6cbe' } },
  'code taken': { ...base, owner: undefined, networks: [], pending: [], hasCode: true },
  connecting: {
    ...base,
    screen: { name: 'run' },
    link: { state: 'connecting' },
    run: { ...run, course: { state: 'connecting' } },
  },
  'waiting for the home gateway': {
    ...base,
    screen: { name: 'run' },
    link: { state: 'open', pnId: undefined },
    run: { ...run, course: { state: 'awaiting-notify', waiting: 'awaiting-home-gateway' } },
  },
  'waiting, link lost': { ...base, screen: { name: 'run' }, link: { state: 'lost', pnId: undefined }, run },
  'asked again': {
    ...base,
    screen: { name: 'run' },
    run: {
      ...run,
      course: { state: 'deciding' },
      answerBeforeMs: 40_000,
      question: {
        pnId: PnId(new Uint8Array(8)),
        gatewayId: GatewayId(new Uint8Array(8)),
        userLabel: hostile,
        gatewayLabel: hostile,
        claimedName: hostile,
        refresh: true,
      },
    },
  },
  'compare the number': {
    ...base,
    screen: { name: 'run' },
    link: { state: 'open', pnId: undefined },
    run: { ...run, purpose: 'enrol', course: { state: 'comparing' }, digits: '042817' },
  },
  enrolled: {
    ...base,
    screen: { name: 'run' },
    run: {
      ...run,
      purpose: 'enrol',
      course: { state: 'done' },
      result: { kind: 'enrolled', userLabel: hostile, homeAddress: 'x' },
    },
  },
};

const BROWSERS: Readonly<Record<string, BrowserFacts>> = {
  iPhone: {
    userAgent: 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Safari/604.1',
    isSecure: true,
    hasBluetooth: false,
    touchPoints: 5,
  },
  'Firefox on Linux': {
    userAgent: 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
    isSecure: true,
    hasBluetooth: false,
    touchPoints: 0,
  },
  'no https': {
    userAgent: 'Mozilla/5.0 (Linux; Android 15) Chrome/150.0',
    isSecure: false,
    hasBluetooth: false,
    touchPoints: 5,
  },
};

const REFUSALS = (Object.keys(STATUSES) as Status[]).filter((status) => status !== 'ok');

function refused(status: Exclude<Status, 'ok'>): AppState {
  return {
    ...base,
    screen: { name: 'run' },
    run: { ...run, course: { state: 'awaiting-notify', failed: status }, result: { kind: 'failed', status } },
  };
}

const nothing = () => {};
const actions: Actions = {
  show: nothing,
  enterCode: () => false,
  forgetCode: nothing,
  enrol: nothing,
  join: nothing,
  resume: nothing,
  answer: nothing,
  hangUp: nothing,
  leave: nothing,
  saveSettings: nothing,
  erase: nothing,
};

const root = document.getElementById('app') as HTMLElement;
Object.assign(globalThis, {
  cpnsNames: { screens: Object.keys(SCREENS), browsers: Object.keys(BROWSERS), refusals: REFUSALS },
  cpnsShow: (name: string) => {
    render(null, root);
    const facts = BROWSERS[name];
    const reason = facts && unsupported(facts);
    if (reason) render(<Blocked {...reason} />, root);
    else
      render(
        <App
          observable={new Observable(SCREENS[name] ?? refused(name as Exclude<Status, 'ok'>))}
          actions={actions}
        />,
        root,
      );
  },
});
