/** An air full of liars: what a gateway's scan does with advertisers that cost nothing and lead nowhere. */
import assert from 'node:assert/strict';
import { CpnsError } from '../../src/base/errors.ts';
import type { Status } from '../../src/base/statuses.ts';
import { chooseProfile } from '../../src/bluetooth/adapter-profile.ts';
import type { Central, GattLink, Sighting } from '../../src/bluetooth/ports.ts';
import type { Announced } from '../../src/network/advertisement.ts';
import { type Purpose, Scan } from '../../src/nodes/scan.ts';
import { UNKNOWN_ADAPTER } from '../../src/profiles/identity.ts';

const VERSION_PNE_JOIN = 0b0010_1010;
const KNOWN_SALT = 0xee;

/** A radio on which every connection hangs until the test decides about it. */
class SlowAir implements Central {
  readonly adapter = chooseProfile(UNKNOWN_ADAPTER);
  readonly freeLinks = Number.POSITIVE_INFINITY;
  nowMs = 0;
  see: (sighting: Sighting) => void = () => {};
  readonly asked: string[] = [];
  #settle: ((error?: Error) => void) | undefined;

  async startScan(onSighting: (sighting: Sighting) => void): Promise<void> {
    this.see = onSighting;
  }
  async stopScan(): Promise<void> {}
  answers(): Promise<boolean> {
    return Promise.resolve(true);
  }
  async afterSleep(): Promise<void> {}
  async close(): Promise<void> {}

  connect(address: string): Promise<GattLink> {
    this.asked.push(address);
    return new Promise((resolve, reject) => {
      this.#settle = (error) => (error ? reject(error) : resolve({ peerAddress: address } as GattLink));
    });
  }

  /** Ends the connection attempt under way. */
  async settle(error?: Error): Promise<void> {
    this.#settle?.(error);
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  }

  advertise(index: number, known = false): void {
    const hex = index.toString(16).padStart(12, '0');
    const address = hex.match(/../g)?.join(':') ?? '';
    const serviceData = new Uint8Array(13).fill(index & 0xff, 4);
    serviceData[0] = VERSION_PNE_JOIN;
    serviceData.set(known ? [KNOWN_SALT, 0, 0] : [0, index >> 8, index & 0xff], 1);
    this.see({ address, rssi: -40, connectable: true, serviceUuids: [], serviceData });
  }
}

const lost = new CpnsError('timeout', 'nobody there');

function choose(announced: Announced): Purpose<string> {
  const stranger = announced.salt[0] !== KNOWN_SALT;
  const key = stranger ? `establish ${announced.salt.join()}` : 'resume the watch';
  return { key, stranger, value: key };
}

async function scanning(serve: (gatt: GattLink, purpose: string, proven: () => void) => Promise<Status>) {
  const air = new SlowAir();
  const scan = new Scan<string>({
    central: air,
    clock: { monotonicMs: () => air.nowMs, wallMs: () => 0, wallSeconds: () => 0 },
    choose,
    serve,
    onConnectFailed: () => {},
  });
  await scan.start();
  return air;
}

describe('an air full of advertisers that lead nowhere', () => {
  const never = () => new Promise<Status>(() => {});

  it('does not make a PNE that is known wait behind them', async () => {
    const air = await scanning(never);
    for (let i = 1; i <= 10_000; i++) air.advertise(i);
    air.advertise(0xffff, true);
    await air.settle(lost);
    assert.equal(air.asked.at(-1), '00:00:00:00:ff:ff', 'the next one served is the one we know');
  });

  it('does not queue them up past the pace of strangers', async () => {
    const air = await scanning(never);
    for (let i = 1; i <= 10_000; i++) air.advertise(i);
    // Ten seconds of virtual time pass with nobody new on the air.
    for (let turn = 0; turn < 1_000; turn++) {
      air.nowMs += 10;
      await air.settle(lost);
    }
    assert.ok(air.asked.length <= 16, `${air.asked.length} connections to strangers that all failed`);
  });

  it('does not keep a PNE that is known out because somebody played its announcement back', async () => {
    const air = await scanning(() => Promise.resolve('peer-lost'));
    // The same 13 bytes from ever new addresses for twenty minutes, each of which fails at once.
    for (let i = 1; i <= 2_400; i++) {
      air.nowMs += 500;
      air.advertise(i, true);
      await air.settle();
    }
    const attemptsOfLiars = air.asked.length;
    assert.ok(attemptsOfLiars <= (20 * 60) / 10 + 16, `${attemptsOfLiars} connections in twenty minutes`);
    air.nowMs += 10_000;
    air.advertise(0xffff, true);
    assert.equal(air.asked.at(-1), '00:00:00:00:ff:ff', 'ten seconds later it is looked at again');
  });

  it('gives a stranger that stays its turn before those that are always new', async () => {
    const air = await scanning(() => Promise.resolve('peer-lost'));
    const honest = () => air.asked.indexOf('00:00:00:00:ff:f0');
    air.advertise(1);
    await air.settle(lost);
    // A thousand new ones a second, each heard twice; the honest one ten times a second.
    for (let i = 0; i < 30_000 && honest() < 0; i++) {
      air.nowMs += 1;
      if (i % 100 === 37) air.advertise(0xfff0);
      air.advertise(0x100 + (i >> 1));
      if (i % 10 === 0) await air.settle(lost);
    }
    assert.ok(honest() >= 0, 'never asked in 30 s');
    assert.ok(air.nowMs < 2_000, `asked after ${air.nowMs} ms`);
  });

  it('keeps at most four links with strangers that did not do their part', async () => {
    const proofs: (() => void)[] = [];
    const air = await scanning((_gatt, _purpose, proven) => {
      proofs.push(proven);
      return never();
    });
    const rounds = async () => {
      for (let i = 1; i <= 40; i++) {
        air.advertise(i);
        await air.settle();
      }
    };
    await rounds();
    assert.equal(air.asked.length, 4);
    air.advertise(0xffff, true);
    assert.equal(air.asked.at(-1), '00:00:00:00:ff:ff', 'one that is known needs none of their places');
    await air.settle();
    proofs[0]?.();
    await rounds();
    assert.equal(air.asked.length, 6, 'a place is free again');
  });
});
