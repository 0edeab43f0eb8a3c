/**
 * The mirrored arrangement between real processes: gateways are GATT peripherals, the PNE is central and takes the code
 * that its home shows. Membership, a link that breaks and processes that are killed end as they do the other way round.
 */
import assert from 'node:assert/strict';
import { FourProcesses } from './four-processes.ts';
import { assertSound } from './sound.ts';

describe('four processes with the GATT roles the other way round', function () {
  this.timeout(180_000);
  let world: FourProcesses;
  beforeEach(async () => {
    world = await FourProcesses.open({ mirrored: true });
  });
  afterEach(async function () {
    await world.close();
    assertSound(world, this.currentTest);
  });

  const resumed = () => world.lines.filter(({ name }) => name === 'Resumed').length;
  const establish = async () => {
    await world.start('gw2');
    await world.until('the question', () => world.asked().length > 0);
    await world.allow();
    await world.untilOutcome('member');
  };

  it('enrol, establish, and resume over a new link', async () => {
    await establish();
    const [discovery] = world.said('pne', ({ name, step }) => name === 'EntityDiscovery' && step === 0);
    assert.deepEqual([discovery?.from, discovery?.to], ['gateway', 'pne']);
    const before = resumed();
    assert.ok(world.dropLink());
    await world.until('resumption', () => resumed() > before);
    assert.equal(world.said('gw2', ({ name }) => name === 'PnSetupRequest').length, 1);
  });

  for (const party of ['gw2', 'pne'] as const) {
    it(`find each other again when ${party} was killed and started again`, async () => {
      await establish();
      const before = resumed();
      await world.end(party, 'SIGKILL');
      await world.start(party);
      await world.until('resumption', () => resumed() > before);
      await world.untilOutcome('member');
      assert.equal(world.said('gw2', ({ name }) => name === 'PnSetupRequest').length, 1);
    });
  }
});
