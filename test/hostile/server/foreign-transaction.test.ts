/**
 * A gateway that names what is another's: transactions at steps 3 and 7 and in GET, joins in freshness and step 9,
 * enrolments, and deliveries on its channel. It learns nothing, not even that there is such a thing.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { WebSocket } from 'ws';
import { equal } from '../../../src/base/bytes.ts';
import { ChannelAck } from '../../../src/messages/channel.ts';
import { generateKey, softwareSigner } from '../../../src/security/keystore.ts';
import { primitives, sayYes } from '../../support/join.ts';
import { buildEnrolment, joinOf, refused, type TestGateway, type TestPne } from '../../support/server-kit.ts';
import { channel, Site } from './site.ts';

describe("a gateway that names another gateway's transactions", function () {
  this.timeout(30_000);
  let site: Site;
  let home: TestGateway;
  let victim: TestGateway;
  let mallory: TestGateway;
  let pne: TestPne;

  before(async () => {
    site = await Site.open();
    home = await site.gateway('Carol', 'Hall');
    victim = await site.gateway('Victor', 'Shop');
    mallory = await site.gateway('Mallory');
    pne = await site.pne(home);
  });
  after(() => site.close());

  it('hears the same as of one that never was, and changes nothing', async () => {
    const join = joinOf(victim, pne);
    const { challenge } = await victim.client.registerPn(join.txn, join.body);
    const { response, joinId, th3 } = join.respond(challenge);
    const enrolment = await buildEnrolment(victim, softwareSigner(generateKey()));
    const before = site.rows(victim.gatewayId);
    await site.honest.during(async () => {
      const th1 = primitives.randomBytes(32);
      const never = joinOf(victim, pne);
      for (const { txn } of [join, never]) {
        await refused(mallory.client.transaction(txn), 'unknown-transaction');
        await refused(mallory.client.respond(txn, response), 'unknown-transaction');
      }
      await refused(mallory.client.registerPn(join.txn, join.body), 'credential-invalid');
      await refused(mallory.client.confirm(joinId, sayYes(mallory.signer, th3)), 'unknown-transaction');
      await refused(mallory.client.freshness(th1, joinId), 'unknown-transaction');
      await refused(mallory.client.enrolPne(enrolment.nonce, enrolment.request), 'unknown-transaction');
      await refused(mallory.client.ackEnrolment(enrolment.nonce, 'ok'), 'unknown-transaction');
    });
    assert.deepEqual(site.rows(victim.gatewayId), before);
    assert.deepEqual(Object.values(site.rows(mallory.gatewayId)), [0, 0, 0, 0, 0, 0, 0]);
    // The victim goes on as if nothing had been.
    assert.equal((await victim.client.respond(join.txn, response)).state, 'verified');
    await home.client.confirm(joinId, sayYes(home.signer, th3));
    await refused(mallory.client.freshness(primitives.randomBytes(32), joinId), 'unknown-transaction');
    await refused(mallory.client.transaction(join.txn), 'unknown-transaction');
  });

  it("cannot acknowledge another gateway's deliveries", async () => {
    const join = joinOf(victim, await site.pne(home));
    const { challenge } = await victim.client.registerPn(join.txn, join.body);
    const { response, th3 } = join.respond(challenge);
    await victim.client.respond(join.txn, response);
    const socket = await channel(site, mallory);
    const before = site.rows(home.gatewayId).outbox;
    assert.ok(before > 0);
    for (let deliveryId = 1; deliveryId <= 200; deliveryId++) socket.send(ChannelAck.encode({ deliveryId }));
    socket.ping();
    await once(socket, 'pong');
    assert.equal(site.rows(home.gatewayId).outbox, before);
    assert.equal(socket.readyState, WebSocket.OPEN);
    socket.terminate();
    await home.online(site.url);
    await home.frame('pne-confirm-request', ({ body }) => equal(body.th3, th3));
    await home.offline();
  });
});
