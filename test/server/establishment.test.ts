/** Registrations against a real server over TLS: every step, every refusal, in the order of the flow. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'mocha';
import { equal } from '../../src/base/bytes.ts';
import { verifyOutcome } from '../../src/establishment/server-words.ts';
import { verifyInventory } from '../../src/network/inventory.ts';
import { primitives, sayYes } from '../support/join.ts';
import { hex, joinOf, ServerKit, type TestGateway, type TestPne } from '../support/server-kit.ts';

describe('server: a registration', () => {
  const kit = new ServerKit();
  let gw1: TestGateway;
  let gw2: TestGateway;
  let pne: TestPne;
  before(async () => {
    await kit.start();
    kit.addUser('alice');
    kit.addUser('bob');
    gw1 = await kit.addGateway('alice', 'home');
    gw2 = await kit.addGateway('bob', 'kitchen');
    pne = await kit.addPne(gw1);
    await gw1.online(kit.server.url);
    await gw2.online(kit.server.url);
  });
  after(() => kit.close());

  it('goes through steps 3, 4, 7, 8, 9 and 11', async () => {
    const join = joinOf(gw2, pne, { pneId: 'lamp', contents: [{ name: 'a', mediaType: 'text/plain' }] });
    const { challenge, pnId } = await gw2.client.registerPn(join.txn, join.body);
    assert.ok(equal(pnId, join.pnId));
    const { response, th3, joinId } = join.respond(challenge);
    const state = await gw2.client.respond(join.txn, response);
    assert.deepEqual(state, { state: 'verified', status: 'awaiting-user' });
    const { body: asked } = await gw1.frame('pne-confirm-request');
    assert.equal(hex(asked.th3), hex(th3));
    assert.equal(await gw1.client.confirm(joinId, sayYes(gw1.signer, th3)), 'ok');
    const { body: told } = await gw2.frame('pn-registration-response');
    assert.ok(told.status === 'ok');
    const inventory = verifyInventory(primitives, gw2.serverKeys, told.inventory, {
      ...{ pnId, gatewayId: gw2.gatewayId, atLeastVersion: 1, joinId },
    });
    assert.equal(inventory.version, 1);
    assert.equal(inventory.members[0]?.label, 'lamp');
    const { body: outcome } = await gw1.frame('join-outcome');
    assert.equal(verifyOutcome(primitives, gw1.serverKeys, th3, outcome.outcome).status, 'ok');
    const after = await gw2.client.transaction(join.txn);
    assert.equal(after.state, 'registered');
    const report = kit.admin.audit(hex(pnId));
    assert.ok(report.passed, JSON.stringify(report.checks.filter(({ passed }) => !passed)));
  });
});
