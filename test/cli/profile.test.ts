/** `cpns profile …` as a user meets it, and what a daemon says of its adapter. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openVirtualRadio, type VirtualRadio } from '../../src/bluetooth/open.ts';
import { shippedProfiles } from '../../src/profiles/load.ts';
import { profileFile } from '../profiles/files.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

describe('cpns profile', function () {
  this.timeout(60_000);
  const home = mkdtempSync(join(tmpdir(), 'cpns-home-'));
  let radio: VirtualRadio;
  before(async () => {
    radio = await openVirtualRadio({ path: join(home, 'radio.sock') });
  });
  after(async () => {
    await radio.close();
    rmSync(home, { recursive: true, force: true });
  });

  /** Runs a command; `stopAt` ends it once that was said on stderr. */
  function cpns(args: readonly string[], stopAt?: RegExp) {
    const { PATH = '' } = process.env;
    const child = spawn(process.execPath, ['--import', 'tsx', MAIN, ...args], {
      env: { PATH, HOME: home, XDG_CONFIG_HOME: join(home, 'config'), XDG_STATE_HOME: join(home, 'state') },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const said = { stdout: '', stderr: '' };
    child.stdout.on('data', (chunk) => (said.stdout += chunk));
    child.stderr.on('data', (chunk) => {
      said.stderr += chunk;
      if (stopAt?.test(said.stderr)) child.kill('SIGTERM');
    });
    return new Promise<typeof said & { status: number | null }>((resolve) => {
      child.on('close', (status) => resolve({ ...said, status }));
    });
  }

  it('list: every profile, for people and for programs', async () => {
    const [human, machine] = await Promise.all([
      cpns(['profile', 'list']),
      cpns(['profile', 'list', '--json']),
    ]);
    const names = shippedProfiles().map(({ name }) => name);
    assert.deepEqual(
      (JSON.parse(machine.stdout) as { name: string }[]).map(({ name }) => name),
      names,
    );
    for (const name of names) assert.match(human.stdout, new RegExp(`^${name} `, 'm'));
  });

  it('show: facts with reasons and sources, unknown ones too; 2 and the names for one that is none', async () => {
    const [known, none] = await Promise.all([
      cpns(['profile', 'show', 'raspberry-pi-4b']),
      cpns(['profile', 'show', 'raspberry-pi-9']),
    ]);
    assert.equal(known.status, 0);
    assert.match(known.stdout, /^links +5 +\S.* ha, pi4-users$/m);
    assert.match(known.stdout, /^dataLength +not known/m);
    assert.match(known.stdout, /^ha +https:/m);
    assert.equal(none.status, 2);
    assert.match(none.stderr, /no firmware profile "raspberry-pi-9"; there are .*raspberry-pi-5/);
  });

  it('check: 0 for files that are right, 1 with each fault for one that is not', async () => {
    const wrong = join(home, 'wrong.json');
    const right = profileFile({});
    writeFileSync(wrong, readFileSync(right, 'utf8').replace('"value":251', '"value":9999'));
    const [all, one] = await Promise.all([
      cpns(['profile', 'check']),
      cpns(['profile', 'check', right, wrong]),
    ]);
    assert.deepEqual(
      [all.status, all.stdout],
      [0, `${shippedProfiles().length} of ${shippedProfiles().length} profiles are right\n`],
    );
    assert.equal(one.status, 1);
    assert.match(one.stdout, /wrong\.json: radio\.dataLength.*\n[\s\S]*1 of 2 profiles are right/);
  });

  it('detect: which, why and what is not known; the mend when there is no such adapter', async () => {
    const [human, machine, none] = await Promise.all([
      cpns(['profile', 'detect', '--adapter', radio.moniker]),
      cpns(['profile', 'detect', '--adapter', radio.moniker, '--json']),
      cpns(['profile', 'detect', '--adapter', 'hci:99']),
    ]);
    assert.match(
      human.stdout,
      /^virtual-radio: .*\n {2}the manufacturer is 0xffff\n {2}the LMP subversion is 0x6370/,
    );
    const found = JSON.parse(machine.stdout) as {
      profile: string;
      identity: { hci: object; kernel: string };
    };
    assert.equal(found.profile, 'virtual-radio');
    assert.deepEqual(found.identity.hci, {
      ...{ version: 11, revision: '0x0000', lmpVersion: 11, manufacturer: '0xffff', lmpSubversion: '0x6370' },
    });
    assert.ok(found.identity.kernel.length > 0);
    assert.equal(none.status, 1);
    assert.match(none.stderr, /hci:99: .*ENODEV.*ls \/sys\/class\/bluetooth/);
  });

  it('a daemon takes the profile of its configuration, and logs why its adapter is not to be relied upon', async () => {
    const profile = profileFile({ quirks: [{ name: 'unreliable', why: 'It bites.' }] });
    assert.equal((await cpns(['pne', 'init', '--adapter', radio.moniker])).status, 0);
    const config = join(home, 'config/cpns/pne.toml');
    assert.ok(existsSync(config));
    const text = readFileSync(config, 'utf8');
    writeFileSync(
      config,
      text.replace('[bluetooth]\n', `[bluetooth]\nprofile = ${JSON.stringify(profile)}\n`),
    );
    const { stderr, status } = await cpns(['pne', 'run'], /"msg":"ready"/);
    assert.equal(status, 0, stderr);
    const lines = stderr.split('\n').filter((line) => line.startsWith('{'));
    const logged = lines.map((line) => JSON.parse(line) as { level: number; msg: string; profile?: string });
    const [warning] = logged.filter(({ level }) => level === 40);
    assert.equal(warning?.msg, 'It bites.');
    assert.match(logged.find(({ msg }) => msg === 'ready')?.profile ?? '', /^test-/);
    writeFileSync(config, text.replace('[bluetooth]\n', '[bluetooth]\nprofile = "raspberry-pi-9"\n'));
    const refused = await cpns(['pne', 'run']);
    assert.equal(refused.status, 2);
    assert.match(refused.stderr, /bluetooth\.profile: names no firmware profile\n.*cpns profile list/);
  });
});
