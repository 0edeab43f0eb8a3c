/** What a Bluetooth peer that nobody knows can make a gateway do. */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { concat, fromHex } from '../../src/base/bytes.ts';
import type { Status } from '../../src/base/statuses.ts';
import { chooseProfile } from '../../src/bluetooth/adapter-profile.ts';
import type { GattLink, Sighting } from '../../src/bluetooth/ports.ts';
import type { ReturningCentral } from '../../src/bluetooth/returning.ts';
import type { GatewayConfig } from '../../src/config/gateway-config.ts';
import { Link } from '../../src/link/link.ts';
import { Reject } from '../../src/messages/link.ts';
import type { GatewayEvent } from '../../src/nodes/gateway/events.ts';
import { GatewayNode } from '../../src/nodes/gateway/gateway.ts';
import { readGatewayIdentity } from '../../src/nodes/gateway/identity.ts';
import { Radios } from '../../src/nodes/gateway/radios.ts';
import { UNKNOWN_ADAPTER } from '../../src/profiles/identity.ts';
import { loadKey } from '../../src/security/keystore.ts';
import { nodePrimitives } from '../../src/security/primitives-node.ts';
import { type GatewayStore, openGatewayStore } from '../../src/store/gateway-store.ts';
import { TestNetwork } from '../nodes/network.ts';

const primitives = nodePrimitives();
const REJECT = 42;
const WHOLE_MESSAGE = 0xc0;

/** One PNE in the air; what it does with a link is up to the test. */
class OnePneAir implements ReturningCentral {
  readonly radio = { state: 'ready' } as const;
  onRadio: ReturningCentral['onRadio'] = () => {};
  readonly adapter = chooseProfile(UNKNOWN_ADAPTER);
  readonly freeLinks = Number.POSITIVE_INFINITY;
  connections = 0;
  readonly #play: (link: GattLink) => void;
  #see: (sighting: Sighting) => void = () => {};
  #advertising: NodeJS.Timeout | undefined;

  /** @param play called with the gateway's end of each link, once the gateway has it */
  constructor(play: (link: GattLink) => void) {
    this.#play = play;
  }

  async startScan(onSighting: (sighting: Sighting) => void): Promise<void> {
    this.#see = onSighting;
    this.#advertising = setInterval(() => this.#advertise(), 5);
  }

  async stopScan(): Promise<void> {
    clearInterval(this.#advertising);
  }

  answers(): Promise<boolean> {
    return Promise.resolve(true);
  }
  async afterSleep(): Promise<void> {}
  async close(): Promise<void> {
    clearInterval(this.#advertising);
  }

  async connect(peerAddress: string): Promise<GattLink> {
    this.connections++;
    const link: GattLink = {
      ...{ side: 'central', peerAddress, maxSegmentBytes: 244 },
      send: () => {},
      onSegment: () => {},
      onClose: () => {},
      close: async () => link.onClose(0),
    };
    setTimeout(() => this.#play(link), 1);
    return link;
  }

  #advertise(): void {
    const serviceData = new Uint8Array(13).fill(7);
    serviceData[0] = 0b0010_1010;
    this.#see({ address: '66:66:66:66:66:66', rssi: -40, connectable: true, serviceUuids: [], serviceData });
  }
}

/** Rejects the link with a status of its choice, unasked and at once. */
const rejecting = (status: Exclude<Status, 'ok'>) => (link: GattLink) =>
  link.onSegment(concat(Uint8Array.of(WHOLE_MESSAGE, REJECT), Reject.encode({ status })));

/** Opens the link as a PNE would and is gone once the gateway has answered. */
function openingAndGone(gatt: GattLink): void {
  const link = new Link(
    {
      ...{ side: 'peripheral', role: 'pne', transportSegmentBytes: 244, primitives },
      ephemeral: primitives.generateEphemeral(),
      accept: { establish: true, sessions: [] },
    },
    0,
  );
  gatt.send = (segment) => {
    link.receive(segment, 0);
    if (link.takeEvents().length > 0) setTimeout(() => gatt.onClose(0x13), 1);
  };
  const open = link.nextSegment(0);
  if (open) gatt.onSegment(open);
}

describe('a gateway before a peer that nobody knows', function () {
  this.timeout(20_000);
  let network: TestNetwork;
  let store: GatewayStore;
  const events: GatewayEvent[] = [];

  beforeEach(async () => {
    network = await TestNetwork.open();
    events.length = 0;
  });
  afterEach(() => network.close());

  async function gatewayOn(central: ReturningCentral): Promise<GatewayNode> {
    const stateDir = join(network.dir, 'gateway-hostile');
    mkdirSync(stateDir, { mode: 0o700, recursive: true });
    await network.enrolGateway(stateDir, 'Bob', 'Kitchen');
    const signer = loadKey(join(stateDir, 'identity.pem'));
    store = openGatewayStore(join(stateDir, 'gateway.sqlite'));
    const identity = readGatewayIdentity(store, primitives, signer);
    const config: GatewayConfig = {
      server: { url: network.server.url },
      bluetooth: { adapter: '', capture: undefined, randomAddress: true },
      pn: { name: 'Kitchen PN', invite: true, capability: fromHex('a0'), subscription: 'sub' },
      approvals: { default: 'ask', rules: [] },
      log: { level: 'silent' },
    };
    const onEvent = (event: GatewayEvent) => void events.push(event);
    const node = new GatewayNode(
      { stateDir, config, onEvent },
      { signer, store, primitives, identity, radios: new Radios(central, undefined) },
    );
    await node.start();
    return node;
  }

  const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

  for (const status of ['pn-id-collision', 'shutting-down', 'busy'] as const) {
    it(`backs off from one that rejects with ${status}`, async () => {
      const air = new OnePneAir(rejecting(status));
      const node = await gatewayOn(air);
      await sleep(1_500);
      await node.close();
      assert.ok(air.connections >= 1 && air.connections <= 2, `${air.connections} connections in 1.5 s`);
    });
  }

  it('outlives a disk that fails in the moment in which a link ends', async () => {
    const air = new OnePneAir(openingAndGone);
    const unhandled: unknown[] = [];
    const onUnhandled = (reason: unknown) => void unhandled.push(reason);
    const others = process.listeners('unhandledRejection');
    process.removeAllListeners('unhandledRejection');
    process.on('unhandledRejection', onUnhandled);
    try {
      const node = await gatewayOn(air);
      store.networks.removePn = () => {
        throw new Error('disk full');
      };
      await sleep(300);
      assert.ok(air.connections >= 1);
      await node.close().catch(() => {});
      await sleep(10);
    } finally {
      process.off('unhandledRejection', onUnhandled);
      for (const listener of others) process.on('unhandledRejection', listener);
    }
    assert.deepEqual(unhandled, []);
  });
});
