/**
 * The commands of the README one after the other, as people type them: a radio, a server, two users, their gateways, a
 * PNE; enrolment by code, a question to the PNE and one to its owner, and what everyone holds in the end.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const WITHIN_MS = 20_000;

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** A command that runs, with what it has printed so far. */
interface Running {
  readonly process: ChildProcess;
  readonly ended: Promise<Ended>;
  /** Settles with the match once the output holds it. */
  prints(pattern: RegExp): Promise<RegExpExecArray>;
}

describe('walkthrough', function () {
  this.timeout(120_000);
  let home = '';
  const running = new Set<Running>();

  before(() => {
    home = mkdtempSync(join(tmpdir(), 'cpns-walk-'));
  });
  after(async () => {
    for (const { process } of running) process.kill('SIGTERM');
    await Promise.all([...running].map(({ ended }) => ended));
    rmSync(home, { recursive: true, force: true });
  });

  function run(args: readonly string[], input?: string): Running {
    const { PATH = '' } = process.env;
    const child = spawn(process.execPath, ['--import', 'tsx', MAIN, ...args], {
      env: { PATH, HOME: home, XDG_CONFIG_HOME: join(home, 'config'), XDG_STATE_HOME: join(home, 'state') },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    let [out, err] = ['', ''];
    let look = (): void => {};
    child.stdout.on('data', (chunk) => {
      out += chunk;
      look();
    });
    child.stderr.on('data', (chunk) => {
      err += chunk;
      look();
    });
    child.stdin.on('error', () => {});
    if (input !== undefined) child.stdin.end(input);
    const ended = new Promise<Ended>((resolve) => child.on('close', (code) => resolve({ code, out, err })));
    const self: Running = {
      process: child,
      ended,
      prints: (pattern) =>
        new Promise((resolve, reject) => {
          const late = () => reject(new Error(`${args.join(' ')} did not print ${pattern}: ${out}${err}`));
          const timer = setTimeout(late, WITHIN_MS);
          const earlier = look;
          look = () => {
            earlier();
            const match = pattern.exec(out + err);
            if (!match) return;
            clearTimeout(timer);
            resolve(match);
          };
          look();
          void ended.then(() => (pattern.test(out + err) ? undefined : late()));
        }),
    };
    running.add(self);
    void ended.then(() => running.delete(self));
    return self;
  }

  async function done(args: readonly string[], input = ''): Promise<string> {
    const { code, out, err } = await run(args, input).ended;
    assert.equal(code, 0, `${args.join(' ')}: ${err}`);
    return out;
  }

  it('from nothing to an audited network', async () => {
    const adapter = `virtual:${join(home, 'radio.sock')}`;
    const radio = run(['radio', '--socket', join(home, 'radio.sock')]);
    await done(['server', 'init', '--realm', 'walk.example', '--port', '0']);
    await done(['server', 'user', 'add', 'ann']);
    await done(['server', 'user', 'add', 'bob']);
    const tokens = {
      ann: await done(['server', 'token', 'create', 'ann', 'home']),
      bob: await done(['server', 'token', 'create', 'bob', 'phone']),
    };
    const [, url = ''] = await run(['server', 'run', '--trace']).prints(/"event":"ready".*"url":"([^"]+)"/);
    await radio.prints(/virtual radio on/);

    const argsOf = (user: string) => ['--state', join(home, user), '--config', join(home, `${user}.toml`)];
    for (const user of ['ann', 'bob'] as const) {
      await done(['gateway', 'init', ...argsOf(user), '--server', url, '--adapter', adapter]);
      assert.match(
        await done(['gateway', 'enrol', ...argsOf(user)], tokens[user]),
        new RegExp(`user +${user}`),
      );
    }
    // Only Bob's gateway invites.
    const annsConfig = join(home, 'ann.toml');
    writeFileSync(annsConfig, readFileSync(annsConfig, 'utf8').replace('invite = true', 'invite = false'));
    await run(['gateway', 'run', ...argsOf('ann'), '--trace']).prints(/"event":"ready"/);

    await done(['pne', 'init', '--adapter', adapter]);
    const enrolling = run(['pne', 'enrol', '--print']);
    const [, code = ''] = await enrolling.prints(/^ {2}([A-Z2-7]{5}(?:-[A-Z2-7]{5}){9})$/m);
    const state = ['--state', join(home, 'ann')];
    assert.match(await done(['gateway', 'pair', ...state], code.toLowerCase()), /^enrolled/);
    assert.match((await enrolling.ended).err, /this PNE is ann's/);
    assert.match(await done(['gateway', 'pnes', ...state]), /yes/);

    const watching = run(['gateway', 'approvals', ...state, '--watch']);
    await watching.prints(/waiting for requests/);
    const pne = run(['pne', 'run', '--trace']);
    await pne.prints(/"event":"ready"/);
    run(['gateway', 'run', ...argsOf('bob'), '--trace']);
    await pne.prints(/Gateway "phone" of bob invites this device/);
    await done(['pne', 'answer', 'join']);
    await watching.prints(/gateway "phone" of bob wants to take in[\s\S]*at most EUR 5\.00 in 30 days/);
    watching.process.stdin?.write('perhaps\nalways\n');
    await watching.prints(/allowed/);
    const [, pnId = ''] = await pne.prints(/"event":"joined","pnId":"([0-9a-f]{16})"/);

    const digests = new Set<unknown>();
    for (const part of ['state/cpns/server', 'state/cpns/pne', 'bob']) {
      const [pn] = JSON.parse(await done(['pn', 'list', '--json', '--state', join(home, part)])) as {
        pnId: string;
        inventorySha256: string;
      }[];
      assert.equal(pn?.pnId, pnId);
      digests.add(pn?.inventorySha256);
    }
    assert.equal(digests.size, 1);
    assert.match(await done(['pn', 'show', pnId.slice(0, 6)]), /version 1 of/);
    assert.match(await done(['pn', 'audit', pnId]), /checks, all passed/);
    const unknown = await run(['pn', 'audit', 'ffff'], '').ended;
    assert.equal(unknown.code, 1);
    assert.match(unknown.err, /not-found: no PN ffff here/);

    const second = await run(['server', 'run'], '').ended;
    assert.equal(second.code, 1);
    assert.match(second.err, /another cpns daemon runs/);
    watching.process.kill('SIGINT');
    assert.equal((await watching.ended).code, 130);
    pne.process.kill('SIGINT');
    assert.equal((await pne.ended).code, 130);
  });
});
