/** A report as people make it: the owner in a shell, and the operator who verifies what they hand in. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gatewayExample } from '../../src/config/gateway-config.ts';
import type { PneNode } from '../../src/nodes/pne/pne.ts';
import { TestNetwork } from '../nodes/network.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

describe('a report in the shell', function () {
  this.timeout(120_000);
  let network: TestNetwork;
  let daemon: ChildProcess;
  let state: readonly string[];

  const cpns = (words: readonly string[], input = ''): Promise<Ended> =>
    new Promise((resolve) => {
      const child = execFile(process.execPath, ['--import', 'tsx', MAIN, ...words], (error, out, err) =>
        resolve({ code: error ? Number(error.code) : 0, out, err }),
      );
      child.stdin?.end(input);
    });
  const json = async (...words: string[]) => JSON.parse((await cpns([...words, '--json'])).out);

  before(async () => {
    network = await TestNetwork.open();
    const stateDir = join(network.dir, 'home');
    const config = join(network.dir, 'home.toml');
    state = ['--state', stateDir];
    mkdirSync(stateDir, { mode: 0o700 });
    await network.enrolGateway(stateDir, 'Alice', 'Hall');
    const example = gatewayExample(network.server.url, network.radio.moniker);
    writeFileSync(config, example.replace('invite = true', 'invite = false'));
    daemon = spawn(
      process.execPath,
      ['--import', 'tsx', MAIN, 'gateway', 'run', '--trace', '--config', config, ...state],
      { stdio: ['ignore', 'pipe', 'ignore'] },
    );
    await new Promise<void>((resolve, reject) => {
      let out = '';
      daemon.stdout?.on('data', (chunk) => {
        out += chunk;
        if (/"event":"ready"/.test(out)) resolve();
      });
      daemon.once('close', () => reject(new Error(out)));
    });
  });
  after(async () => {
    const ended = new Promise((resolve) => daemon.once('close', resolve));
    daemon.kill('SIGTERM');
    await ended;
    await network.close();
  });

  async function enrolled(name: string): Promise<PneNode> {
    const pne = await network.pne(name);
    const { code } = pne.startEnrolment();
    assert.equal((await cpns(['gateway', 'pair', ...state], code)).code, 0);
    return pne;
  }
  async function waiting(): Promise<readonly { joinId: string; gateway: string }[]> {
    for (let i = 0; i < 20; i++) {
      const list = await json('gateway', 'approvals', ...state);
      if (list.length > 0) return list;
    }
    return assert.fail('nothing waits');
  }

  it('is made, listed, verified by the operator, and withdrawn', async () => {
    const pne = await enrolled('Watch');
    await network.gateway('Bob', 'Kitchen', { pn: { invite: true, name: 'Free beer' } });
    const [{ joinId } = assert.fail()] = await waiting();
    const made = await cpns(['gateway', 'approvals', 'report', joinId.slice(0, 6), ...state]);
    assert.deepEqual([made.code, made.err], [0, '']);
    assert.match(made.out, /denied, and reported/);
    assert.match((await cpns(['gateway', 'approvals', ...state])).out, /nothing waits/);
    assert.equal(pne.status().memberships.length, 0);

    const listed = await cpns(['gateway', 'reports', ...state]);
    assert.match(listed.out, new RegExp(`^${joinId.slice(0, 8)} .*Bob +Kitchen +[0-9a-f]{16} +Watch `, 'm'));
    const file = join(network.dir, 'reports.json');
    const { out } = await cpns(['gateway', 'reports', '--json', ...state]);
    writeFileSync(file, out);
    const server = ['--state', network.serverDir];
    const [checked] = await json('server', 'report', file, ...server);
    assert.equal(checked.holds, true);
    assert.deepEqual(
      [checked.gateway.user, checked.gateway.label, checked.home.user],
      ['Bob', 'Kitchen', 'Alice'],
    );
    assert.equal(checked.joinId, joinId);
    const [report] = JSON.parse(out);
    assert.equal(report.gateway.gatewayId, checked.gateway.gatewayId);
    const words = await cpns(['server', 'report', file, ...server]);
    assert.match(words.out, new RegExp(`cpns server gateway revoke ${checked.gateway.gatewayId}`));

    // Handed in twice, or as both files that there are of it, it is one.
    const saved = join(network.dir, 'saved.json');
    writeFileSync(
      saved,
      JSON.stringify({ ...report, gateway: { label: 'another' }, joinId: 'ff'.repeat(16) }),
    );
    writeFileSync(file, JSON.stringify([report, report]));
    const copies = await json('server', 'report', file, saved, ...server);
    const same = { joinId, sameAs: file };
    assert.deepEqual(copies.slice(1), [
      { file, ...same },
      { file: saved, ...same },
    ]);
    assert.deepEqual([copies[0].holds, copies[0].file], [true, file]);
    const told = await cpns(['server', 'report', file, saved, ...server]);
    assert.equal(told.code, 0);
    const [id, lines] = [joinId.slice(0, 8), told.out.split('\n')];
    assert.match(lines[0] ?? '', new RegExp(`^ok {4}${id}`));
    assert.deepEqual(lines.slice(3), [
      `same  ${id}  ${file}: same report as ${file}`,
      `same  ${id}  ${saved}: same report as ${file}`,
      ...['in all: 1 ok, 2 same, 0 FAIL', ''],
    ]);
    // What fails takes nobody's place.
    writeFileSync(file, JSON.stringify([{ ...report, evidence: { ...report.evidence, answer: null } }]));
    const mixed = await cpns(['server', 'report', file, saved, ...server, '--json']);
    assert.deepEqual(
      JSON.parse(mixed.out).map(({ holds }: { holds: boolean }) => holds),
      [false, true],
    );
    assert.equal(mixed.code, 1);

    // Somebody who puts another name, another join or another answer into the file convinces nobody.
    const lies: Record<string, (text: string) => string> = {
      'another request': (text) => text.replace(/"request": "(.{800}).{2}/, '"request": "$1ff'),
      'another answer': (text) => text.replace(/("answer": ".*)..",/, '$100",'),
      'no answer': (text) => text.replace(/"answer": "[^"]+"/, '"answer": null'),
    };
    for (const [what, lie] of Object.entries(lies)) {
      const text = lie(out);
      assert.notEqual(text, out, what);
      writeFileSync(file, text);
      const refused = await cpns(['server', 'report', file, ...server]);
      assert.equal(refused.code, 1, what);
      assert.match(refused.out, new RegExp(`^FAIL {2}${joinId.slice(0, 8)}`), what);
    }
    for (const text of ['', '{}', '[{"joinId":"zz"}]']) {
      writeFileSync(file, text);
      const refused = await cpns(['server', 'report', file, ...server]);
      assert.deepEqual([refused.code, refused.out], [2, ''], text);
      assert.match(refused.err, /holds no report/);
    }

    // A device that is gone is taken off as well; which one is said by the start of its thumbprint.
    const [{ thumbprint }] = await json('gateway', 'pnes', ...state);
    // An empty word, too: of a lone PNE anything would be the start.
    for (const none of ['zz', '', thumbprint.slice(0, 3)])
      assert.equal((await cpns(['gateway', 'pnes', 'revoke', none, ...state])).code, 2);
    assert.match(
      (await cpns(['gateway', 'pnes', 'revoke', thumbprint.slice(0, 6), ...state])).out,
      /^taken off/,
    );
    assert.equal((await json('gateway', 'pnes', ...state))[0].revoked, true);

    assert.match((await cpns(['gateway', 'reports', 'withdraw', joinId, ...state])).out, /withdrawn/);
    assert.match((await cpns(['gateway', 'reports', ...state])).out, /nothing was reported/);
    assert.equal((await cpns(['gateway', 'reports', 'withdraw', joinId, ...state])).code, 1);
  });
});
