/** Centrals that are slow on purpose at a PNE, which has one link: every wait ends by a deadline that nothing puts off. */
import assert from 'node:assert/strict';
import type { RogueGateway } from './rogue-gateway.ts';
import { Stage, sleep, type Victim } from './stage.ts';

/** On top of a deadline: what a loaded machine and the last message take. */
const SLACK_MS = 3_000;

describe('hostile on the air: slow centrals', function () {
  this.timeout(60_000);
  let stage: Stage;
  let mallory: RogueGateway;

  before(async () => {
    stage = await Stage.open();
    mallory = await stage.mallory();
  });
  after(() => stage.close());

  /** Milliseconds from the subscription to the end of the link. */
  async function held(
    victim: Victim,
    act: (link: Awaited<ReturnType<RogueGateway['connect']>>) => void,
  ): Promise<number> {
    const gatt = await mallory.connect(victim.address);
    const startedAt = performance.now();
    const ended = new Promise((resolve) => {
      gatt.onClose = resolve;
    });
    act(gatt);
    await ended;
    return performance.now() - startedAt;
  }

  it('no OPEN 2 s, no step 1 3 s more, a byte now and then no longer', async () => {
    const one = await stage.victim('One');
    const two = await stage.victim('Two');
    const three = await stage.victim('Three');
    await stage.during(async () => {
      const [noOpen, noStep1, dribble] = await Promise.all([
        held(one, () => {}),
        (async () => {
          const dialogue = await mallory.open(two.address);
          await dialogue.opened();
          const startedAt = performance.now();
          await dialogue.ended;
          return performance.now() - startedAt;
        })(),
        (async () => {
          const dialogue = await mallory.open(three.address);
          await dialogue.opened();
          const startedAt = performance.now();
          let ended = false;
          void dialogue.ended.then(() => {
            ended = true;
          });
          // Step 1 of 300 bytes, one byte a segment, sequence counted on from the OPEN.
          for (let i = 0; !ended; i++) {
            const seq = (i + 1) & 7;
            dialogue.inject(i === 0 ? Uint8Array.of(0x80 | seq, 1, 44, 7) : Uint8Array.of(seq, 7));
            await sleep(200);
          }
          return performance.now() - startedAt;
        })(),
      ]);
      assert.ok(noOpen < 2_000 + SLACK_MS, `no OPEN: ${noOpen}`);
      assert.ok(noStep1 < 3_000 + SLACK_MS, `no step 1: ${noStep1}`);
      assert.ok(dribble < 3_000 + SLACK_MS, `a byte now and then: ${dribble}`);
    });
    stage.assertNothingLeft(one, two, three);
  });
});
