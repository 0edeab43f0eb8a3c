/**
 * A Bluetooth controller that is pulled out under running daemons: they wait for it and say so, memberships are resumed
 * without another registration when it is back; told not to wait, a daemon ends with a failure and says why.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openVirtualRadio } from '../../src/bluetooth/open.ts';
import { callControl } from '../../src/nodes/control-socket.ts';
import { FourProcesses, type Party } from '../e2e/four-processes.ts';
import { TestNetwork } from '../nodes/network.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const PARTIES = ['gw1', 'gw2', 'pne'] as const satisfies readonly Party[];

describe('a controller that is pulled out', function () {
  this.timeout(120_000);

  it('is waited for by daemons that run on; the membership is resumed when it is back', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'cpns-gone-'));
    const path = join(dir, 'air.sock');
    let radio = await openVirtualRadio({ path });
    const world = await FourProcesses.open({
      air: {
        adapters: { gw1: radio.moniker, gw2: radio.moniker, pne: radio.moniker },
        dropLink: () => false,
        close: () => radio.close(),
      },
    });
    try {
      await world.start('gw2');
      await world.until('the question', () => world.asked().length > 0);
      await world.allow();
      await world.untilOutcome('member');
      const requests = () => world.said('gw2', ({ name }) => name === 'PnSetupRequest').length;
      const before = requests();
      const resumed = () => world.said('gw2', ({ event }) => event === 'member').length;
      const live = resumed();
      const radioOf = async (party: Party) => {
        const { radio } = (await callControl(world.stateDir(party), 'status')) as {
          radio: { state: string; why?: string };
        };
        return radio;
      };
      await radio.close();
      for (const party of PARTIES) {
        await world.until(
          `${party} waits`,
          () => world.said(party, ({ event }) => event === 'radio').length > 1,
        );
        const { state, why } = await radioOf(party);
        assert.equal(state, 'waiting');
        assert.match(why ?? '', /Start the virtual radio first/);
      }
      radio = await openVirtualRadio({ path });
      await world.until('resumption', () => resumed() > live);
      assert.equal(requests(), before);
      // Each tries again at its own pace.
      for (const party of PARTIES) {
        const isReady = () =>
          world.said(party, ({ event, state }) => event === 'radio' && state === 'ready').length > 0;
        await world.until(`${party} is ready`, isReady);
        assert.deepEqual(await radioOf(party), { state: 'ready' });
      }
      assert.deepEqual(world.violations, []);
      assert.deepEqual(world.deaths, []);
    } finally {
      await world.close();
      rmSync(dir, { recursive: true, force: true });
    }
  });

  for (const role of ['pne', 'gateway'] as const) {
    it(`ends the ${role} that is not to wait, with exit code 1 and the reason`, async () => {
      const network = await TestNetwork.open();
      const stateDir = join(network.dir, role);
      mkdirSync(stateDir, { mode: 0o700 });
      if (role === 'gateway') await network.enrolGateway(stateDir, 'ann', 'home');
      const config = join(network.dir, `${role}.toml`);
      const server = role === 'gateway' ? `[server]\nurl = "${network.server.url}"\n` : '';
      const device = role === 'pne' ? '[device]\nkind = "sensor"\n' : '';
      const bluetooth = `[bluetooth]\nadapter = "${network.radio.moniker}"\nwait_minutes = 0\n`;
      writeFileSync(config, server + bluetooth + device, { mode: 0o600 });
      const child = spawn(
        process.execPath,
        ['--import', 'tsx', MAIN, role, 'run', '--state', stateDir, '--config', config, '--trace'],
        { stdio: ['ignore', 'pipe', 'pipe'] },
      );
      try {
        let said = '';
        child.stderr.on('data', (chunk) => {
          said += chunk;
        });
        const ended = once(child, 'close') as Promise<[number]>;
        await Promise.race([
          once(child.stdout, 'data'),
          ended.then(() => assert.fail(`it ended before it was ready: ${said}`)),
        ]);
        network.radio.unplugAll();
        const [code] = await ended;
        assert.equal(code, 1, said);
        assert.match(said, /the Bluetooth controller is gone/);
      } finally {
        child.kill('SIGKILL');
        await network.close();
      }
    });
  }
});
