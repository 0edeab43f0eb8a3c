/**
 * A PNE that stands still, as in a sleep of its machine, while its controller forgets that it advertises and says nothing: it
 * is on the air again soon after it goes on, not when its salt has served its time.
 */
import assert from 'node:assert/strict';
import { openVirtualRadio } from '../../src/bluetooth/open.ts';
import { scratchFile } from '../bluetooth/support.ts';
import { dropOpenLink, FourProcesses } from './four-processes.ts';

const ASLEEP_MS = 10_000;

describe('a PNE that slept', function () {
  this.timeout(120_000);
  let world: FourProcesses;
  let radio: Awaited<ReturnType<typeof openVirtualRadio>>;

  before(async () => {
    radio = await openVirtualRadio({ path: scratchFile('radio.sock') });
    const { moniker } = radio;
    const adapters = { gw1: moniker, gw2: moniker, pne: moniker };
    const air = { adapters, dropLink: () => dropOpenLink(radio), close: () => radio.close() };
    world = await FourProcesses.open({ air });
  });
  after(() => world?.close());

  it('is found by a gateway although its controller forgot it', async () => {
    await world.until('its announcement', () => {
      const linkEnded =
        world.said('pne', ({ event, state }) => event === 'link' && state === 'down').length > 0;
      return linkEnded && [...radio.radio.controllers].some(({ advertising }) => advertising.enabled);
    });
    world.pause('pne', 'SIGSTOP');
    radio.radio.forgetEverything();
    await new Promise((resolve) => setTimeout(resolve, ASLEEP_MS));
    world.pause('pne', 'SIGCONT');
    await world.start('gw2');
    await world.until('the question', () => world.asked().length > 0);
    await world.allow();
    await world.untilOutcome('member');
    assert.ok(world.said('pne', ({ event, state }) => event === 'radio' && state === 'ready').length > 0);
    assert.deepEqual(world.violations, []);
  });
});
