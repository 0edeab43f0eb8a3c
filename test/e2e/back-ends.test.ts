/** The main job with the Bluetooth back-ends mixed, as the configurations of four processes name them. */
import assert from 'node:assert/strict';
import { BACK_ENDS } from '../../src/bluetooth/open.ts';
import { FourProcesses } from './four-processes.ts';

describe('four processes on both back-ends', function () {
  this.timeout(120_000);
  let world: FourProcesses | undefined;
  afterEach(() => world?.close());

  for (const pne of BACK_ENDS) {
    const gw2 = pne === 'stoprocent' ? 'abandonware' : 'stoprocent';
    it(`PNE and home gateway on ${pne}, the inviting gateway on ${gw2}: enrol, establish, resume`, async () => {
      world = await FourProcesses.open({ backEnds: { pne, gw1: pne, gw2 } });
      const { lines } = world;
      const said = (name: string) => lines.filter((line) => line.name === name).length;
      await world.start('gw2');
      await world.until('the question', () => lines.some(({ event }) => event === 'asked'));
      await world.allow();
      await world.untilOutcome('member');
      const resumed = said('Resumed');
      assert.ok(world.dropLink());
      await world.until('resumption', () => said('Resumed') > resumed);
      assert.deepEqual(world.violations, []);
      assert.deepEqual(world.deaths, []);
    });
  }
});
