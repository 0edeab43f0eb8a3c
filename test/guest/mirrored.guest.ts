/**
 * The mirrored arrangement on the kernel's Bluetooth: bleno at the gateways, noble at the PNE, four processes. A refusal on
 * the way, a membership, a link that breaks.
 */
// guest: --timeout 900
import assert from 'node:assert/strict';
import { dropOpenLink, FourProcesses } from '../e2e/four-processes.ts';
import { assertSound } from '../e2e/sound.ts';
import { judge } from '../faults/outcome.ts';
import { kernelComplaints, loadKernelBluetooth, OUT, settled, startRadio } from './kernel.ts';

const PATIENCE_MS = 120_000;

describe('the four parties with the GATT roles the other way round', function () {
  this.timeout(400_000);
  let world: FourProcesses;

  before(async () => {
    loadKernelBluetooth();
    const radio = await startRadio(3, { intervalMs: 7.5 });
    await settled(radio.indices);
    const [gw1 = '', gw2 = '', pne = ''] = radio.indices.map((index) => `hci:${index}/user`);
    const air = {
      adapters: { gw1, gw2, pne },
      dropLink: () => dropOpenLink(radio),
      close: () => radio.close(),
    };
    world = await FourProcesses.open({ patienceMs: PATIENCE_MS, air, mirrored: true, logsTo: OUT });
  });
  after(() => world?.close());
  afterEach(function () {
    assertSound(world, this.currentTest);
    assert.deepEqual(kernelComplaints(), []);
  });

  const nextQuestion = async () => {
    const before = world.asked().length;
    await world.until('a question', () => world.asked().length > before);
  };

  it('an owner who says no: both sides have the server’s word for it', async () => {
    await Promise.all([nextQuestion(), world.start('gw2')]);
    await world.answer(false);
    const { server } = await world.untilOutcome('nothing');
    assert.deepEqual(
      server.registrations.map(({ state }) => state),
      ['refused'],
    );
  });

  it('an owner who says yes: a member, whose broken link is resumed without another registration', async () => {
    await world.end('gw2', 'SIGTERM');
    await Promise.all([nextQuestion(), world.start('gw2')]);
    await world.answer(true);
    const state = await world.untilOutcome('member');
    assert.match(judge(state).detail, /version 1/);
    const requests = world.said('gw2', ({ name }) => name === 'PnSetupRequest').length;
    const resumed = () => world.lines.filter(({ name }) => name === 'Resumed').length;
    const before = resumed();
    assert.ok(world.dropLink());
    await world.until('resumption', () => resumed() > before);
    assert.equal(world.said('gw2', ({ name }) => name === 'PnSetupRequest').length, requests);
  });
});
