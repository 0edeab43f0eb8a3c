/** PNEs that nobody knows join and join again: what of them stays at the gateway, and what each sighting then costs. */
import assert from 'node:assert/strict';
import { JoinId, PnId, Thumbprint, TransactionId } from '../../src/base/ids.ts';
import { openGatewayStore } from '../../src/store/gateway-store.ts';
import { primitives } from '../support/join.ts';

const { randomBytes } = primitives;
const PER_DAY = 8_640;

describe('refusals at the initiating gateway', () => {
  it('are kept in bounded number, the newest of them, however long the gateway runs', function () {
    this.timeout(20_000);
    const store = openGatewayStore(':memory:');
    const { networks } = store;
    const pnId = PnId(randomBytes(8));
    networks.createPn({ pnId, name: 'Kitchen', inviting: true }, 0);
    let newest = JoinId(randomBytes(16));
    for (let second = 0; second < PER_DAY; second += 4) {
      newest = JoinId(randomBytes(16));
      networks.saveJoin(
        {
          ...{ joinId: newest, txn: TransactionId(randomBytes(16)), th3: randomBytes(32), pnId },
          ...{ thumbprint: Thumbprint(randomBytes(32)), registration: randomBytes(500) },
          ...{ response: randomBytes(76), rms: randomBytes(32) },
        },
        second,
      );
      networks.refuseJoin(newest, 'unknown-pne', randomBytes(98), second);
    }
    const kept = networks.joins('refused');
    assert.ok(
      kept.length <= 1_024,
      `${kept.length} refusals after a day, each looked at with every sighting`,
    );
    assert.ok(networks.join(newest), 'the newest one is told to its PNE');
    store.close();
  });
});
