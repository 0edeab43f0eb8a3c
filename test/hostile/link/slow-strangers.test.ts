/** Peripherals that are slow on purpose at a gateway, which has a few links: strangers get four of them until they did their part. */
import assert from 'node:assert/strict';
import { RogueGatt } from './rogue-gatt.ts';
import { RoguePne } from './rogue-pne.ts';
import { Stage, sleep } from './stage.ts';

describe('hostile on the air: slow peripherals', function () {
  this.timeout(60_000);
  let stage: Stage;
  before(async () => {
    stage = await Stage.open();
  });
  after(() => stage.close());

  it('four that open and never answer step 1 have a link, no more; a member comes back meanwhile, a stranger after them', async () => {
    const liars = await Promise.all(Array.from({ length: 6 }, () => RoguePne.open(stage.network.radio)));
    const mute = new RogueGatt(stage.network.radio, 9);
    const member = stage.network.radio.counters().links.find(({ open, central }) => open && central);
    let open = 0;
    for (const liar of liars) {
      await liar.advertise();
      void liar.next().then(async (dialogue) => {
        open++;
        await dialogue.ended;
        open--;
      });
    }
    await stage.network.until('four', () => open >= 3, 10_000);
    // One that is known needs no place of a stranger.
    stage.network.radio.dropLink(member?.central ?? '', member?.peripheral ?? '');
    await stage.network.until('the member is back', () => stage.bob.pns()[0]?.joins[0]?.link === true, 8_000);
    await sleep(1_000);
    assert.ok(open <= 4, `${open} links of strangers`);
    for (const liar of liars) await liar.close();
    mute.close();
    await stage.join();
  });
});
