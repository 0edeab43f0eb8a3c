/** Step 6 leaves the PNE and never reaches the gateway, again and again: the next join frees the PNE of what it signed for nobody. */
import assert from 'node:assert/strict';
import type { TraceEvent } from '../../src/nodes/trace.ts';
import { TestNetwork } from './network.ts';

/** One less than the pending joins of one gateway that a PNE can hold: with one more it is busy. */
const LOST = 2;

describe('a step 6 that nobody hears', function () {
  this.timeout(60_000);
  let network: TestNetwork;
  beforeEach(async () => {
    network = await TestNetwork.open();
  });
  afterEach(() => network.close());

  it('is of one network, however often, and nothing of it is left after the join', async () => {
    const home = await network.gateway('Alice', 'Hall');
    const initiating = await network.gateway('Bob', 'Kitchen', { pn: { invite: true } });
    const pne = await network.pne('Watch');
    const pnIds = new Set<string>();
    let lost = 0;
    const push = network.trace.push.bind(network.trace);
    network.trace.push = (...events: TraceEvent[]) => {
      for (const { name, from } of events) {
        if (name !== 'AuthenticationResponse' || from !== 'pne' || lost === LOST) continue;
        lost++;
        for (const pending of pne.status().pending) pnIds.add(pending.pnId);
        // Said, and not yet on the air.
        const link = network.radio.counters().links.find(({ open }) => open);
        network.radio.dropLink(link?.central ?? '', link?.peripheral ?? '');
      }
      return push(...events);
    };
    await home.pair(pne.startEnrolment().code);
    await pne.enrolled;
    await network.until('membership', () => pne.status().memberships.length === 1, 50_000);
    assert.equal(lost, LOST);
    assert.equal(pnIds.size, 1, 'always the same network');
    assert.deepEqual(pne.status().pending, []);
    await network.until('acknowledged', () => initiating.pns()[0]?.joins[0]?.acknowledged === true);
    assert.equal(initiating.pns().length, 1);
    assert.equal(initiating.pns()[0]?.joins.length, 1);
  });
});
