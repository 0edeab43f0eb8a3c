/**
 * The hardware suite on the kernel of the guest, with real AF_BLUETOOTH sockets: two adapters on one host, by BlueZ's
 * controllers and by ours; and two hosts over ssh. The second host has a network, a name and an sshd of its own. The
 * kernel gives Bluetooth sockets only to the first network, so its PNE is started in that one; all that the two sides
 * say to each other goes through ssh and the wire between the networks.
 */
// guest: --memory 1536 --timeout 1500
import assert from 'node:assert/strict';
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { VirtualRadio } from '../../src/bluetooth/open.ts';
import { PHASE_IDS } from '../../src/hil/phases.ts';
import { SILENCE_LIMIT_MS } from '../../src/hil/pne-wire.ts';
import { figuresOf, parseReport } from '../../src/hil/report.ts';
import { runSuite } from '../../src/hil/suite.ts';
import { type HilCommand, MAIN, startHil } from '../hil/command.ts';
import {
  adapters,
  Background,
  command,
  loadKernelBluetooth,
  OUT,
  settled,
  startBtvirt,
  startRadio,
  until,
} from './kernel.ts';

const PATIENCE_MS = 300_000;
const KITCHEN = '10.99.0.2';

describe('hardware in the loop, on the kernel of the guest', function () {
  this.timeout(600_000);
  let hil: HilCommand | undefined;
  const start = (...args: readonly string[]): HilCommand => {
    hil = startHil([...args, '--keep', join(OUT, 'kept-by-command')]);
    return hil;
  };
  before(loadKernelBluetooth);
  let earlier: readonly string[] = [];
  beforeEach(() => {
    earlier = found();
  });
  afterEach(() => void hil?.child.kill('SIGKILL'));

  /** What a PNE of a run leaves when it does not end: its process, its state. */
  const left = () => found().filter((each) => !earlier.includes(each));
  const found = (): string[] => {
    const processes = readdirSync('/proc').filter((pid) => {
      try {
        const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
        return /^\d+$/.test(pid) && words.includes('hil') && words.includes('pne');
      } catch {
        return false;
      }
    });
    return [...processes, ...readdirSync('/tmp').filter((name) => name.startsWith('cpns-hil-'))];
  };
  const check = (json: string, runs: number) => {
    const report = parseReport(json);
    assert.deepEqual([report.ended, report.runs.length], ['complete', runs]);
    for (const run of report.runs) {
      assert.ok(run.ok, JSON.stringify(run.failure));
      assert.deepEqual(Object.keys(run.phases), PHASE_IDS);
    }
    for (const { adapter } of [report.gateway, ...report.pnes]) {
      assert.deepEqual([adapter.bus, adapter.channel], ['virtual', 'user']);
      assert.match(adapter.address ?? '', /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/);
      assert.ok(adapter.controller);
    }
    return report;
  };

  describe('with our radio behind the kernel', () => {
    let radio: VirtualRadio & { readonly indices: readonly number[] };
    let names: readonly string[];
    before(async () => {
      radio = await startRadio(2, { intervalMs: 7.5 });
      await settled(radio.indices);
      names = radio.indices.map((index) => `hci${index}/user`);
    });
    after(() => radio.close());
    const named = () => ['--gateway-adapter', names[0] ?? '', '--pne-adapter', names[1] ?? ''];

    it('a link that is lost makes a failed run with its captures, and the next one is well', async () => {
      const [gatewayAdapter = '', pneAdapter = ''] = radio.indices.map((index) => `hci:${index}/user`);
      const { report } = await runSuite({
        ...{ gatewayAdapter, pneAdapters: [pneAdapter], runs: 3, keep: join(OUT, 'kept') },
        localCommand: [process.execPath, MAIN],
        signal: new AbortController().signal,
        onProgress: () => {},
        onPhase: (phase, run) => {
          if (run !== 2 || phase !== 'to-pne') return;
          const link = radio.counters().links.find(({ open }) => open);
          assert.ok(link && radio.dropLink(link.central, link.peripheral));
        },
      });
      assert.deepEqual(
        report.runs.map(({ ok }) => ok),
        [true, false, true],
      );
      assert.equal(report.runs[1]?.failure?.phase, 'to-pne');
      assert.deepEqual(readdirSync(join(OUT, 'kept')).sort(), [
        'run-2-gateway.btsnoop',
        'run-2-pne.btsnoop',
        'run-2.keys',
        'run-2.txt',
      ]);
    });

    describe('and the PNE on another host', () => {
      let sshd: Background | undefined;
      const dir = '/run/cpns-ssh';
      const pneCommand = `nsenter --net=/proc/1/ns/net ${process.execPath} ${MAIN}`;
      const there = ['--pne-host', 'root@kitchen', '--ssh-config', join(dir, 'config')];

      before(async () => {
        await command('ip', 'netns', 'add', 'kitchen');
        await command(
          'ip',
          'link',
          'add',
          'wire0',
          'type',
          'veth',
          'peer',
          'name',
          'wire1',
          'netns',
          'kitchen',
        );
        await command('ip', 'address', 'add', '10.99.0.1/24', 'dev', 'wire0');
        await command('ip', 'link', 'set', 'wire0', 'up');
        await command('ip', '-n', 'kitchen', 'address', 'add', `${KITCHEN}/24`, 'dev', 'wire1');
        await command('ip', '-n', 'kitchen', 'link', 'set', 'wire1', 'up');
        sshd = await startSshd(dir);
        await until('sshd', () => /Server listening/.test(said('sshd.log')));
      });
      after(() => sshd?.stop());

      it('runs over ssh, and says which host had which adapter', async () => {
        const remote = [...there, '--pne-command', pneCommand];
        const { said, ended } = start('run', ...named(), ...remote, '--runs', '2', '--json');
        const code = await ended;
        writeFileSync(join(OUT, 'ssh.json'), said.out);
        assert.ok(said.out !== '', said.progress);
        const report = check(said.out, 2);
        assert.equal(code, figuresOf(report).accepted ? 0 : 1, said.progress);
        const [pne] = report.pnes;
        assert.deepEqual([pne?.over, pne?.host.host], ['ssh root@kitchen', 'kitchen']);
        assert.deepEqual([report.gateway.over, report.gateway.host.host], ['this process', 'guest']);
        await until('nothing is left', () => left().length === 0);
      });

      it('at Ctrl-C nothing is left on either host', async () => {
        const remote = [...there, '--pne-command', pneCommand];
        const { child, said, ended } = start('run', ...named(), ...remote, '--runs', '1000', '--json');
        await until('a run', () => /run 1 of 1000/.test(said.progress), PATIENCE_MS);
        assert.notDeepEqual(left(), []);
        child.kill('SIGINT');
        assert.equal(await ended, 130, said.progress);
        assert.equal(parseReport(said.out).ended, 'interrupted');
        await until('nothing is left', () => left().length === 0);
      });

      it('a wire that breaks stops the run with the reason, and the other host cleans up by itself', async () => {
        const remote = [...there, '--pne-command', pneCommand];
        const { said, ended } = start('run', ...named(), ...remote, '--runs', '1000', '--json');
        await until('a run', () => /run 1 of 1000/.test(said.progress), PATIENCE_MS);
        await command('ip', 'link', 'set', 'wire0', 'down');
        try {
          assert.equal(await ended, 1, said.progress);
          const report = parseReport(said.out);
          assert.equal(report.ended, 'stopped');
          assert.match(report.because ?? '', /ssh to root@kitchen ended/);
          await until('the PNE notices', () => left().length === 0, 2 * SILENCE_LIMIT_MS);
        } finally {
          await command('ip', 'link', 'set', 'wire0', 'up');
        }
      });

      it('a host without cpns, and one that lets nobody in, are told apart, with what mends each', async () => {
        const without = start('run', ...named(), ...there);
        assert.equal(await without.ended, 1);
        assert.match(without.said.progress, /root@kitchen has no `cpns`.*--pne-command/s);
        const stranger = start(
          'run',
          ...named(),
          '--pne-host',
          'root@stranger',
          '--ssh-config',
          join(dir, 'config'),
        );
        assert.equal(await stranger.ended, 1);
        assert.match(
          stranger.said.progress,
          /ssh to root@stranger ended.*ssh -o BatchMode=yes root@stranger true/s,
        );
        await until('nothing is left', () => left().length === 0);
      });
    });
  });

  describe('with the controllers of btvirt', () => {
    it('runs between two adapters of one host', async () => {
      const btvirt = await startBtvirt(2);
      try {
        await settled(adapters());
        const [first, second] = adapters();
        const page = join(OUT, 'btvirt.html');
        const named = ['--gateway-adapter', `hci${first}/user`, '--pne-adapter', `hci${second}/user`];
        const { said, ended } = start('run', ...named, '--runs', '2', '--json', '--html', page);
        const code = await ended;
        assert.ok(said.out !== '', said.progress);
        writeFileSync(join(OUT, 'btvirt.json'), said.out);
        const report = check(said.out, 2);
        assert.equal(code, figuresOf(report).accepted ? 0 : 1, said.progress);
        assert.match(report.gateway.host.kernel, /^Linux 6\./);
        assert.match(readFileSync(page, 'utf8'), /2 of 2 runs/);
        assert.deepEqual(left(), []);
      } finally {
        await btvirt.stop();
      }
    });
  });
});

