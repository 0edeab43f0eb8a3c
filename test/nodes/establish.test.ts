/** The main job in one process: enrolment and steps 0–13 with everything real but the air. */
import assert from 'node:assert/strict';
import { TestNetwork } from './network.ts';

describe('a PN of two users', () => {
  let network: TestNetwork;
  beforeEach(async () => {
    network = await TestNetwork.open();
  });
  afterEach(() => network.close());

  it('is established: steps 0 to 13, the same inventory everywhere', async () => {
    const home = await network.gateway('Alice', 'Hall');
    const initiating = await network.gateway('Bob', 'Kitchen', { pn: { invite: true } });
    const pne = await network.pne('Watch');
    const { code } = pne.startEnrolment();
    await home.pair(code);
    await pne.enrolled;
    await network.until('membership', () => pne.status().memberships.length === 1);
    await network.until('acknowledged', () => initiating.pns()[0]?.joins[0]?.acknowledged === true);

    const [membership] = pne.status().memberships;
    const [pn] = initiating.pns();
    assert.equal(membership?.inventorySha256, pn?.inventorySha256);
    assert.equal(membership?.name, 'Kitchen PN');
    const steps = network.trace.filter(({ step }) => step !== undefined).map(({ step }) => step);
    assert.deepEqual(steps, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]);
  });
});
