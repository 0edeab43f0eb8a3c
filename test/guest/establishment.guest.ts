/**
 * The main job on the kernel's Bluetooth: server, home gateway, initiating gateway and PNE, four processes with noble and
 * bleno on AF_BLUETOOTH sockets: in user-channel mode on BlueZ's controllers and on ours, and in raw mode on ours.
 */
// guest: --timeout 900
import assert from 'node:assert/strict';
import { type Air, dropOpenLink, FourProcesses } from '../e2e/four-processes.ts';
import { assertSound } from '../e2e/sound.ts';
import {
  decodeCapture,
  kernelComplaints,
  loadKernelBluetooth,
  powerUp,
  settled,
  startBtmon,
  startBtvirt,
  startRadio,
  until,
} from './kernel.ts';

/** Emulation makes everything ten times slower. */
const PATIENCE_MS = 120_000;
const KERNEL_LETS_GO_MS = 6_000;

describe('the four parties on the kernel of the guest', function () {
  this.timeout(600_000);
  let world: FourProcesses | undefined;
  let captured = '';

  before(loadKernelBluetooth);
  afterEach(async function () {
    await world?.close();
    if (world) assertSound(world, this.currentTest);
    world = undefined;
    assert.deepEqual(kernelComplaints(), []);
  });

  /** Enrols everybody and establishes, with btmon listening. */
  const establish = async (
    name: string,
    indices: readonly number[],
    air: Omit<Air, 'adapters'>,
    channel: 'user' | 'raw' = 'user',
  ) => {
    const [gw1, gw2, pne] = indices.map((index) => `hci:${index}/${channel}`);
    await (channel === 'raw' ? powerUp : settled)(indices);
    const btmon = await startBtmon(name);
    const adapters = { gw1: gw1 ?? '', gw2: gw2 ?? '', pne: pne ?? '' };
    world = await FourProcesses.open({ patienceMs: PATIENCE_MS, air: { ...air, adapters } });
    await world.start('gw2');
    await world.until('the question', () => (world?.asked().length ?? 0) > 0);
    await world.allow();
    const state = await world.untilOutcome('member');
    await btmon.stop('SIGINT');
    captured = (await decodeCapture(name)) ?? '';
    return { world, state };
  };

  it('enrol and establish on the controllers of btvirt, seen by btmon', async () => {
    const btvirt = await startBtvirt(3);
    await establish('btvirt', [0, 1, 2], { dropLink: () => false, close: () => btvirt.stop() });
    assert.match(captured, /LE Create Connection/);
    assert.match(captured, /ATT: Write Command/);
    assert.match(captured, /ATT: Handle Value Notification/);
  });

  /** On our controllers, paced: a link that breaks is resumed without another registration. */
  const establishAndResume = async (name: string, channel: 'user' | 'raw') => {
    const radio = await startRadio(3, { intervalMs: 7.5 });
    const { world } = await establish(
      name,
      radio.indices,
      { dropLink: () => dropOpenLink(radio), close: () => radio.close() },
      channel,
    );
    assert.match(captured, /ATT: Write Command/);
    // In raw mode the kernel ends a link of which it believes that nobody uses it.
    await until('a link that lasts', () =>
      radio.counters().links.some(({ open, ageMs }) => open && ageMs > KERNEL_LETS_GO_MS),
    );
    const requests = world.said('gw2', ({ name }) => name === 'PnSetupRequest').length;
    const resumed = () => world.lines.filter(({ name }) => name === 'Resumed').length;
    const before = resumed();
    assert.ok(world.dropLink());
    await world.until('resumption', () => resumed() > before);
    assert.equal(world.said('gw2', ({ name }) => name === 'PnSetupRequest').length, requests);
    assert.deepEqual([...radio.counters().unknownCommands.keys()], []);
    assert.equal(radio.counters().overflows, 0);
  };

  it('do so on our controllers, paced; a link that breaks is resumed without another registration', async () => {
    await establishAndResume('radio', 'user');
  });

  it('do so on adapters that are shared with the kernel, which ends none of their links', async () => {
    await establishAndResume('shared', 'raw');
  });
});
