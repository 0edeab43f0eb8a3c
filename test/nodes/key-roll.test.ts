/**
 * The operator replaces the key the server signs with, while a network is alive: gateways and members learn the new one by
 * themselves, nobody is asked again, nothing that the server said is lost.
 */
import assert from 'node:assert/strict';
import type { GatewayNode } from '../../src/nodes/gateway/gateway.ts';
import type { PneNode } from '../../src/nodes/pne/pne.ts';
import { openServerAdmin, type ServerAdmin } from '../../src/nodes/server/admin.ts';
import { TestNetwork } from './network.ts';

const INVITING = { pn: { invite: true } };

describe('server key roll-over', function () {
  this.timeout(30_000);
  let network: TestNetwork;
  let home: GatewayNode;
  let initiating: GatewayNode;
  let watch: PneNode;

  beforeEach(async () => {
    network = await TestNetwork.open();
    home = await network.gateway('Alice', 'Hall');
    initiating = await network.gateway('Bob', 'Kitchen', INVITING);
    watch = await member('Watch', 1);
  });
  afterEach(() => network.close());

  async function member(name: string, version: number): Promise<PneNode> {
    const pne = await network.pne(name);
    await home.pair(pne.startEnrolment().code);
    await pne.enrolled;
    await network.until(`${name} a member`, () => versionOf(pne) === version, 20_000);
    await network.until('live', () => joinOf(version - 1)?.link === true);
    return pne;
  }

  const knows = (party: PneNode | GatewayNode, kid: string) => party.status().serverKeys.join() === kid;
  const versionOf = (pne: PneNode) => pne.status().memberships[0]?.version;
  const joinOf = (index: number) => initiating.pns()[0]?.joins[index];

  function administer<T>(work: (admin: ServerAdmin) => T): T {
    const admin = openServerAdmin(network.serverDir);
    try {
      return work(admin);
    } finally {
      admin.close();
    }
  }

  async function restartServer(): Promise<void> {
    await network.server.close();
    await network.startServer();
  }

  function dropLinks(): void {
    for (const { open, central, peripheral } of network.radio.counters().links)
      if (open) network.radio.dropLink(central, peripheral);
  }

  it('reaches a member by resumption, and another PNE joins under the new key', async () => {
    const [before] = administer((admin) => admin.serverKeys());
    assert.equal(
      administer((admin) => admin.rollServerKey()),
      2,
    );
    await restartServer();
    const scale = await member('Scale', 2);
    await network.until('the update at the first', () => versionOf(watch) === 2, 20_000);
    const hashes = [watch, scale].map((pne) => pne.status().memberships[0]?.inventorySha256);
    assert.deepEqual(hashes, [initiating.pns()[0]?.inventorySha256, initiating.pns()[0]?.inventorySha256]);
    assert.equal(home.confirmations().length, 2, 'nobody was asked twice');
    const keys = administer((admin) => admin.serverKeys());
    assert.deepEqual(
      keys.map(({ number, signs }) => ({ number, signs })),
      [
        { number: 2, signs: true },
        { number: 1, signs: false },
      ],
    );
    assert.equal(keys[1]?.kid, before?.kid);
  });

  it('keeps members of a network whose inventory a retired key has signed, and its audit', async () => {
    const { pnId = '' } = initiating.pns()[0] ?? {};
    administer((admin) => {
      admin.rollServerKey();
      admin.retireServerKey(1);
    });
    await restartServer();
    const [{ kid = '' } = {}] = administer((admin) => admin.serverKeys());
    const told = (name: string) => network.trace.filter((event) => event.name === name).length;
    dropLinks();
    await network.until('the new key alone is believed', () => knows(watch, kid), 20_000);
    await network.until('live', () => joinOf(0)?.link === true);
    const before = told('Freshness');
    dropLinks();
    await network.until('resumed again', () => told('Freshness') > before, 20_000);
    assert.equal(told('ServerKeys'), 1, 'the keys are told once');
    assert.ok(administer((admin) => admin.audit(pnId)).passed);
    await member('Scale', 2);
    await network.until('the update at the first', () => versionOf(watch) === 2, 20_000);
    assert.ok(administer((admin) => admin.audit(pnId)).passed);
  });

  it('tells a member that was away what a retired key has signed before it takes the belief in that key', async () => {
    await watch.close();
    const scale = await network.pne('Scale');
    await home.pair(scale.startEnrolment().code);
    await network.until('Scale a member', () => versionOf(scale) === 2, 20_000);
    administer((admin) => {
      admin.rollServerKey();
      admin.retireServerKey(1);
    });
    await restartServer();
    const [{ kid = '' } = {}] = administer((admin) => admin.serverKeys());
    dropLinks();
    await network.until('the gateway has the new key', () => knows(initiating, kid), 20_000);
    watch = await network.pne('Watch');
    await network.until('the update', () => versionOf(watch) === 2, 20_000);
    await network.until('the new key alone is believed', () => knows(watch, kid), 20_000);
  });

  it('reaches a gateway whose PNEs are all still to come', async () => {
    await watch.close();
    const other = await network.gateway('Carol', 'Shed', INVITING);
    await initiating.close();
    administer((admin) => {
      admin.rollServerKey();
      admin.retireServerKey(1);
    });
    await restartServer();
    const scale = await network.pne('Scale');
    await home.pair(scale.startEnrolment().code);
    await scale.enrolled;
    await network.until('a member there', () => versionOf(scale) === 1, 20_000);
    assert.equal(other.pns()[0]?.version, 1);
  });

  it('does not let the signing key be retired, nor one that is not there', () => {
    administer((admin) => {
      assert.throws(() => admin.retireServerKey(1), { status: 'conflict' });
      assert.throws(() => admin.retireServerKey(7), { status: 'not-found' });
    });
  });

  it('keeps four keys at most, and numbers none twice', () => {
    administer((admin) => {
      for (const number of [2, 3, 4, 5]) assert.equal(admin.rollServerKey(), number);
      assert.deepEqual(
        admin.serverKeys().map(({ number }) => number),
        [5, 4, 3, 2],
      );
      admin.retireServerKey(4);
      assert.equal(admin.rollServerKey(), 6);
    });
  });
});
