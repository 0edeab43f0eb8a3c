/**
 * Peers in another language on another Bluetooth stack: Python programs written from docs/protocol.md alone
 * (test/guest/foreign), with bluetoothd as GATT server and as GATT client, join and register with our own parties.
 */
// guest: --timeout 900
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Air, dropOpenLink, type Foreign, FourProcesses } from '../e2e/four-processes.ts';
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
  afterEach(async () => {
    const { violations = [], deaths = [] } = world ?? {};
    await world?.close();
    world = undefined;
    for (const clean of cleanUp.splice(0).reverse()) await clean();
    assert.deepEqual(violations, []);
    assert.deepEqual(deaths, []);
  });

  /** Three adapters, one of them for bluetoothd; everybody enrolled. */
  const open = async (name: string, adapters: Air['adapters'], foreign: Foreign) => {
    const radio = await startRadio(3, { intervalMs: 7.5 });
    cleanUp.push(() => radio.close());
    await settled(radio.indices);
    const btmon = await startBtmon(name);
    cleanUp.push(() => btmon.stop('SIGINT'));
    const bluetoothd = await startBluetoothd('-f', BLUETOOTHD_CONFIG);
    cleanUp.push(() => bluetoothd.stop());
    const air = { adapters, dropLink: () => dropOpenLink(radio), close: async () => {} };
    world = await FourProcesses.open({ patienceMs: PATIENCE_MS, air, foreign, logsTo: join(OUT, name) });
    return world;
  };

  it('agree with the vectors', async () => {
    const said = await command(...PYTHON, script('check_vectors.py'), join(process.cwd(), 'test/vectors'));
    assert.match(said, /^\d+ values as in the vectors$/m);
  });

  it('enrol as a PNE with our home gateway and join a network of our gateway', async () => {
    const adapters = { gw1: 'hci:0/user', gw2: 'hci:1/user', pne: 'hci2' };
    const world = await open('foreign-pne', adapters, { pne: [...PYTHON, script('pne_on_bluez.py')] });
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
    const adapters = { gw1: 'hci:0/user', pne: 'hci:1/user', gw2: 'hci2' };
    const world = await open('foreign-gateway', adapters, {
      gw2: [...PYTHON, script('gateway_on_bluez.py')],
    });
    await world.start('gw2');
    await world.until('the question', () => world.asked().length > 0);
    await world.allow();
    const { server, gw2, pne } = await world.untilOutcome('member');
    assert.equal(gw2.pns[0]?.inventory, server.pns[0]?.inventory);
    assert.equal(pne.joins[0]?.inventory, server.pns[0]?.inventory);
  });
});
