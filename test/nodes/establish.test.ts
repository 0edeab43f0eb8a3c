/** The main job in one process: enrolment and steps 0–13 with everything real but the air. */
import assert from 'node:assert/strict';
import { fromHex, toHex } from '../../src/base/bytes.ts';
import type { Status } from '../../src/base/statuses.ts';
import type { GatewayNode } from '../../src/nodes/gateway/gateway.ts';
import type { PneNode } from '../../src/nodes/pne/pne.ts';
import { openServerAdmin } from '../../src/nodes/server/admin.ts';
import { TestNetwork } from './network.ts';

/** Enrols a PNE at its home as a person would: reads the code off one and types it into the other. */
async function enrol(pne: PneNode, home: GatewayNode): Promise<void> {
  const { code } = pne.startEnrolment();
  await home.pair(code);
  await pne.enrolled;
}

const member =
  (pne: PneNode, version = 1) =>
  () =>
    pne.status().memberships[0]?.version === version;
const INVITING = { pn: { invite: true } };

describe('a network with everything real but the air', function () {
  this.timeout(20_000);
  let network: TestNetwork;
  beforeEach(async () => {
    network = await TestNetwork.open();
  });
  afterEach(() => network.close());

  const steps = () => network.trace.flatMap(({ step }) => (step === undefined ? [] : [step]));
  const linkEnds = (status: Status) => () =>
    network.events.filter((e) => e.kind === 'link' && e.state === 'down' && e.status === status).length;

  it('establishes a PN of two users: steps 0 to 13, the same inventory everywhere', async () => {
    const home = await network.gateway('Alice', 'Hall');
    const initiating = await network.gateway('Bob', 'Kitchen', INVITING);
    const pne = await network.pne('Watch');
    await enrol(pne, home);
    await network.until('membership', member(pne));
    await network.until('acknowledged', () => initiating.pns()[0]?.joins[0]?.acknowledged === true);
    await network.until('outcome at home', () => home.confirmations()[0]?.outcome === true);

    const [membership] = pne.status().memberships;
    const [pn] = initiating.pns();
    assert.equal(membership?.inventorySha256, pn?.inventorySha256);
    assert.equal(membership?.name, 'Kitchen PN');
    assert.deepEqual(steps(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]);
    assert.equal(home.confirmations()[0]?.joinId, membership?.joinId);
  });

  it('keeps steps 1, 2, 5, 6 and 13 within seven segments for a 60-byte capability', async () => {
    const home = await network.gateway('Alice', 'Hall');
    await network.gateway('Bob', 'Kitchen', INVITING);
    const pne = await network.pne('Watch');
    await enrol(pne, home);
    await network.until('membership', member(pne));
    const counted = network.trace.filter(({ step, via }) => via === 'ble' && step !== undefined && step > 0);
    assert.deepEqual(
      counted.map(({ step }) => step),
      [1, 2, 5, 6, 13],
    );
    const segments = counted.reduce((sum, event) => sum + (event.segments ?? 0), 0);
    assert.ok(segments <= 7, `${segments} segments`);
  });

  it('works for one user whose gateway is both', async () => {
    const gateway = await network.gateway('Alice', 'Hall', INVITING);
    const pne = await network.pne('Watch');
    await enrol(pne, gateway);
    await network.until('membership', member(pne));
    assert.equal(gateway.confirmations().length, 1);
  });

  it('tells members who are in already when another joins', async () => {
    const home = await network.gateway('Alice', 'Hall');
    const initiating = await network.gateway('Bob', 'Kitchen', INVITING);
    const first = await network.pne('Watch');
    await enrol(first, home);
    await network.until('first membership', member(first));
    const second = await network.pne('Scale');
    await enrol(second, home);
    await network.until('second membership', member(second, 2));
    await network.until('update at the first', member(first, 2));
    const hashes = [first, second].map((pne) => pne.status().memberships[0]?.inventorySha256);
    assert.deepEqual(hashes, [initiating.pns()[0]?.inventorySha256, initiating.pns()[0]?.inventorySha256]);
  });

  it('passes data both ways once live', async () => {
    const home = await network.gateway('Alice', 'Hall');
    const initiating = await network.gateway('Bob', 'Kitchen', INVITING);
    const pne = await network.pne('Watch');
    await enrol(pne, home);
    await network.until('live', () => initiating.pns()[0]?.joins[0]?.link === true);
    const big = new Uint8Array(60_000).fill(7);
    pne.sendData(big);
    initiating.sendData(initiating.pns()[0]?.pnId ?? '', 1, fromHex('0102'));
    await network.until('both', () => network.events.filter(({ kind }) => kind === 'data').length === 2);
    const received = network.events.flatMap((event) => (event.kind === 'data' ? [event.bytes.length] : []));
    assert.deepEqual(received.sort(), [2, 60_000].sort());
  });

  it('resumes after a lost link, and learns meanwhile what changed', async () => {
    const home = await network.gateway('Alice', 'Hall');
    const initiating = await network.gateway('Bob', 'Kitchen', INVITING);
    const pne = await network.pne('Watch');
    await enrol(pne, home);
    await network.until('live', () => initiating.pns()[0]?.joins[0]?.link === true);
    const before = steps().length;
    const link = network.radio.counters().links.find(({ open }) => open);
    network.radio.dropLink(link?.central ?? '', link?.peripheral ?? '');
    await network.until('down', () => initiating.pns()[0]?.joins[0]?.link === false);
    await network.until('live again', () => initiating.pns()[0]?.joins[0]?.link === true);
    await network.until('resumed', () => network.events.some(({ kind }) => kind === 'resumed'));
    assert.equal(steps().length, before, 'no second establishment');
    assert.equal(pne.status().memberships[0]?.version, 1);
  });

  it('refreshes a PNE that forgot its membership: same handle, no second question', async () => {
    const home = await network.gateway('Alice', 'Hall');
    const initiating = await network.gateway('Bob', 'Kitchen', INVITING);
    const pne = await network.pne('Watch');
    await enrol(pne, home);
    await network.until('live', () => initiating.pns()[0]?.joins[0]?.link === true);
    await pne.forget(pne.status().memberships[0]?.pnId ?? '');
    await network.until('member again', member(pne, 2));
    assert.equal(home.confirmations().length, 1, 'user A was asked once');
    assert.equal(pne.status().memberships[0]?.members, 1);
  });

  it('goes on when the server restarts between members', async () => {
    const home = await network.gateway('Alice', 'Hall');
    await network.gateway('Bob', 'Kitchen', INVITING);
    const first = await network.pne('Watch');
    await enrol(first, home);
    await network.until('first membership', member(first));
    await network.server.close();
    await network.startServer();
    const second = await network.pne('Scale');
    await enrol(second, home);
    await network.until('second membership', member(second, 2), 15_000);
  });

  describe('refusals leave nothing behind and are named at both ends', () => {
    async function refused(status: Status, pne: PneNode, initiating: GatewayNode): Promise<void> {
      await network.until(`${status} at both`, () => linkEnds(status)() >= 2);
      await network.until('nothing left', () => initiating.pns().length === 0);
      assert.deepEqual(pne.status().pending, []);
      assert.deepEqual(pne.status().memberships, []);
    }

    it('user A refuses', async () => {
      const home = await network.gateway('Alice', 'Hall', {
        approvals: { default: 'deny', rules: [{ decision: 'deny' }] },
      });
      const initiating = await network.gateway('Bob', 'Kitchen', INVITING);
      const pne = await network.pne('Watch');
      await enrol(pne, home);
      await refused('user-refused', pne, initiating);
    });

    it('user A is asked and says that it may not be charged', async () => {
      const home = await network.gateway('Alice', 'Hall', {
        approvals: { default: 'ask', rules: [{ decision: 'ask' }] },
      });
      const initiating = await network.gateway('Bob', 'Kitchen', INVITING);
      const pne = await network.pne('Watch');
      await enrol(pne, home);
      await network.until('question', () => home.approvals().length === 1);
      const [question] = home.approvals();
      assert.deepEqual([question?.asking.user, question?.asking.gateway], ['Bob', 'Kitchen']);
      await home.decide(toHex(question?.joinId ?? new Uint8Array(0)), { yours: true, chargeable: false });
      await refused('not-chargeable', pne, initiating);
    });

    it('the PNE declines', async () => {
      const home = await network.gateway('Alice', 'Hall');
      const initiating = await network.gateway('Bob', 'Kitchen', INVITING);
      const pne = await network.pne('Watch', { ask: () => Promise.resolve('declined') });
      await enrol(pne, home);
      await network.until('declined, at both', () => linkEnds('declined')() >= 2);
      await network.until('nothing left', () => initiating.pns().length === 0);
      assert.deepEqual(pne.status().pending, []);
      assert.ok(!steps().includes(3), 'the server never hears of it');
    });

    it('the PNE was revoked while a member: it is not called again at once', async () => {
      const home = await network.gateway('Alice', 'Hall');
      const initiating = await network.gateway('Bob', 'Kitchen', INVITING);
      const pne = await network.pne('Watch');
      await enrol(pne, home);
      await network.until('live', () => initiating.pns()[0]?.joins[0]?.link === true);
      const admin = openServerAdmin(network.serverDir);
      admin.revokePne(pne.status().thumbprint);
      admin.close();
      const link = network.radio.counters().links.find(({ open }) => open);
      network.radio.dropLink(link?.central ?? '', link?.peripheral ?? '');
      await network.until('told so', () => linkEnds('revoked-pne')() >= 2);
      const links = network.radio.counters().links.length;
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      assert.equal(network.radio.counters().links.length, links, 'no link within a second');
    });

    it('the PNE was revoked', async () => {
      const home = await network.gateway('Alice', 'Hall');
      const pne = await network.pne('Watch');
      await enrol(pne, home);
      const admin = openServerAdmin(network.serverDir);
      admin.revokePne(pne.status().thumbprint);
      admin.close();
      const initiating = await network.gateway('Bob', 'Kitchen', INVITING);
      await refused('revoked-pne', pne, initiating);
    });
  });
});
