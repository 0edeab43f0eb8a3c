/**
 * docs/phones.md: a GATT server made of its tables, with nothing of CPNS behind it, beside a gateway that invites; and the
 * tables beside what our own PNE has in its attribute table.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type Bleno, guardBleno } from '../../src/bluetooth/guards/bleno.ts';
import { openTransport } from '../../src/bluetooth/hci/transport.ts';
import { loadBleno } from '../../src/bluetooth/peripheral-abandonware.ts';
import type { GatewayEvent } from '../../src/nodes/gateway/events.ts';
import { rawNoble, rawOpen } from '../bluetooth/raw-libraries.ts';
import { cleanUp, closeLater, once } from '../bluetooth/support.ts';
import { TestNetwork } from '../nodes/network.ts';

const PAGE = readFileSync(new URL('../../docs/phones.md', import.meta.url), 'utf8');
const PROPERTIES: Readonly<Record<string, string>> = {
  'Write Without Response': 'writeWithoutResponse',
  Notify: 'notify',
};
/** Longer than the gateway takes to find somebody. */
const PASSED_OVER_MS = 3_000;

const plain = (uuid: string) => uuid.replaceAll('-', '');

/** The cells of the row that begins so. */
function row(start: string): readonly string[] {
  const line = PAGE.split('\n').find((each) => each.startsWith(`| ${start}`));
  assert.ok(line, start);
  return line
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim().replaceAll('`', ''));
}

function onTheAir(packet: string): Buffer {
  return Buffer.from((row(packet)[2] ?? '').replaceAll(' ', ''), 'hex');
}

const uuidOf = (what: string) => row(what)[1] ?? '';

/** What somebody has who entered it into an app. */
class App {
  readonly bleno: Bleno;
  onSubscribe: (notify: (value: Buffer) => void) => void = () => {};

  private constructor(bleno: Bleno) {
    this.bleno = bleno;
  }

  static async open(moniker: string): Promise<App> {
    const transport = await openTransport(moniker);
    const bleno = loadBleno(transport);
    const app = new App(bleno);
    const release = guardBleno(bleno, transport);
    closeLater(() => {
      release();
      transport.close();
    });
    await once(bleno, 'stateChange');
    const characteristic = (name: string) => {
      const [, uuid = '', property = ''] = row(`characteristic *${name}*`);
      return new bleno.Characteristic({
        uuid: plain(uuid),
        properties: [PROPERTIES[property] ?? ''],
        onSubscribe: (_bytes, notify) => app.onSubscribe(notify),
      });
    };
    const characteristics = [characteristic('up'), characteristic('down')];
    bleno.setServices([
      new bleno.PrimaryService({ uuid: plain(uuidOf('primary service')), characteristics }),
    ]);
    return app;
  }

  advertise(response = onTheAir('scan response')): void {
    this.bleno.startAdvertisingWithEIRData(onTheAir('advertising data, connectable'), response);
  }
}

describe('docs/phones.md', function () {
  this.timeout(30_000);
  let network: TestNetwork;
  beforeEach(async () => {
    network = await TestNetwork.open();
  });
  afterEach(async () => {
    await cleanUp();
    await network.close();
  });

  const inviting = () => network.gateway('Bob', 'Kitchen', { pn: { invite: true } });
  const links = () =>
    network.events.filter((event): event is Extract<GatewayEvent, { kind: 'link' }> => event.kind === 'link');

  it('a generic app on Android: it is found, connected to, and hung up on after two seconds', async () => {
    await inviting();
    const app = await App.open(network.radio.moniker);
    const subscribed = new Promise((resolve) => {
      app.onSubscribe = resolve;
    });
    app.advertise();
    await network.until('a link', () => links().length > 0);
    const upAtMs = performance.now();
    await subscribed;
    await network.until('its end', () => links().length > 1);
    const tookMs = performance.now() - upAtMs;
    assert.deepEqual(
      links().map(({ state, status }) => [state, status]),
      [
        ['up', undefined],
        ['down', 'timeout'],
      ],
    );
    assert.ok(tookMs > 1_900 && tookMs < 4_000, `${tookMs} ms`);
  });

  it('a generic app that notifies something: hung up on at once', async () => {
    await inviting();
    const app = await App.open(network.radio.moniker);
    app.onSubscribe = (notify) => setImmediate(notify, Buffer.from('hello'));
    app.advertise();
    await network.until('its end', () => links().some(({ state }) => state === 'down'));
    assert.equal(links().at(-1)?.status, 'link-violation');
  });

  it('a generic app on an iPhone, which advertises the UUID alone: passed over', async () => {
    await inviting();
    const app = await App.open(network.radio.moniker);
    app.advertise(Buffer.alloc(0));
    await new Promise((resolve) => setTimeout(resolve, PASSED_OVER_MS));
    assert.deepEqual(links(), []);
    app.bleno.stopAdvertising();
    app.advertise();
    await network.until('a link', () => links().length > 0);
  });

  it('says what our own PNE has in its attribute table', async () => {
    await network.pne('Watch', { bluetooth: { randomAddress: false } });
    const noble = await rawNoble(network.radio);
    const seen = await new Promise<{ address: string; advertisement: object }>((resolve) => {
      noble.noble.once('discover', resolve);
      noble.noble.startScanning([plain(uuidOf('primary service'))], true);
    });
    const { serviceUuids } = seen.advertisement as { serviceUuids: readonly string[] };
    assert.deepEqual(serviceUuids, [plain(uuidOf('primary service'))]);
    const { peripheral, ...found } = await rawOpen(noble, seen.address);
    for (const name of ['up', 'down'] as const) {
      const [, uuid = '', property = '', , descriptors = ''] = row(`characteristic *${name}*`);
      const ours = found[name] as unknown as {
        uuid: string;
        properties: readonly string[];
        discoverDescriptorsAsync(): Promise<readonly { readonly uuid: string }[]>;
      };
      assert.equal(ours.uuid, plain(uuid));
      assert.deepEqual(ours.properties, [PROPERTIES[property]]);
      const has = await ours.discoverDescriptorsAsync();
      assert.deepEqual(
        has.map((each) => each.uuid),
        /0x(\w+)/.exec(descriptors)?.slice(1) ?? [],
      );
    }
    peripheral.disconnect();
  });
});
