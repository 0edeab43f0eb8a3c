/** What a PNE's store must not be talked into by a gateway. */
import assert from 'node:assert/strict';
import { GatewayId, PnId } from '../../src/base/ids.ts';
import type { KnownJoin } from '../../src/establishment/pne-types.ts';
import { openPneStore } from '../../src/store/pne-store.ts';

const DAY = 86_400;
const INVENTORY = Uint8Array.of(1);

const join: KnownJoin = {
  state: 'pending',
  pnId: PnId(new Uint8Array(8)),
  gatewayId: GatewayId(new Uint8Array(8)),
  th3: new Uint8Array(32),
  rms: new Uint8Array(32),
  capability: new Uint8Array(0),
  version: 0,
};

describe('PNE store', () => {
  it('an inventory told again is no fresh word of the server; a freshness statement is', () => {
    const store = openPneStore(':memory:');
    store.savePending(join, 1_000, 10);
    store.saveMember({ ...join, state: 'member', version: 1 }, INVENTORY, 10);
    store.saveMember({ ...join, state: 'member', version: 1 }, INVENTORY, 10 + DAY);
    assert.equal(store.freshAt(join.th3), 10, 'a replayed inventory puts nothing off');
    store.saveFloor(2_000, 20 + DAY, join.th3);
    assert.equal(store.freshAt(join.th3), 20 + DAY);
    store.saveFloor(2_000, 15 + DAY, join.th3);
    assert.equal(store.freshAt(join.th3), 20 + DAY, 'an older word takes nothing back');
    store.close();
  });
});
