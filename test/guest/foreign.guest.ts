/**
 * Peers in another language on another Bluetooth stack: Python programs written from docs/protocol.md alone
 * (test/guest/foreign), with bluetoothd as GATT server and as GATT client, join and register with our own parties.
 */
// guest: --timeout 900
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { dropOpenLink, type Foreign, FourProcesses, type Party } from '../e2e/four-processes.ts';
import { assertSound } from '../e2e/sound.ts';
import {
  command,
  loadKernelBluetooth,
  OUT,
  settled,
  startBluetoothd,
  startBtmon,
  startRadio,
} from './kernel.ts';

const PATIENCE_MS = 120_000;
const PYTHON = ['/usr/bin/python3', '-B'] as const;
/** Only adapters that a program asks for are powered: the others are for our user channels. */
const BLUETOOTHD_CONFIG = '/run/bluetoothd.conf';
const script = (name: string): string => join(process.cwd(), 'test/guest/foreign', name);

describe('programs of another make, on bluetoothd', function () {
  this.timeout(400_000);
  let world: FourProcesses | undefined;
  const cleanUp: (() => Promise<void>)[] = [];

  before(() => {
    loadKernelBluetooth();
    writeFileSync(BLUETOOTHD_CONFIG, '[Policy]\nAutoEnable=false\n');
  });
  afterEach(async function () {
    const ended = world;
    world = undefined;
    await ended?.close();
    for (const clean of cleanUp.splice(0).reverse()) await clean();
    if (ended) assertSound(ended, this.currentTest);
  });

  /** Three adapters, one of them for bluetoothd and the program on it; everybody enrolled. */
  const open = async (name: string, stranger: 'gw2' | 'pne', program: string) => {
    const foreign: Foreign = { [stranger]: [...PYTHON, script(program)] };
    const radio = await startRadio(3, { intervalMs: 7.5 });
    cleanUp.push(() => radio.close());
    await settled(radio.indices);
    const btmon = await startBtmon(name);
    cleanUp.push(() => btmon.stop('SIGINT'));
    const bluetoothd = await startBluetoothd('-f', BLUETOOTHD_CONFIG);
    cleanUp.push(() => bluetoothd.stop());
    // The kernel gives numbers anew only once nothing refers to the adapters that had them: they may be any.
    const adapter = (index: number | undefined, party: Party) =>
      party === stranger ? `hci${index}` : `hci:${index}/user`;
    const [a, b, c] = radio.indices;
    const adapters = { gw1: adapter(a, 'gw1'), gw2: adapter(b, 'gw2'), pne: adapter(c, 'pne') };
    const air = { adapters, dropLink: () => dropOpenLink(radio), close: async () => {} };
    world = await FourProcesses.open({ patienceMs: PATIENCE_MS, air, foreign, logsTo: join(OUT, name) });
    return world;
  };

  it('agree with the vectors', async () => {
    const said = await command(...PYTHON, script('check_vectors.py'), join(process.cwd(), 'test/vectors'));
    assert.match(said, /^\d+ values as in the vectors$/m);
  });

  it('enrol as a PNE with our home gateway and join a network of our gateway', async () => {
    const world = await open('foreign-pne', 'pne', 'pne_on_bluez.py');
    await world.start('gw2');
    await world.until('the question', () => world.asked().length > 0);
    await world.allow();
    const { server, pne } = await world.untilOutcome('member');
    assert.equal(pne.joins[0]?.inventory, server.pns[0]?.inventory);
    await world.until('its word', () => world.said('pne', ({ event }) => event === 'member').length === 1);
    // The link breaks: resumed under its rid, with the server's word that the membership stands.
    assert.ok(world.dropLink());
    await world.until(
      'a fresh membership',
      () => world.said('pne', ({ event }) => event === 'fresh').length > 0,
    );
    assert.equal(world.said('gw2', ({ name }) => name === 'PnSetupRequest').length, 1);
  });

  it('invite as a gateway our PNE, and register it at our server with our home gateway', async () => {
    const world = await open('foreign-gateway', 'gw2', 'gateway_on_bluez.py');
    await world.start('gw2');
    await world.until('the question', () => world.asked().length > 0);
    await world.allow();
    const { server, gw2, pne } = await world.untilOutcome('member');
    assert.equal(gw2.pns[0]?.inventory, server.pns[0]?.inventory);
    assert.equal(pne.joins[0]?.inventory, server.pns[0]?.inventory);
  });
});
