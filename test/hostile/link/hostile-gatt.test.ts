/** Peripherals that claim the CPNS service and lie in GATT: without it, with handles that go back, silent, gone at each point. */
import assert from 'node:assert/strict';
import {
  type Answers,
  FIND_CHARACTERISTICS_REQUEST,
  FIND_SERVICE_REQUEST,
  MTU_REQUEST,
  RogueGatt,
  refuse,
  SUBSCRIBE_REQUEST,
} from './rogue-gatt.ts';
import { Stage } from './stage.ts';

const hangUp = (_request: Buffer, host: { disconnect(): void }) => {
  host.disconnect();
  return undefined;
};

const LIARS: Readonly<Record<string, Answers>> = {
  'claims a service that it has not': { [FIND_SERVICE_REQUEST]: refuse(0x0a) },
  'never answers': { [MTU_REQUEST]: () => undefined },
  'lets handles go back': { [FIND_CHARACTERISTICS_REQUEST]: () => [0x09, 7, 1, 0, 0x10, 2, 0, 1, 0x28] },
  'hangs up at discovery': { [FIND_SERVICE_REQUEST]: hangUp },
  'hangs up at the subscription': { [SUBSCRIBE_REQUEST]: hangUp },
  'subscribes nobody': { [SUBSCRIBE_REQUEST]: refuse(0x03) },
};

describe('hostile on the air: GATT servers that lie', function () {
  this.timeout(60_000);
  let stage: Stage;
  before(async () => {
    stage = await Stage.open();
  });
  after(() => stage.close());

  it('six at once cost a stranger that comes after them a turn each, at the pace of strangers', async () => {
    const liars = Object.values(LIARS).map(
      (answers, i) => new RogueGatt(stage.network.radio, i + 1, answers),
    );
    // 3 s for the silent one, 0.1 s doubling between turns: 6.3 s after six failures, twice that with bad luck.
    await stage.during(
      () => stage.network.until('each had a turn', () => liars.every(({ links }) => links > 0), 20_000),
      15_000,
    );
    for (const liar of liars) {
      assert.ok(liar.links <= 4, `${liar.links} connections to one liar`);
      liar.close();
    }
    assert.ok(stage.bob.status().links >= 1, 'the member that was there before');
    assert.ok(stage.bob.pns().length === 1);
  });
});