/** An sshd in the other network, under another name; keys for this one occasion. */
async function startSshd(dir: string): Promise<Background> {
  mkdirSync(dir, { mode: 0o700 });
  mkdirSync('/run/sshd', { recursive: true });
  if (!/^sshd:/m.test(readFileSync('/etc/passwd', 'utf8')))
    appendFileSync('/etc/passwd', 'sshd:x:110:65534::/run/sshd:/usr/sbin/nologin\n');
  for (const key of ['host', 'user', 'unknown'])
    await command('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', join(dir, key));
  const server = [
    `ListenAddress ${KITCHEN}`,
    `HostKey ${join(dir, 'host')}`,
    `AuthorizedKeysFile ${join(dir, 'user.pub')}`,
    ...['PidFile none', 'UsePAM no', 'StrictModes no', 'PermitRootLogin prohibit-password'],
    'PasswordAuthentication no',
  ];
  writeFileSync(join(dir, 'sshd_config'), `${server.join('\n')}\n`);
  const hostKey = readFileSync(join(dir, 'host.pub'), 'utf8').split(' ').slice(0, 2).join(' ');
  writeFileSync(join(dir, 'known_hosts'), `${KITCHEN} ${hostKey}\n`);
  const client = [
    'Host kitchen stranger',
    `  HostName ${KITCHEN}`,
    ...['UserKnownHostsFile', 'GlobalKnownHostsFile'].map((name) => `  ${name} ${join(dir, 'known_hosts')}`),
    '  IdentitiesOnly yes',
    'Host kitchen',
    `  IdentityFile ${join(dir, 'user')}`,
    'Host stranger',
    `  IdentityFile ${join(dir, 'unknown')}`,
  ];
  writeFileSync(join(dir, 'config'), `${client.join('\n')}\n`, { mode: 0o600 });
  const run = `hostname kitchen; exec /usr/sbin/sshd -D -e -f ${join(dir, 'sshd_config')}`;
  return new Background('ip', ['netns', 'exec', 'kitchen', 'unshare', '--uts', 'sh', '-c', run], 'sshd.log');
}

/** What a program in the background has said so far. */
const said = (log: string): string =>
  existsSync(join(OUT, log)) ? readFileSync(join(OUT, log), 'utf8') : '';
