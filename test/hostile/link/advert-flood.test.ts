/** Ten thousand advertisers, each with an address and a salt of its own, a third of them malformed: the gateways go on. */
import assert from 'node:assert/strict';
import { Prng } from '../../../src/base/prng.ts';
import { advertisingData, scanResponse } from '../../../src/bluetooth/advertising-data.ts';
import { RawHost, randomAddress } from './raw-host.ts';
import { joiningAnnouncement } from './rogue-pne.ts';
import { Stage } from './stage.ts';

const ADVERTISERS = 10_000;
const HOSTS = 8;
/** Bytes that the process may hold more after it than before, whatever came by. */
const GROWTH_BYTES = 96e6;

describe('hostile on the air: an advert flood', function () {
  this.timeout(60_000);
  const seed = Number(process.env['FC_SEED'] ?? Date.now() & 0x7fffffff);
  let stage: Stage;
  before(async () => {
    stage = await Stage.open();
  });
  after(() => stage.close());

  const prng = new Prng(seed);
  const below = (n: number) => Math.floor(prng.next() * n);
  const junk = () => Uint8Array.from({ length: below(32) }, () => below(256));

  async function flood(): Promise<void> {
    const hosts = Array.from({ length: HOSTS }, () => new RawHost(stage.network.radio));
    for (let n = 0; n < ADVERTISERS; ) {
      for (const host of hosts) {
        const malformed = n % 3 === 2;
        const data = malformed && below(2) === 0 ? junk() : advertisingData();
        host.advertise(randomAddress(++n), data, malformed ? junk() : scanResponse(joiningAnnouncement()));
      }
      // Long enough for each to be on the air once, at some two thousand a second.
      await new Promise((resolve) => setTimeout(resolve, 4));
    }
    for (const host of hosts) host.close();
  }

  const held = () => process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers;

  it(`of ${ADVERTISERS} addresses: a stranger joins, a member comes back, memory stays (FC_SEED=${seed})`, async () => {
    const before = held();
    await stage.during(async () => {
      const flooding = flood();
      const [pn] = stage.bob.pns();
      const link = stage.network.radio.counters().links.find(({ open }) => open);
      stage.network.radio.dropLink(link?.central ?? '', link?.peripheral ?? '');
      const startedAt = performance.now();
      await stage.network.until('down', () => stage.bob.pns()[0]?.joins[0]?.link === false);
      await stage.network.until('live again', () => stage.bob.pns()[0]?.joins[0]?.link === true, 10_000);
      // One attempt with an address that is gone may be under way, 3 s, while which nobody scans.
      assert.ok(performance.now() - startedAt < 7_000);
      assert.ok(pn);
      await flooding;
    }, 12_000);
    const grown = held() - before;
    assert.ok(grown < GROWTH_BYTES, `${grown} bytes`);
  });
});
