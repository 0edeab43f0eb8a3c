/**
 * The PNE's page: takes the code out of the address, makes sure that this is the only page at work on what is kept, puts
 * key, records, radio and views together. Composition only.
 */
import { render } from 'preact';
import { CpnsError, statusOfError } from '../../base/errors.ts';
import type { Clock } from '../../base/time.ts';
import type { Primitives } from '../../security/primitives.ts';
import { chooseGateway, connectGateway } from '../gatt-link.ts';
import { browserPrimitives } from '../primitives-browser.ts';
import { Observable } from '../shared/observable.ts';
import '../shared/base.css';
import '../shared/ladder.css';
import { adviceFor } from './advice.ts';
import { takeCodeFromAddress } from './code-link.ts';
import { Controller } from './controller.ts';
import { erasePneDatabase, openPneDatabase } from './database.ts';
import { defaultSettings, deviceFacts, knownFacts, type ScreenFacts, type Settings } from './device.ts';
import { loadOrCreateIdentity } from './identity.ts';
import { BrowserPne } from './node.ts';
import { type Unsupported, unsupported } from './platform.ts';
import './pne.css';
import { RecordStore } from './record-store.ts';
import { NO_RECORDS, type PneRecords } from './records.ts';
import type { AppState } from './state.ts';
import { App, Blocked } from './views/app.tsx';

const DATABASE = 'cpns-pne';
const RECORDS = 'records';
const SETTINGS = 'settings';
const POWERED_WRITE_MS = 10 * 60_000;
const WARM_UP_AFTER_MS = 200;

const clock: Clock = {
  monotonicMs: () => performance.now(),
  wallSeconds: () => Math.floor(Date.now() / 1000),
  wallMs: () => Date.now(),
};

const OTHER_PAGE: Unsupported = {
  says: 'This device is open in another window already.',
  next: ['Go on there, or close it and reload this page.'],
};

const facts: ScreenFacts = {
  userAgent: navigator.userAgent,
  isSecure: window.isSecureContext,
  hasBluetooth: 'bluetooth' in navigator,
  touchPoints: navigator.maxTouchPoints,
  width: window.screen.width,
  height: window.screen.height,
};

const place = document.getElementById('app');
if (!place) throw new Error('the page has no place for the app');
const root: HTMLElement = place;
// Before anything else: a code in the address must not stay in a history.
const codeInAddress = takeCodeFromAddress(location, history);

function block(reason: Unsupported): void {
  render(<Blocked {...reason} />, root);
}

/** Runs for as long as the page is open, and for no second one at the same time. */
async function alone(work: () => Promise<void>): Promise<void> {
  await navigator.locks.request(DATABASE, { ifAvailable: true }, async (lock) => {
    if (!lock) return block(OTHER_PAGE);
    await work();
    // Held until the page goes.
    await new Promise(() => {});
  });
}

async function start(): Promise<void> {
  const primitives = browserPrimitives();
  const database = await openPneDatabase(DATABASE);
  const signer = await loadOrCreateIdentity(database, primitives);
  const records = ((await database.get(RECORDS)) as PneRecords | undefined) ?? NO_RECORDS;
  const known = knownFacts(facts);
  let settings = ((await database.get(SETTINGS)) as Settings | undefined) ?? defaultSettings(facts);
  // A browser under pressure may throw away what it thinks nobody needs.
  void navigator.storage?.persist?.().catch(() => false);
  const state = new Observable<AppState>({
    screen: { name: 'home' },
    hasCode: false,
    codeFault: undefined,
    thumbprint: '',
    owner: undefined,
    networks: [],
    pending: [],
    run: undefined,
    link: { state: 'none' },
    settings,
    known,
    notice: undefined,
  });
  const controller = new Controller({
    state,
    primitives,
    clock,
    radio: {
      choose: () => chooseGateway(navigator.bluetooth),
      isAvailable: () => navigator.bluetooth.getAvailability(),
      connect: (device) => connectGateway(device),
    },
    pne: (hooks) =>
      new BrowserPne({
        ...hooks,
        primitives,
        signer,
        clock,
        store: new RecordStore(records, (next) => database.put(RECORDS, next)),
        device: () => deviceFacts(settings, known),
      }),
    saveSettings: async (next) => {
      await database.put(SETTINGS, next);
      settings = next;
    },
    erase: async () => {
      database.close();
      await erasePneDatabase(DATABASE);
      location.reload();
    },
  });
  const takeCode = (code: string | undefined) => {
    if (code === undefined) return;
    controller.show({ name: 'home' });
    controller.enterCode(code);
  };
  takeCode(codeInAddress);
  window.addEventListener('hashchange', () => takeCode(takeCodeFromAddress(location, history)));
  setInterval(() => void controller.countPowered(), POWERED_WRITE_MS);
  window.addEventListener('pagehide', () => void controller.countPowered());
  render(<App observable={state} actions={controller} />, root);
  setTimeout(() => warmUp(primitives), WARM_UP_AFTER_MS);
}

/** The first use of the curve makes tables and is slow; a gateway waits two seconds for our OPEN. */
function warmUp(primitives: Primitives): void {
  const [own, peer] = [primitives.generateEphemeral(), primitives.generateEphemeral()];
  primitives.aeadSeal(own.agree(peer.x).slice(0, 16), new Uint8Array(12), peer.x);
}

function registerWorker(): void {
  if (!('serviceWorker' in navigator)) return;
  const policy = window.trustedTypes?.createPolicy('cpns-worker', {
    createScriptURL: () => './service-worker.js',
  });
  const url = policy ? policy.createScriptURL('') : './service-worker.js';
  navigator.serviceWorker.register(url as string, { updateViaCache: 'none' }).catch(() => {});
}

const cannot = unsupported(facts);
if (cannot) block(cannot);
else
  alone(start).catch((error) => {
    const status = statusOfError(error instanceof CpnsError ? error : new CpnsError('internal'));
    const { says, next } = adviceFor(status === 'ok' ? 'internal' : status);
    block({ says, next: [next] });
  });
registerWorker();
