/** What an operator is handed by a user who reports: signatures alone do not make it true. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { JoinId } from '../../src/base/ids.ts';
import { PneConfirmResponsePayload } from '../../src/messages/confirmation.ts';
import { openServerAdmin } from '../../src/nodes/server/admin.ts';
import { assembleSign1 } from '../../src/security/cose.ts';
import { loadOrCreateKey } from '../../src/security/keystore.ts';
import { toBeSigned } from '../../src/security/signed-message.ts';
import { openGatewayStore } from '../../src/store/gateway-store.ts';
import { TestNetwork } from './network.ts';

describe('a report at the operator', function () {
  this.timeout(30_000);
  let network: TestNetwork;
  beforeEach(async () => {
    network = await TestNetwork.open();
  });
  afterEach(() => network.close());

  it('of a join that its home said yes to is none, whatever else the home signs', async () => {
    const joins: JoinId[] = [];
    const home = await network.gateway('Alice', 'Hall', {
      onEvent: (event) => {
        if (event.kind === 'answered') joins.push(event.joinId);
      },
    });
    const pne = await network.pne('Watch');
    const { code } = pne.startEnrolment();
    await home.pair(code);
    await network.gateway('Bob', 'Kitchen', { pn: { invite: true, name: 'Family' } });
    await network.until('a member', () => pne.status().memberships.length === 1);

    const stateDir = join(network.dir, 'gateway-Alice-Hall');
    const store = openGatewayStore(join(stateDir, 'gateway.sqlite'));
    const { body, th3, answer: yes } = store.home.request(joins[0] ?? assert.fail()) ?? assert.fail();
    store.close();
    const payload = PneConfirmResponsePayload.encode({
      ...{ yours: true, chargeable: false, reason: 'user-refused', decidedAt: 1 },
    });
    const signer = loadOrCreateKey(join(stateDir, 'identity.pem'));
    const no = assembleSign1(payload, await signer.sign(toBeSigned(PneConfirmResponsePayload, th3, payload)));

    const admin = openServerAdmin(network.serverDir);
    try {
      for (const answer of [yes ?? assert.fail(), no])
        assert.throws(() => admin.checkReport(body, answer), { status: 'answer-invalid' });
    } finally {
      admin.close();
    }
  });
});
