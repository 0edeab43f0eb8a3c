/** A Bluetooth controller that is pulled out under a running daemon: it ends with a failure and says why, and is not deaf for ever. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { TestNetwork } from '../nodes/network.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

describe('a controller that is pulled out', function () {
  this.timeout(60_000);

  for (const role of ['pne', 'gateway'] as const) {
    it(`ends the ${role}, with exit code 1 and the reason`, async () => {
      const network = await TestNetwork.open();
      const stateDir = join(network.dir, role);
      mkdirSync(stateDir, { mode: 0o700 });
      if (role === 'gateway') await network.enrolGateway(stateDir, 'ann', 'home');
      const config = join(network.dir, `${role}.toml`);
      const server = role === 'gateway' ? `[server]\nurl = "${network.server.url}"\n` : '';
      const device = role === 'pne' ? '[device]\nkind = "sensor"\n' : '';
      writeFileSync(config, `${server}[bluetooth]\nadapter = "${network.radio.moniker}"\n${device}`, {
        mode: 0o600,
      });
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
