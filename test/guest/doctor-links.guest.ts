/**
 * What `cpns doctor` says beside a gateway that works, while its controller does not do all that is asked of it: it has no
 * further link, or ends each scan by itself. Both are really so; by either channel, as far as the channel lets anybody ask.
 */
// guest: --memory 1536 --timeout 1500
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { openPeripheral } from '../../src/bluetooth/open.ts';
import type { Peripheral } from '../../src/bluetooth/ports.ts';
import { encodeAnnouncement } from '../../src/network/advertisement.ts';
import { nodePrimitives } from '../../src/security/primitives-node.ts';
import { dropOpenLink, FourProcesses } from '../e2e/four-processes.ts';
import { checks, doctor, only } from './doctor.ts';
import { kernelComplaints, loadKernelBluetooth, OUT, powerUp, settled, startRadio, until } from './kernel.ts';

/** Emulation makes everything ten times slower. */
const PATIENCE_MS = 180_000;

describe('cpns doctor beside a gateway whose controller falls short', function () {
  this.timeout(600_000);
  let radio: Awaited<ReturnType<typeof startRadio>>;
  let world: FourProcesses | undefined;
  let stranger: Peripheral | undefined;

  before(loadKernelBluetooth);
  afterEach(async () => {
    await stranger?.close();
    await world?.close();
    assert.deepEqual(world?.violations, []);
    assert.deepEqual(world?.deaths, []);
    assert.deepEqual(kernelComplaints(), []);
    [world, stranger] = [undefined, undefined];
  });

  /** A gateway on an adapter of the kernel, with one member; everybody else is on the same air without the kernel. */
  const establish = async (channel: 'user' | 'raw', maxLinks: number) => {
    radio = await startRadio(1, { intervalMs: 7.5, maxLinks });
    await (channel === 'raw' ? powerUp : settled)(radio.indices);
    const { moniker } = radio;
    world = await FourProcesses.open({
      patienceMs: PATIENCE_MS,
      logsTo: OUT,
      air: {
        adapters: { gw1: moniker, gw2: `hci:${radio.indices[0]}/${channel}`, pne: moniker },
        dropLink: () => dropOpenLink(radio),
        close: () => radio.close(),
      },
    });
    await world.start('gw2');
    await world.until('the question', () => (world?.asked().length ?? 0) > 0);
    await world.allow();
    await world.untilOutcome('member');
    return world;
  };

  const examine = (four: FourProcesses) => {
    const state = four.stateDir('gw2');
    return doctor(['--role', 'gateway', '--state', state, '--config', join(state, '../config/gw2.toml')]);
  };

  const untilFound = async (four: FourProcesses, check: string) => {
    const told = async () => {
      const seen = await examine(four);
      return checks(seen).includes(check) && only(seen, check);
    };
    return until(check, told, PATIENCE_MS);
  };

  /** Somebody whom the gateway would ask. */
  const appear = async () => {
    stranger = await openPeripheral(radio.moniker);
    const content = { mode: 'pne', join: true, enrolSecret: undefined, secrets: [], turn: 0 } as const;
    await stranger.startAdvertising({ serviceData: encodeAnnouncement(nodePrimitives(), content) });
  };

  for (const channel of ['user', 'raw'] as const)
    it(`says that the controller has no further link, ${channel} channel; the next that ends is the newcomer's`, async () => {
      const four = await establish(channel, 1);
      assert.ok(!checks(await examine(four)).includes('link-limit'));
      await appear();
      const found = await untilFound(four, 'link-limit');
      assert.match(found.sentence, /^hci\d holds 1 link at once, and a PNE in sight gets none\.$/);
      assert.equal(found.severity, 'warning');
      const got = new Promise<void>((resolve) => {
        if (stranger) stranger.onLink = () => resolve();
      });
      await four.end('pne', 'SIGTERM');
      await got;
    });

  it('says that the scan has stopped, which the gateway mends by itself once the controller lets it', async () => {
    const four = await establish('raw', 8);
    assert.ok(!checks(await examine(four)).includes('scan-stopped'));
    radio.setFaults({ scanEndsAfterMs: 0 });
    const found = await untilFound(four, 'scan-stopped');
    assert.match(found.sentence, /wants to find PNEs and hci\d does not scan/);
    assert.equal(found.command, 'cpns gateway run');
    radio.setFaults({ scanEndsAfterMs: undefined });
    await until('the scan', async () => !checks(await examine(four)).includes('scan-stopped'), PATIENCE_MS);
  });
});
