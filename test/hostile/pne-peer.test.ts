/** A central that nobody knows, at a PNE: floods, halves, repetitions, nonsense. The PNE ends each link and takes the next. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { concat } from '../../src/base/bytes.ts';
import { Prng } from '../../src/base/prng.ts';
import { chooseProfile } from '../../src/bluetooth/adapter-profile.ts';
import type { Advertisement, GattLink } from '../../src/bluetooth/ports.ts';
import type { ReturningPeripheral } from '../../src/bluetooth/returning.ts';
import { Link } from '../../src/link/link.ts';
import { PneNode } from '../../src/nodes/pne/pne.ts';
import { UNKNOWN_ADAPTER } from '../../src/profiles/identity.ts';
import { loadOrCreateKey } from '../../src/security/keystore.ts';
import { openPneStore } from '../../src/store/pne-store.ts';
import { primitives } from '../support/join.ts';

class FakePeripheral implements ReturningPeripheral {
  readonly radio = { state: 'ready' } as const;
  onRadio: ReturningPeripheral['onRadio'] = () => {};
  readonly adapter = chooseProfile(UNKNOWN_ADAPTER);
  readonly maxLinks = 1;
  onLink: (link: GattLink) => void = () => {};
  advertising = 0;
  async startAdvertising(_: Advertisement): Promise<void> {
    this.advertising++;
  }
  async stopAdvertising(): Promise<void> {}
  answers(): Promise<boolean> {
    return Promise.resolve(true);
  }
  async afterSleep(): Promise<void> {}
  async close(): Promise<void> {}
}

class Attack {
  readonly received: Uint8Array[] = [];
  closed = false;
  onSend: (segment: Uint8Array) => void = () => {};
  readonly gatt: GattLink = {
    ...{ side: 'peripheral', peerAddress: '66:66:66:66:66:66', maxSegmentBytes: 244 },
    send: (segment) => {
      this.received.push(segment);
      this.onSend(segment);
    },
    onSegment: () => {},
    onClose: () => {},
    close: async () => {
      if (this.closed) return;
      this.closed = true;
      this.gatt.onClose(0);
    },
  };
  write(...bytes: number[]): void {
    if (!this.closed) this.gatt.onSegment(Uint8Array.from(bytes));
  }
}

describe('a PNE before a central that nobody knows', function () {
  this.timeout(20_000);
  const dir = mkdtempSync(join(tmpdir(), 'cpns-hostile-'));
  const seed = Number(process.env['FC_SEED'] ?? Date.now() & 0x7fffffff);
  let peripheral: FakePeripheral;
  let pne: PneNode;
  let nowMs = 0;

  beforeEach(async () => {
    peripheral = new FakePeripheral();
    const config = {
      bluetooth: { adapter: '', capture: undefined, randomAddress: true },
      device: {
        kind: 'device',
        model: undefined,
        pneId: 'Watch',
        capability: new Uint8Array(60),
        contents: [],
      },
      join: { policy: 'accept', rules: [] },
      log: { level: 'silent' },
    } as const;
    const clock = { monotonicMs: () => nowMs + performance.now(), wallMs: Date.now, wallSeconds: () => 0 };
    const signer = loadOrCreateKey(join(dir, 'identity.pem'));
    const options = { stateDir: dir, config, ask: async () => 'ok' as const, clock };
    pne = new PneNode(options, signer, openPneStore(':memory:'), peripheral);
    pne.startEnrolment();
  });
  afterEach(() => pne.close());
  after(() => rmSync(dir, { recursive: true, force: true }));

  const settle = () => new Promise((resolve) => setTimeout(resolve, 5));

  function connect(): Attack {
    nowMs += 10_000; // the pace of strangers is not what is tried here
    const attack = new Attack();
    peripheral.onLink(attack.gatt);
    return attack;
  }

  /** A lawful central up to the OPENs, with a code it does not know. */
  function opened(): { attack: Attack; link: Link } {
    const attack = connect();
    const link = new Link(
      {
        ...{ side: 'central', role: 'gateway', transportSegmentBytes: 244, primitives },
        ephemeral: primitives.generateEphemeral(),
        request: { kind: 'enrol', secret: new Uint8Array(12) },
      },
      0,
    );
    for (const segment of attack.received.splice(0)) link.receive(segment, 0);
    for (let next = link.nextSegment(0); next; next = link.nextSegment(0)) attack.gatt.onSegment(next);
    return { attack, link };
  }

  const attacks: Readonly<Record<string, (attack: Attack) => void>> = {
    'an empty segment': (a) => a.write(),
    'a segment that is too long': (a) => a.gatt.onSegment(new Uint8Array(245)),
    'a half on the data lane before OPEN': (a) => a.write(0xa0, 0, 200, 1),
    'a huge length before OPEN': (a) => a.write(0x80, 255, 255, 1),
    'OPEN of nonsense': (a) => a.write(0xc0, 0, 0xff, 0xff),
    'OPEN with a list without end': (a) => a.write(0xc0, 0, 0xa1, 1, 0x9f, 1, 1, 1),
    'credits past the bound': (a) => {
      for (let i = 0; i < 3; i++) a.write(0x08, 255);
    },
    'a traffic-key segment before OPEN': (a) => a.write(0xd0, 1, 2, 3),
    'Reject before OPEN': (a) => a.write(0xc0, 42, 0xa1, 1, 18),
  };
  for (const [name, attack] of Object.entries(attacks)) {
    it(`ends the link at ${name}, and takes the next`, async () => {
      const first = connect();
      attack(first);
      await new Promise((resolve) => setTimeout(resolve, 600));
      assert.ok(first.closed);
      const next = connect();
      assert.equal(next.received.length, 1, 'its OPEN');
      await next.gatt.close();
      await settle();
    });
  }

  it('takes a Reject in clear after the keys only until the first record, and ends either way', async () => {
    const { attack } = opened();
    attack.write(0xc1, 42, 0xa1, 1, 18);
    await settle();
    assert.ok(attack.closed);
  });

  it('ends at a record under the wrong code, and the code lives on', async () => {
    const { attack, link } = opened();
    link.send(20, new Uint8Array(64));
    for (let next = link.nextSegment(0); next; next = link.nextSegment(0)) attack.gatt.onSegment(next);
    await settle();
    assert.ok(attack.closed);
    assert.ok(opened().attack.received.every(([header]) => header !== undefined));
  });

  it('holds a bounded amount for two halves on two lanes and a flood of keep-alives', async () => {
    const { attack } = opened();
    attack.write(0x81, 0x07, 0xff, ...new Uint8Array(200));
    attack.write(0xa2, 0x07, 0xff, ...new Uint8Array(200));
    const before = process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers;
    for (let i = 0; i < 100_000; i++) attack.write(0x08, 0);
    const grown = process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers - before;
    assert.ok(grown < 64e6, `${grown} bytes`);
    assert.equal(attack.closed, false, 'as long as it may be there');
    await new Promise((resolve) => setTimeout(resolve, 4_900));
    assert.ok(
      attack.closed,
      'E1 is due 3 s after the OPENs, whatever keeps coming, and a goodbye takes 1.5 s',
    );
  });

  it(`survives random segments on any number of links (FC_SEED=${seed})`, async () => {
    const prng = new Prng(seed);
    const random = () => prng.next();
    for (let links = 0; links < 200; links++) {
      const { attack } = random() < 0.5 ? opened() : { attack: connect() };
      for (let i = 0; i < 20 && !attack.closed; i++) {
        const bytes = Uint8Array.from({ length: Math.floor(random() * 246) }, () =>
          Math.floor(random() * 256),
        );
        attack.gatt.onSegment(random() < 0.5 ? bytes : concat(Uint8Array.of(0xc0 | (i + 1)), bytes));
      }
      await attack.gatt.close();
      await Promise.resolve();
      await settle();
      assert.equal(pne.status().link, 'none');
    }
  });
});
