/**
 * One process of the establishment benchmark: the operator with user A's home gateway, user B's gateway, or a PNE; which
 * it is depends on what it is told. Also plays a recorded exchange raw, a write or notification per segment.
 * Measures nothing; the bench taps the radio.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fromHex } from '../../src/base/bytes.ts';
import { openCentral, openPeripheral } from '../../src/bluetooth/open.ts';
import type { GattLink, Sighting } from '../../src/bluetooth/ports.ts';
import { enrolAtServer } from '../../src/nodes/gateway/enrol.ts';
import { type GatewayNode, openGateway } from '../../src/nodes/gateway/gateway.ts';
import { openPne, type PneNode } from '../../src/nodes/pne/pne.ts';
import { initServer, openServerAdmin } from '../../src/nodes/server/admin.ts';
import { type CpnsServer, openServer } from '../../src/nodes/server/server.ts';
import { systemClock } from '../../src/nodes/system-clock.ts';
import type { TraceEvent } from '../../src/nodes/trace.ts';
import { loadOrCreateKey } from '../../src/security/keystore.ts';
import { nodePrimitives } from '../../src/security/primitives-node.ts';
import { openGatewayStore } from '../../src/store/gateway-store.ts';
import { pause, takeOrders } from './child.ts';
import type { Direction } from './tapped-link.ts';

/** One side's segments, sent at once when the other side's turn before it has arrived whole. */
export interface Turn {
  readonly direction: Direction;
  readonly segments: readonly Uint8Array[];
  /** Milliseconds to wait before it, as a gateway waits for its server. */
  readonly afterMs: number;
}

interface GatewayOrder {
  readonly stateDir: string;
  readonly moniker: string;
  readonly url: string;
  readonly token: string;
  readonly invite: boolean;
}

interface PneOrder {
  readonly stateDir: string;
  readonly moniker: string;
  readonly enrol: boolean;
}

interface RawOrder {
  readonly moniker: string;
  readonly turns: readonly Turn[];
}

const CAPABILITY_BYTES = 60;
const CONNECT_MS = 10_000;
const SERVICE_DATA = new Uint8Array(13).fill(0xb5);

let server: CpnsServer | undefined;
let gateway: GatewayNode | undefined;
let pne: PneNode | undefined;

const onTrace = (event: TraceEvent): void => say(event);

/** Both sides go through the same turns; resolves after the last. */
async function play(gatt: GattLink, turns: readonly Turn[]): Promise<void> {
  const own: Direction = gatt.side === 'central' ? 'up' : 'down';
  let arrived = 0;
  let arrival: () => void = () => {};
  gatt.onSegment = () => {
    arrived++;
    arrival();
  };
  let expected = 0;
  for (const { direction, segments, afterMs } of turns) {
    if (direction === own) {
      if (afterMs > 0) await pause(afterMs);
      for (const segment of segments) gatt.send(segment);
      continue;
    }
    expected += segments.length;
    const wanted = expected;
    if (arrived >= wanted) continue;
    await new Promise<void>((resolve) => {
      arrival = () => {
        if (arrived >= wanted) resolve();
      };
    });
  }
}

const orders = {
  async startServer({ stateDir }: { stateDir: string }): Promise<string> {
    initServer({ stateDir, realm: 'op.example' });
    server = await openServer({ stateDir, port: 0, onTrace });
    return server.url;
  },

  token({ stateDir, user, label }: { stateDir: string; user: string; label: string }): string {
    const admin = openServerAdmin(stateDir);
    if (!admin.users().some((known) => known.label === user)) admin.addUser(user);
    const { token } = admin.createToken({ user, gatewayLabel: label });
    admin.close();
    return token;
  },

  async openGateway({ stateDir, moniker, url, token, invite }: GatewayOrder): Promise<void> {
    mkdirSync(stateDir, { mode: 0o700, recursive: true });
    const store = openGatewayStore(join(stateDir, 'gateway.sqlite'));
    const signer = loadOrCreateKey(join(stateDir, 'identity.pem'));
    const primitives = nodePrimitives();
    await enrolAtServer({ store, signer, primitives, clock: systemClock, serverUrl: url, token });
    store.close();
    gateway = await openGateway({
      stateDir,
      config: {
        server: { url },
        bluetooth: { adapter: moniker, capture: undefined, randomAddress: true },
        pn: { name: 'Kitchen PN', invite, capability: fromHex('a0'), subscription: 'sub' },
        approvals: { default: 'allow', rules: [{ decision: 'allow' }] },
        log: { level: 'silent' },
      },
      onTrace,
    });
  },

  /** Enrols the PNE that shows this code. */
  async pair({ code }: { code: string }): Promise<void> {
    await gateway?.pair(code);
  },

  async closeGateway(): Promise<void> {
    await gateway?.close();
    gateway = undefined;
  },

  /** @returns its enrolment code, when it is to be enrolled */
  async openPne({ stateDir, moniker, enrol }: PneOrder): Promise<string> {
    mkdirSync(stateDir, { mode: 0o700, recursive: true });
    pne = await openPne({
      stateDir,
      config: {
        bluetooth: { adapter: moniker, capture: undefined, randomAddress: true },
        device: {
          kind: 'device',
          model: undefined,
          pneId: 'Watch',
          capability: new Uint8Array(CAPABILITY_BYTES),
          contents: [],
        },
        join: { policy: 'accept', rules: [] },
        log: { level: 'silent' },
      },
      ask: () => Promise.resolve('ok'),
      onTrace,
    });
    return enrol ? pne.startEnrolment().code : '';
  },

  async closePne(): Promise<void> {
    await pne?.close();
    pne = undefined;
  },

  async rawPeripheral({ moniker, turns }: RawOrder): Promise<void> {
    const peripheral = await openPeripheral(moniker);
    try {
      const linked = new Promise<GattLink>((resolve) => {
        peripheral.onLink = resolve;
      });
      await peripheral.startAdvertising({ serviceData: SERVICE_DATA });
      await play(await linked, turns);
    } finally {
      await peripheral.close();
    }
  },

  async rawCentral({ moniker, turns }: RawOrder): Promise<void> {
    const central = await openCentral(moniker);
    try {
      const { address } = await new Promise<Sighting>((resolve, reject) => {
        central.startScan((seen) => seen.serviceData && resolve(seen)).catch(reject);
      });
      await central.stopScan();
      await play(await central.connect(address, { deadlineMs: CONNECT_MS }), turns);
      // The last turn is ours: let it cross, and the peripheral hang up.
      await pause(100);
    } finally {
      await central.close();
    }
  },
};

export type EstablishmentOrders = typeof orders;

const say = takeOrders(orders, async () => {
  await pne?.close();
  await gateway?.close();
  await server?.close();
});
