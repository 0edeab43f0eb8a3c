/** Somebody plays a member's announcement back while the member is away, and does nothing with the links that this brings. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { encodeAnnouncement } from '../../../src/network/advertisement.ts';
import { openPneStore } from '../../../src/store/pne-store.ts';
import { primitives } from '../../support/join.ts';
import { RoguePne } from './rogue-pne.ts';
import { Stage } from './stage.ts';

/** A turn of the liar that is under way, and the two or four seconds that a PNE we know is left alone after it. */
const LIMIT_MS = 8_000;

describe("hostile on the air: a member's announcement played back", function () {
  this.timeout(60_000);
  let stage: Stage;
  before(async () => {
    stage = await Stage.open();
  });
  after(() => stage.close());

  it('draws the gateway into links that end, and the member is back after that, known by its own', async () => {
    const { network, bob } = stage;
    const { pne: member } = await stage.victim('Member', { ask: async () => 'ok' });
    await network.until('member', () => member.status().memberships.length === 1);
    const { joinId = '' } = member.status().memberships[0] ?? {};
    const isLive = () => bob.pns()[0]?.joins.some((join) => join.joinId === joinId && join.link) === true;
    await network.until('live', isLive);

    // The member is away; what it once had on the air is not.
    await member.close();
    const store = openPneStore(join(network.dir, 'pne-Member', 'pne.sqlite'));
    const secrets = store.joins().map(({ rms }) => rms);
    store.close();
    const said = { mode: 'pne', enrolSecret: undefined, join: true, turn: 0 } as const;
    const serviceData = encodeAnnouncement(primitives, { ...said, secrets });
    await network.until('away', () => !isLive());

    const liar = await RoguePne.open(network.radio);
    let served = 0;
    let playing = true;
    const play = async () => {
      while (playing) {
        await liar.advertise(serviceData);
        const gatt = await liar.nextLink();
        served++;
        await gatt.close();
      }
    };
    void play().catch(() => {});
    await stage.during(async () => {
      await network.until('the gateway fell for it', () => served > 0, 10_000);
      assert.ok(!isLive());
      await stage.reopen('Member', { ask: async () => 'ok' });
      const startedAt = performance.now();
      await network.until('back', isLive, LIMIT_MS);
      assert.ok(performance.now() - startedAt < LIMIT_MS);
    });
    playing = false;
    assert.ok(served <= 8, `${served} links for one announcement`);
    await liar.close();
  });
});
