/**
 * Our processes beside bluetoothd and beside strangers: a GATT client that tries everything on our PNE, bluetoothd on an
 * adapter of its own, bluetoothd on the adapter that we are told to use. The honest establishment comes last, after all that.
 */
// guest: --timeout 900
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { VirtualRadio } from '../../src/bluetooth/open.ts';
import { dropOpenLink, FourProcesses } from '../e2e/four-processes.ts';
import { assertSound } from '../e2e/sound.ts';
import { command, loadKernelBluetooth, OUT, settled, startBluetoothd, startRadio } from './kernel.ts';

const PATIENCE_MS = 120_000;
const POKE = join(process.cwd(), 'test/guest/foreign/poke.py');
const [GW1, GW2, PNE, OTHER] = [0, 1, 2, 3];

describe('beside bluetoothd and strangers', function () {
  this.timeout(400_000);
  let world: FourProcesses;
  let radio: VirtualRadio & { readonly indices: readonly number[] };
  let bluetoothd: { stop(): Promise<void> } | undefined;
  const user = (index = 0) => `hci:${index}/user`;

  before(async () => {
    loadKernelBluetooth();
    radio = await startRadio(4, { intervalMs: 7.5 });
    await settled(radio.indices);
    const adapters = { gw1: user(GW1), gw2: user(GW2), pne: user(PNE) };
    const air = { adapters, dropLink: () => dropOpenLink(radio), close: async () => {} };
    world = await FourProcesses.open({ patienceMs: PATIENCE_MS, air, logsTo: OUT });
  });
  after(async () => {
    await bluetoothd?.stop();
    await world?.close();
    await radio?.close();
  });
  afterEach(function () {
    assertSound(world, this.currentTest);
  });

  it('a client asks our PNE everything that ATT has, and gets the answers of the specification', async () => {
    const poke = promisify(execFile)('/usr/bin/python3', ['-B', POKE, `hci${OTHER}`], { timeout: 300_000 });
    const { stdout, stderr } = await poke.catch((error: { stdout?: string; stderr?: string }) => {
      throw new Error(`${error.stdout}${error.stderr}`);
    });
    process.stdout.write(`${stderr}${stdout}`.replace(/^/gm, '      '));
    assert.match(stdout, /^\d{4} questions to \d+ attributes on \d+ links, 0 answers that do not hold$/m);
  });

  it('bluetoothd that starts later takes the adapters that nobody has, and only those', async () => {
    bluetoothd = await startBluetoothd();
    for (const endAt = performance.now() + 20_000; ; ) {
      const shown = await command('hciconfig', `hci${OTHER}`);
      if (/UP RUNNING/.test(shown)) break;
      assert.ok(performance.now() < endAt, `bluetoothd has not powered hci${OTHER}`);
    }
    const managed = await command(
      ...(['dbus-send', '--system', '--print-reply', '--dest=org.bluez', '/'] as const),
      'org.freedesktop.DBus.ObjectManager.GetManagedObjects',
    );
    assert.deepEqual([...new Set(managed.match(/hci\d/g))].sort(), [`hci${GW2}`, `hci${OTHER}`]);
  });

  it('an adapter that bluetoothd holds is refused to us, with what mends it', async () => {
    const state = mkdtempSync(join(tmpdir(), 'cpns-held-'));
    const options = ['--state', state, '--config', join(state, 'pne.toml')];
    await world.cpns('pne', 'init', ...options, '--adapter', `hci:${OTHER}/user`);
    const refused = await world.cpns('pne', 'run', ...options).then(
      () => assert.fail('it ran'),
      (error: { code?: number; stderr?: string }) => error,
    );
    assert.equal(refused.code, 1);
    assert.match(refused.stderr ?? '', /hci:3\/user[\s\S]*sudo hciconfig hci3 down/);
  });

  it('what it says mends it, and an establishment goes through undisturbed while bluetoothd scans', async () => {
    await command('hciconfig', `hci${GW2}`, 'down');
    const scan = ['--system', '--print-reply', '--dest=org.bluez', `/org/bluez/hci${OTHER}`];
    await command('dbus-send', ...scan, 'org.bluez.Adapter1.StartDiscovery');
    await world.start('gw2');
    await world.until('the question', () => world.asked().length > 0);
    await world.allow();
    await world.untilOutcome('member');
    assert.deepEqual(world.violations, []);
    assert.equal(world.said('gw2', ({ name }) => name === 'PnSetupRequest').length, 1);
  });
});
