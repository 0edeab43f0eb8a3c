/**
 * One host that is a gateway and a PNE at once, on one controller: Bob's gateway takes in Bob's headset while Ann's gateway
 * takes in the host's own PNE; each role has its state, its lock and its control socket.
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { callControl } from '../../src/nodes/control-socket.ts';
import type { GatewayNode } from '../../src/nodes/gateway/gateway.ts';
import type { PneStatus } from '../../src/nodes/pne/pne.ts';
import { TestNetwork } from '../nodes/network.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

describe('cpns gateway run --with-pne', function () {
  this.timeout(90_000);

  it('has a link in each role at once, and ends both in order', async () => {
    const network = await TestNetwork.open();
    const place = (name: string) => {
      const dir = join(network.dir, name);
      mkdirSync(dir, { mode: 0o700 });
      return dir;
    };
    const [gateway, pne] = [place('both-gateway'), place('both-pne')];
    await network.enrolGateway(gateway, 'Bob', 'Kitchen');
    const written = (name: string, text: string) => {
      const file = join(network.dir, name);
      writeFileSync(file, text, { mode: 0o600 });
      return file;
    };
    const config = written(
      'gateway.toml',
      `[server]\nurl = "${network.server.url}"\n[bluetooth]\nadapter = "${network.radio.moniker}"\n[pn]\ninvite = true\n[approvals]\ndefault = "allow"\n`,
    );
    // The adapter that the PNE's own configuration names is not touched.
    const rules = '[[join.rule]]\ndecision = "accept"\nuser = "Ann"\n[[join.rule]]\ndecision = "decline"\n';
    const pneConfig = written(
      'pne.toml',
      `[bluetooth]\nadapter = "hci:99"\n[device]\nkind = "host"\n${rules}`,
    );
    const command = [
      ...['--import', 'tsx', MAIN, 'gateway', 'run', '--state', gateway, '--config', config],
      ...['--with-pne', pne, '--pne-config', pneConfig, '--trace'],
    ];
    const child = spawn(process.execPath, command, { stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    child.stderr.on('data', (chunk) => {
      said += chunk;
    });
    let trace = '';
    child.stdout.on('data', (chunk) => {
      trace += chunk;
    });
    try {
      const ended = once(child, 'close') as Promise<[number | null]>;
      await Promise.race([
        network.until('ready', () => trace.includes('"ready"'), 20_000),
        ended.then(() => assert.fail(`it ended before it was ready: ${said}`)),
      ]);
      const home = await network.gateway('Ann', 'Home', { pn: { invite: true } });
      const headset = await network.pne('headset', {
        ask: async ({ userLabel }) => (userLabel === 'Bob' ? 'ok' : 'declined'),
      });
      const { code } = (await callControl(pne, 'start-enrolment')) as { code: string };
      await Promise.all([
        home.pair(code),
        callControl(gateway, 'pair', { code: headset.startEnrolment().code }),
      ]);
      const ofGateway = async () =>
        (await callControl(gateway, 'status')) as ReturnType<GatewayNode['status']>;
      const ofPne = async () => (await callControl(pne, 'status')) as PneStatus;
      for (const endAt = performance.now() + 30_000; ; ) {
        const [{ links, pnes }, { link, owner, memberships }] = [await ofGateway(), await ofPne()];
        const both = links > 0 && link === 'open' && memberships.length === 1;
        if (both && headset.status().memberships.length === 1) {
          assert.equal(owner, 'Ann');
          assert.equal(pnes.length, 1);
          break;
        }
        assert.ok(performance.now() < endAt, JSON.stringify([links, link, memberships, said]));
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      // One controller for the two of them, one each for the others.
      assert.equal(network.radio.counters().controllers, 3);
      const second = spawnSync(
        process.execPath,
        ['--import', 'tsx', MAIN, 'pne', 'run', '--state', pne, '--config', pneConfig],
        { encoding: 'utf8' },
      );
      assert.match(second.stderr, /another cpns daemon runs on/);
      const resumable = trace.split('\n').filter((line) => line.includes('"role":"pne"'));
      assert.ok(resumable.length > 0);
      child.kill('SIGTERM');
      assert.deepEqual(await ended, [0, null], said);
      await network.until('a free controller', () => network.radio.counters().controllers === 2);
    } finally {
      child.kill('SIGKILL');
      await network.close();
    }
  });
});
