/**
 * What a daemon tells the service manager: by a program of systemd's name that writes down its arguments. The real one, and
 * what systemd makes of it, is in the package's test.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ServiceManager, serviceManager } from '../../src/cli/service-manager.ts';
import { watchOver } from '../../src/cli/watch.ts';
import type { Vitals } from '../../src/nodes/health.ts';
import { TestNetwork } from '../nodes/network.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

async function until(what: string, holds: () => boolean): Promise<void> {
  for (const endAt = performance.now() + 20_000; !holds(); ) {
    if (performance.now() > endAt) assert.fail(`not within 20 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

describe('the service manager', () => {
  it('is nobody without its socket', () => {
    assert.equal(serviceManager({}), undefined);
  });

  it('is told three times in what it waits for, unless it waits for another process', () => {
    const environment = { NOTIFY_SOCKET: '/run/x', WATCHDOG_USEC: '60000000' };
    assert.equal(serviceManager(environment)?.everyMs, 20_000);
    assert.equal(serviceManager({ ...environment, WATCHDOG_PID: '7' }, 7)?.everyMs, 20_000);
    assert.equal(serviceManager({ ...environment, WATCHDOG_PID: '8' }, 7)?.everyMs, 60_000);
    assert.equal(serviceManager({ NOTIFY_SOCKET: '/run/x' })?.everyMs, 60_000);
  });
});

describe('the watch over a node', () => {
  const told: string[] = [];
  const logged: string[] = [];
  const manager: ServiceManager = {
    everyMs: 5,
    tell: async (...assignments) => void told.push(assignments.join(' ')),
  };
  const log = (level: string) => (_: unknown, what?: string) => void logged.push(`${level} ${what}`);
  const logger = { info: log('info'), warn: log('warn'), error: log('error') } as never;
  let vitals: () => Promise<Vitals>;

  beforeEach(() => {
    told.length = 0;
    logged.length = 0;
  });

  it('feeds while it is healthy, says each change once, and stops when it is stopped', async () => {
    vitals = async () => ({ controller: true });
    const watch = watchOver(manager, () => vitals(), logger);
    await until('three turns', () => told.length >= 3);
    assert.deepEqual(told.slice(0, 2), ['WATCHDOG=1 STATUS=the Bluetooth controller answers', 'WATCHDOG=1']);
    vitals = async () => ({ controller: false });
    await until('the bad news', () => told.at(-1) === 'STATUS=the Bluetooth controller does not answer');
    const then = told.length;
    let asked = 0;
    vitals = async () => {
      asked++;
      return { controller: false };
    };
    await until('five more questions', () => asked >= 5);
    assert.equal(told.length, then);
    vitals = async () => ({ controller: true });
    await until('good news', () => (told.at(-1) ?? '').startsWith('WATCHDOG=1'));
    watch.stop();
    assert.deepEqual(logged, ['error unhealthy: started anew if it stays so', 'info healthy again']);
  });

  it('does not feed for a node that fails to say how it is', async () => {
    let asked = 0;
    const watch = watchOver(
      manager,
      async () => {
        asked++;
        throw new Error('broken');
      },
      logger,
    );
    await until('three questions', () => asked >= 3);
    watch.stop();
    assert.deepEqual(told, ['STATUS=it does not answer itself']);
  });
});

describe('a daemon under a service manager', function () {
  this.timeout(60_000);

  it('says that it is ready, that it is healthy, and that it stops', async () => {
    const network = await TestNetwork.open();
    const bin = mkdtempSync(join(tmpdir(), 'cpns-notify-'));
    const heard = join(bin, 'heard');
    writeFileSync(join(bin, 'systemd-notify'), `#!/bin/sh\necho "$NOTIFY_SOCKET $*" >> ${heard}\n`);
    chmodSync(join(bin, 'systemd-notify'), 0o755);
    const config = join(network.dir, 'pne.toml');
    writeFileSync(config, `[bluetooth]\nadapter = "${network.radio.moniker}"\n[device]\nkind = "sensor"\n`, {
      mode: 0o600,
    });
    const env = {
      ...process.env,
      PATH: `${bin}:${process.env['PATH']}`,
      NOTIFY_SOCKET: '/run/manager',
      WATCHDOG_USEC: '300000',
    };
    const state = join(network.dir, 'pne');
    mkdirSync(state, { mode: 0o700 });
    const child = spawn(
      process.execPath,
      ['--import', 'tsx', MAIN, 'pne', 'run', '--state', state, '--config', config],
      { stdio: 'ignore', env },
    );
    const lines = () => (existsSync(heard) ? readFileSync(heard, 'utf8').trimEnd().split('\n') : []);
    try {
      await until('the third message', () => lines().length >= 3);
      const [first, second, third] = lines();
      assert.equal(first, '/run/manager READY=1');
      assert.match(
        second ?? '',
        /^\/run\/manager WATCHDOG=1 STATUS=the Bluetooth controller answers; not enrolled/,
      );
      assert.equal(third, '/run/manager WATCHDOG=1');
      child.kill('SIGTERM');
      const [code] = await once(child, 'exit');
      assert.equal(code, 0);
      await until('the last message', () => lines().includes('/run/manager STOPPING=1'));
    } finally {
      child.kill('SIGKILL');
      await network.close();
      rmSync(bin, { recursive: true });
    }
  });
});
