/** The server over time: restarts between any two steps, redelivery, kill -9, the clock, purging, administration. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { after, before, beforeEach, describe, it } from 'mocha';
import { equal } from '../../src/base/bytes.ts';
import { initServer, openServerAdmin } from '../../src/nodes/server/admin.ts';
import { openServer } from '../../src/nodes/server/server.ts';
import { sayYes } from '../support/join.ts';
import { hex, joinOf, refused, ServerKit, type TestGateway, type TestPne } from '../support/server-kit.ts';

describe('server: over time', () => {
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
  });
  beforeEach(async () => {
    pne = await kit.addPne(gw1);
  });
  after(() => kit.close());

  it('goes on after a restart between any two steps', async () => {
    const join = joinOf(gw2, pne);
    const { challenge } = await gw2.client.registerPn(join.txn, join.body);
    await kit.restart();
    assert.deepEqual((await gw2.client.registerPn(join.txn, join.body)).challenge, challenge);
    const { response, th3, joinId } = join.respond(challenge);
    await gw2.client.respond(join.txn, response);
    await kit.restart();
    assert.equal((await gw2.client.respond(join.txn, response)).state, 'verified');
    await gw1.online(kit.server.url);
    await gw1.frame('pne-confirm-request', ({ body }) => equal(body.th3, th3));
    await kit.restart();
    const yes = sayYes(gw1.signer, th3);
    assert.equal(await gw1.client.confirm(joinId, yes), 'ok');
    await kit.restart();
    assert.equal(await gw1.client.confirm(joinId, yes), 'ok');
    await gw2.online(kit.server.url);
    const { body } = await gw2.frame('pn-registration-response', ({ body: { txn } }) => equal(txn, join.txn));
    assert.equal(body.status, 'ok');
    await gw1.online(kit.server.url);
    await gw1.frame('join-outcome', ({ body: told }) => equal(told.joinId, joinId));
    await kit.drained(gw1);
    await kit.restart();
    assert.equal((await gw2.client.transaction(join.txn)).state, 'registered');
    assert.ok(kit.admin.audit(hex(join.pnId)).passed);
  });

  it('delivers again, in order, what was not acknowledged, and nothing that was', async () => {
    const others = [pne, await kit.addPne(gw1), await kit.addPne(gw1)];
    const joins = [];
    for (const one of others) {
      const join = joinOf(gw2, one);
      const { challenge } = await gw2.client.registerPn(join.txn, join.body);
      const responded = join.respond(challenge);
      await gw2.client.respond(join.txn, responded.response);
      joins.push(responded);
    }
    gw1.frames.length = 0;
    gw1.hold = true;
    await gw1.online(kit.server.url);
    await gw1.frame('pne-confirm-request');
    await gw1.frame('pne-confirm-request');
    await gw1.offline();
    gw1.hold = false;
    gw1.frames.length = 0;
    await gw1.online(kit.server.url);
    for (const { th3 } of joins) {
      const { body } = await gw1.frame('pne-confirm-request');
      assert.equal(hex(body.th3), hex(th3));
    }
    await kit.drained(gw1);
    await gw1.offline();
    gw1.frames.length = 0;
    await gw1.online(kit.server.url);
    // Only a frame sent later comes now.
    const [first] = joins;
    assert.ok(first);
    await gw1.client.confirm(first.joinId, sayYes(gw1.signer, first.th3));
    await gw1.frame('join-outcome');
    assert.deepEqual(gw1.frames, []);
    await gw1.offline();
    for (const { th3, joinId } of joins.slice(1)) await gw1.client.confirm(joinId, sayYes(gw1.signer, th3));
  });

  it('signs nothing under a clock that it does not believe, until told', async () => {
    const join = joinOf(gw2, pne);
    await gw2.client.registerPn(join.txn, join.body);
    const later = joinOf(gw2, pne);
    for (const leap of [-400, 2 * 86_400]) {
      kit.clock.offsetSeconds += leap;
      await refused(gw2.client.registerPn(later.txn, later.body), 'clock-implausible');
      await refused(gw2.client.enrolmentNonce(), 'clock-implausible');
      // What is signed already may still be told.
      assert.equal((await gw2.client.transaction(join.txn)).state, 'challenged');
      kit.clock.offsetSeconds -= leap;
    }
    kit.clock.offsetSeconds += 2 * 86_400;
    assert.equal(kit.admin.acceptClock(), kit.clock.wallSeconds());
    await gw2.client.enrolmentNonce();
    kit.clock.offsetSeconds -= 2 * 86_400;
    await refused(gw2.client.enrolmentNonce(), 'clock-implausible');
    kit.admin.acceptClock();
    await gw2.client.enrolmentNonce();
  });

  it('may have been off for 90 days, not for longer', async () => {
    for (const [days, believed] of [
      [89, true],
      [91, false],
    ] as const) {
      await kit.stop();
      kit.clock.offsetSeconds += days * 86_400;
      await kit.start();
      if (believed) await gw2.client.enrolmentNonce();
      else await refused(gw2.client.enrolmentNonce(), 'clock-implausible');
      kit.clock.offsetSeconds -= days * 86_400;
      kit.admin.acceptClock();
    }
    await kit.restart();
  });

  it('forgets refusals after 30 days, and registrations and evidence never', async () => {
    const good = joinOf(gw2, pne);
    const { challenge } = await gw2.client.registerPn(good.txn, good.body);
    const responded = good.respond(challenge);
    await gw2.client.respond(good.txn, responded.response);
    await gw1.client.confirm(responded.joinId, sayYes(gw1.signer, responded.th3));
    const bad = joinOf(gw2, pne, { homeAddress: gw2.homeAddress });
    const badChallenge = await gw2.client.registerPn(bad.txn, bad.body);
    await gw2.client.respond(bad.txn, bad.respond(badChallenge.challenge).response);
    const step = async (days: number) => {
      kit.clock.offsetSeconds += days * 86_400;
      kit.admin.acceptClock();
      return kit.server.purge();
    };
    await step(29);
    assert.equal((await gw2.client.transaction(bad.txn)).state, 'refused');
    assert.ok((await step(2)) >= 1);
    await refused(gw2.client.transaction(bad.txn), 'unknown-transaction');
    assert.equal((await gw2.client.transaction(good.txn)).state, 'registered');
    await step(1_000);
    assert.ok(kit.admin.audit(hex(good.pnId)).passed);
    kit.clock.offsetSeconds -= 1_031 * 86_400;
    kit.admin.acceptClock();
  });

  it('keeps its files to itself', () => {
    for (const name of readdirSync(kit.stateDir)) {
      const { mode } = statSync(joinPath(kit.stateDir, name));
      if (name !== 'ca.crt') assert.equal(mode & 0o077, 0, name);
    }
  });

  it('survives kill -9 at any moment of many registrations', async function () {
    this.timeout(30_000);
    await kit.stop();
    const committed: { join: ReturnType<typeof joinOf>; response: Uint8Array }[] = [];
    for (let round = 0; round < 4; round++) {
      const { child, url } = await startChild(kit.stateDir);
      gw1.redial(url);
      gw2.redial(url);
      let answered = 0;
      try {
        for (;;) {
          const join = joinOf(gw2, pne, { name: `round ${round}` });
          const { challenge } = await gw2.client.registerPn(join.txn, join.body);
          const { response, th3, joinId } = join.respond(challenge);
          const { state } = await gw2.client.respond(join.txn, response);
          if (state === 'verified') await gw1.client.confirm(joinId, sayYes(gw1.signer, th3));
          committed.push({ join, response });
          // After a few, and then at another moment of the next ones each round.
          if (++answered === 2) setTimeout(() => child.kill('SIGKILL'), 3 + 7 * round);
        }
      } catch {
        // Killed: whatever was answered has to be there.
      }
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    }
    await kit.start();
    assert.ok(committed.length >= 8, String(committed.length));
    for (const { join, response } of committed) {
      const state = await gw2.client.respond(join.txn, response);
      assert.equal(state.state, 'registered');
    }
    for (const { pnId } of kit.admin.pns()) assert.ok(kit.admin.audit(hex(pnId)).passed);
  });
});

/** A server in a process of its own, to be killed. */
async function startChild(stateDir: string): Promise<{ child: ChildProcess; url: string }> {
  const child = spawn(
    process.execPath,
    ['--import=tsx', new URL('server-child.ts', import.meta.url).pathname, stateDir],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  assert.ok(child.stdout);
  const [chunk] = (await once(child.stdout, 'data')) as [Buffer];
  return { child, url: chunk.toString().trim() };
}

describe('server: administration', () => {
  const stateDir = mkdtempSync(joinPath(tmpdir(), 'cpns-admin-'));
  after(() => rmSync(stateDir, { recursive: true, force: true }));

  it('makes a server once', async () => {
    assert.throws(() => openServerAdmin(stateDir), { status: 'cannot-persist' });
    await assert.rejects(openServer({ stateDir, port: 0 }), { status: 'cannot-persist' });
    assert.throws(() => initServer({ stateDir, realm: 'Not A Realm' }), { status: 'name-not-allowed' });
    assert.throws(() => initServer({ stateDir, realm: 'a.example', hosts: ['no host'] }), {
      status: 'name-not-allowed',
    });
    initServer({ stateDir, realm: 'a.example' });
    assert.throws(() => initServer({ stateDir, realm: 'a.example' }), { status: 'conflict' });
    await assert.rejects(openServer({ stateDir, port: 0, realm: 'b.example' }), { status: 'conflict' });
  });

  it('takes only what it can know', () => {
    const admin = openServerAdmin(stateDir);
    admin.addUser('alice');
    assert.throws(() => admin.addUser('alice'), { status: 'conflict' });
    assert.throws(() => admin.addUser('x'.repeat(25)), { status: 'name-not-allowed' });
    assert.throws(() => admin.addUser('a\u202eb'), { status: 'name-not-allowed' });
    assert.throws(() => admin.createToken({ user: 'nobody', gatewayLabel: 'x' }), { status: 'not-found' });
    admin.revokeUser('alice');
    assert.throws(() => admin.createToken({ user: 'alice', gatewayLabel: 'x' }), { status: 'revoked-user' });
    assert.equal(admin.users()[0]?.revoked, true);
    for (const id of ['', 'zz', '00', '0'.repeat(16), '0'.repeat(64)]) {
      assert.throws(() => admin.revokeGateway(id), { status: 'not-found' });
      assert.throws(() => admin.revokePne(id), { status: 'not-found' });
      assert.throws(() => admin.audit(id), { status: 'not-found' });
    }
    assert.throws(() => admin.revokeUser('nobody'), { status: 'not-found' });
    admin.close();
  });
});
