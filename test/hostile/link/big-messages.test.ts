/** A live peer sends messages of 64 KiB without end, one way and the other: they pass, nothing piles up, others go on. */
import assert from 'node:assert/strict';
import { Stage } from './stage.ts';

const MESSAGE_BYTES = 65_000;
/** In the ordinary run; CPNS_HOSTILE_LONG=1 sends thousands. */
const MESSAGES = process.env['CPNS_HOSTILE_LONG'] === '1' ? 3_000 : 150;
const GROWTH_BYTES = 96e6;

describe('hostile on the air: messages of 64 KiB', function () {
  this.timeout(600_000);
  let stage: Stage;
  before(async () => {
    stage = await Stage.open();
  });
  after(() => stage.close());

  it(`${MESSAGES} of them from a gateway that is live: bounded memory, and others join meanwhile`, async () => {
    const mallory = await stage.mallory();
    const x = await stage.victim('X');
    const { dialogue } = await mallory.join(x.address);
    const held = () => process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers;
    const before = held();
    let most = 0;
    const body = new Uint8Array(MESSAGE_BYTES).fill(7);
    const received = () => stage.network.events.filter(({ kind }) => kind === 'data').length;
    await stage.during(async () => {
      for (let sent = 0; sent < MESSAGES; sent++) {
        while (dialogue.link.queuedBytes(1) > 2 * MESSAGE_BYTES)
          await new Promise((resolve) => setImmediate(resolve));
        dialogue.send('Data', body);
        dialogue.sent.length = 0;
        dialogue.received.length = 0;
        most = Math.max(most, held() - before);
      }
      await stage.network.until('the last', () => received() === MESSAGES, 60_000);
    }, 30_000);
    // The test itself keeps each body as an event.
    assert.ok(most < GROWTH_BYTES + MESSAGES * MESSAGE_BYTES, `${most} bytes`);
    await dialogue.close();
  });
});
