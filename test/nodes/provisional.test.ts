/**
 * What a crash leaves of an attempt that never came to a join goes with the next start, save where it will be used again: a
 * PNE that had signed already is freed of that by its next join of the same PN.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { JoinId, PnId, Thumbprint, TransactionId } from '../../src/base/ids.ts';
import { openGatewayStore } from '../../src/store/gateway-store.ts';
import { TestNetwork } from './network.ts';

const bytes = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value);

describe('a gateway that crashed between step 1 and step 7', function () {
  this.timeout(20_000);

  it('forgets a provisional network at its start, unless a join of it waits for the server or it still invites to it', async () => {
    const network = await TestNetwork.open();
    try {
      const stateDir = join(network.dir, 'gateway-Bob-Kitchen');
      const [left, waiting, used] = [1, 2, 9].map((n) => PnId(bytes(8, n))) as [PnId, PnId, PnId];
      const gateway = await network.gateway('Bob', 'Kitchen', { pn: { invite: true } }, () => {
        const store = openGatewayStore(join(stateDir, 'gateway.sqlite'));
        store.networks.createPn({ pnId: left, name: 'old name', inviting: true }, 1);
        store.networks.createPn({ pnId: waiting, name: 'older name', inviting: true }, 2);
        store.networks.createPn({ pnId: used, name: 'Kitchen PN', inviting: true }, 3);
        const th3 = bytes(32, 3);
        store.networks.saveJoin(
          {
            ...{ joinId: JoinId(th3.slice(0, 16)), txn: TransactionId(bytes(16, 4)), th3, pnId: waiting },
            ...{ thumbprint: Thumbprint(bytes(32, 5)), registration: bytes(300, 6) },
            ...{ response: bytes(76, 7), rms: bytes(32, 8) },
          },
          3,
        );
        store.close();
      });
      assert.deepEqual(
        gateway.pns().map(({ name }) => name),
        ['older name', 'Kitchen PN'],
      );
    } finally {
      await network.close();
    }
  });
});
