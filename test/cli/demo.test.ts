/**
 * The demo as a user runs it: separate processes, the JSON file of the issue, nothing left behind however it ends.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const GONE_WITHIN_MS = 10_000;
const DEVICE_NAME = "Ann's headset";

interface Line {
  readonly step?: number;
  readonly name?: string;
  readonly via?: string;
  readonly pne?: number;
  readonly segments?: number;
  readonly result?: string;
  readonly status?: string;
  readonly pnId?: string;
  readonly inventoryVersion?: number;
}

/** Process IDs whose environment holds our mark: the demo and all it started, zombies aside. */
function marked(mark: string): number[] {
  return readdirSync('/proc').flatMap((name) => {
    try {
      const ours = /^\d+$/.test(name) && readFileSync(`/proc/${name}/environ`, 'latin1').includes(mark);
      return ours ? [Number(name)] : [];
    } catch {
      return [];
    }
  });
}

async function until(what: string, holds: () => boolean): Promise<void> {
  const endsAt = Date.now() + GONE_WITHIN_MS;
  while (!holds()) {
    assert.ok(Date.now() < endsAt, `${what} within ${GONE_WITHIN_MS} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

describe('demo', function () {
  this.timeout(120_000);
  let directory = '';
  let mark = '';
  let running: ChildProcess | undefined;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'cpns-demo-test-'));
    mark = `CPNS_DEMO_TEST=${directory}`;
  });
  afterEach(() => {
    running?.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  });

  function start(...args: readonly string[]): Promise<{ code: number | null; out: string; err: string }> {
    const child = spawn(process.execPath, ['--import', 'tsx', MAIN, 'demo', '--timeout', '100', ...args], {
      env: { ...process.env, CPNS_DEMO_TEST: directory, TMPDIR: directory },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    running = child;
    let [out, err] = ['', ''];
    child.stdout.on('data', (chunk) => {
      out += chunk;
    });
    child.stderr.on('data', (chunk) => {
      err += chunk;
    });
    return new Promise((resolve) => child.on('close', (code) => resolve({ code, out, err })));
  }
  const linesOf = (file: string): Line[] =>
    readFileSync(file, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Line);
  /** What is in the temporary directory but for the cache of the TypeScript loader. */
  const kept = () => readdirSync(directory).filter((name) => !name.startsWith('tsx-'));
  const nothingLeft = () => until('no process is left', () => marked(mark).length === 0);

  it('two PNEs: every step in order, all hold the same, the audit passes, no process and no file left', async () => {
    const file = join(directory, 'flow.jsonl');
    const keep = join(directory, 'kept');
    const { code, out, err } = await start('--pnes', '2', '--json', file, '--keep', keep);
    assert.equal(code, 0, err + out);
    const lines = linesOf(file);
    for (const pne of [1, 2]) {
      const steps = lines.flatMap((line) => (line.pne === pne && line.step !== undefined ? [line.step] : []));
      assert.deepEqual(
        steps,
        Array.from({ length: 14 }, (_, step) => step),
      );
    }
    const transports = lines.flatMap(({ step, via, pne }) => (pne === 1 && step !== undefined ? [via] : []));
    assert.equal(
      transports.join(' '),
      'ble ble ble https https ble ble https https https local https local ble',
    );
    const results = lines.filter(({ result }) => result !== undefined);
    assert.deepEqual(
      results.map(({ result, inventoryVersion }) => [result, inventoryVersion]),
      [
        ['registered', 2],
        ['registered', 2],
      ],
    );
    assert.match(out, /audit: \d+ checks of the stored evidence, all passed/);
    assert.equal(statSync(keep).mode & 0o777, 0o700);
    assert.equal(statSync(join(keep, 'keys.txt')).mode & 0o777, 0o600);
    const captures = readdirSync(join(keep, 'captures'));
    assert.equal(captures.length, 5);
    // What the capture must not show; the trace with the key log does show it.
    for (const name of captures) {
      const bytes = readFileSync(join(keep, 'captures', name));
      for (const secret of [DEVICE_NAME, '@demo.cpns.example', 'headset', 'text/plain', "Bob's car"]) {
        assert.ok(!bytes.includes(secret), `${name} shows ${secret}`);
      }
    }
    await nothingLeft();
  });

  it('Ctrl-C at any time: 130, no process left, no state left', async () => {
    for (const processes of [1, 3, 5]) {
      const ended = start();
      await until(`${processes} processes`, () => marked(mark).length >= processes);
      running?.kill('SIGINT');
      const { code } = await ended;
      // Before the first line of ours ran, the signal ends node itself.
      assert.ok(code === 130 || (processes === 1 && code === null), String(code));
      await nothingLeft();
    }
    assert.deepEqual(kept(), []);
  });

  it('a reader that left: no process and no state left', async () => {
    const ended = start();
    await until('four processes', () => marked(mark).length >= 4);
    running?.stdout?.destroy();
    await ended;
    await nothingLeft();
    assert.deepEqual(kept(), []);
  });

  it('a directory whose name is too long for sockets: 2, before anything is made', async () => {
    const { code, err } = await start('--keep', join(directory, 'x'.repeat(100)));
    assert.equal(code, 2);
    assert.match(err, /too long for the sockets in it/);
    assert.deepEqual(kept(), []);
  });

  it('killed with no chance to clean up: its children end by themselves', async () => {
    const ended = start();
    await until('four processes', () => marked(mark).length >= 4);
    running?.kill('SIGKILL');
    await ended;
    await nothingLeft();
  });

  it('a party that dies: 1, the step and the status named, the tail of its log, nothing left', async () => {
    const file = join(directory, 'flow.jsonl');
    const keep = join(directory, 'kept');
    const ended = start('--json', file, '--keep', keep);
    const isServer = (pid: number) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('\0server\0run');
      } catch {
        return false;
      }
    };
    await until('the server runs', () => {
      const log = join(keep, 'logs/server.log');
      return existsSync(log) && readFileSync(log, 'utf8').includes('listening');
    });
    const [server] = marked(mark).filter(isServer);
    assert(server);
    process.kill(server, 'SIGKILL');
    const { code, err } = await ended;
    assert.equal(code, 1, err);
    assert.match(err, /demo failed (before step 0 \(enrolment\)|at step \d+|after step 13): [a-z-]+/);
    assert.equal(linesOf(file).at(-1)?.result, 'failed');
    await nothingLeft();
  });
});
