/**
 * `cpns doctor` on a real kernel, with each condition really there: found, told with its command, and where it may be
 * mended, mended by that command. Wi-Fi is not among them: the guest has none.
 */
// guest: --timeout 900
import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { closeSync, copyFileSync, mkdirSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { checks, doctor, MAIN, mends, NOBODY, only } from './doctor.ts';
import { command, loadKernelBluetooth, settled, startBluetoothd, startRadio, until } from './kernel.ts';

describe('cpns doctor in the guest', function () {
  this.timeout(300_000);

  it('knows that the module is there and not loaded, and loads it; then no adapter is left to be found', async () => {
    const { before, after } = await mends([], 'bluetooth-not-loaded', 'modprobe bluetooth');
    assert.equal(before.code, 1);
    assert.equal(after.code, 1);
    assert.deepEqual(checks(after), ['no-adapter']);
  });

  describe('with two adapters', () => {
    let radio: Awaited<ReturnType<typeof startRadio>>;

    before(async () => {
      loadKernelBluetooth();
      radio = await startRadio(2);
      await settled(radio.indices);
    });
    after(() => radio.close());
    afterEach(async () => {
      for (const index of radio.indices) await command('hciconfig', `hci${index}`, 'down');
    });

    it('is content with adapters that nobody else uses, and says by which channel to take them', async () => {
      const told = await doctor([]);
      assert.deepEqual(told.findings, []);
      assert.equal(told.code, 0);
      assert.deepEqual(
        told.adapters.map(({ adapter, channel }) => `${adapter} ${channel}`),
        ['hci0 user', 'hci1 user'],
      );
      assert.match(told.adapters[0]?.why ?? '', /Debian's 6\.1/);
      assert.equal(told.adapters[0]?.profile, 'generic');
    });

    it('names the adapter of a configuration that is not there, and the ones that are', async () => {
      const told = await doctor(['--adapter', 'hci:7/user']);
      assert.match(only(told, 'wrong-adapter').sentence, /^hci7: there is no such adapter.*hci0, hci1/);
      assert.equal(told.code, 1);
    });

    it('rfkill: unblocks', async () => {
      await command('rfkill', 'block', 'bluetooth');
      await mends(['--adapter', 'hci:0/user'], 'rfkill-blocked', 'rfkill unblock bluetooth');
      assert.match(await command('rfkill', 'list'), /Soft blocked: no/);
    });

    it('an adapter that is down in raw mode: takes it up', async () => {
      await mends(['--adapter', 'hci:0/raw'], 'adapter-down', 'hciconfig hci0 up');
      assert.match(await command('hciconfig', 'hci0'), /UP RUNNING/);
    });

    it('an adapter that is up for a user channel: takes it down', async () => {
      await command('hciconfig', 'hci1', 'up');
      await mends(['--adapter', 'hci:1/user'], 'adapter-up', 'hciconfig hci1 down');
      assert.match(await command('hciconfig', 'hci1'), /DOWN/);
    });

    it("the kernel's supervision timeout: sets a longer one", async () => {
      await command('hciconfig', 'hci0', 'up');
      // As the kernel has it at first: an earlier --fix has mended this as well.
      writeFileSync('/sys/kernel/debug/bluetooth/hci0/supervision_timeout', '42');
      const { before } = await mends(
        ['--adapter', 'hci:0/raw'],
        'short-supervision',
        'echo 200 | sudo tee /sys/kernel/debug/bluetooth/hci0/supervision_timeout',
      );
      assert.equal(only(before, 'short-supervision').severity, 'hint');
      assert.match(only(before, 'short-supervision').sentence, /420 ms/);
      assert.equal(before.code, 0);
    });

    it('a user without capabilities: says which are missing, what it could not see, and setcap mends it', async () => {
      await command('hciconfig', 'hci0', 'up');
      const node = '/tmp/node-of-nobody';
      copyFileSync(process.execPath, node);
      const as = { through: NOBODY.slice(0, -1), node };
      const told = await doctor(['--adapter', 'hci:0/raw'], as);
      const found = only(told, 'no-permission');
      assert.match(found.sentence, /lacks CAP_NET_RAW and CAP_NET_ADMIN/);
      assert.equal(found.command, `sudo setcap cap_net_raw,cap_net_admin+eip ${node}`);
      assert.equal(told.code, 1);
      const unseen = told.unseen.map(({ what }) => what);
      assert.ok(unseen.includes('hci0: LE features'));
      // The controller's version is told to anybody.
      assert.ok(!unseen.includes('hci0: version of its controller'), unseen.join());
      await command('sh', '-c', found.command.replace('sudo ', ''));
      const after = await doctor(['--adapter', 'hci:0/raw'], as);
      assert.ok(!checks(after).includes('no-permission'));
      assert.ok(!after.unseen.some(({ what }) => what === 'hci0: LE features'));
      rmSync(node);
    });

    it("another user's user channel: cannot see whose, and says that root can; root sees", async () => {
      const holder = await holdUserChannel(0);
      try {
        const told = await doctor(['--adapter', 'hci:0/user']);
        const found = only(told, 'adapter-taken');
        assert.match(found.sentence, new RegExp(`node \\(process ${holder.pid}\\)`));
        assert.equal(found.command, `sudo kill ${holder.pid}`);
        assert.equal(told.code, 1);
        const blind = await doctor(['--adapter', 'hci:0/user'], { through: NOBODY });
        assert.match(only(blind, 'adapter-taken').sentence, /another user, which only root sees/);
        const other = await doctor(['--adapter', 'hci:1/user']);
        assert.ok(!checks(other).includes('adapter-taken'));
      } finally {
        holder.kill('SIGKILL');
      }
      await until('the channel to be free', () => holder.exitCode !== null || holder.signalCode !== null);
      assert.deepEqual(checks(await doctor(['--adapter', 'hci:0/user'])), ['several-adapters']);
    });

    it('somebody who scans: "Command Disallowed", and a reset ends it', async () => {
      await command('hciconfig', 'hci0', 'up');
      await command(
        'hcitool',
        '-i',
        'hci0',
        'cmd',
        '0x08',
        '0x000b',
        '01',
        '10',
        '00',
        '10',
        '00',
        '00',
        '00',
      );
      await command('hcitool', '-i', 'hci0', 'cmd', '0x08', '0x000c', '01', '00');
      const { before } = await mends(
        ['--adapter', 'hci:0/raw'],
        'command-disallowed',
        'hciconfig hci0 reset',
      );
      assert.match(only(before, 'command-disallowed').sentence, /refuses to scan \(/);
      assert.equal(before.code, 0);
      assert.equal((await doctor(['--adapter', 'hci:0/raw', '--strict'])).code, 0);
    });

    it('bluetoothd: an error in raw mode, nothing in a user channel, and stopped only by a consent that names it', async () => {
      const bluetoothd = await startBluetoothd();
      try {
        await until('bluetoothd to power both', async () =>
          /UP RUNNING[\s\S]*UP RUNNING/.test(await command('hciconfig')),
        );
        const told = await doctor(['--adapter', 'hci:0/raw']);
        assert.match(only(told, 'bluetoothd-holds').sentence, /bluetoothd \(process \d+\) manages hci0/);
        const declined = await doctor(['--adapter', 'hci:0/raw', '--fix', '--yes']);
        assert.equal(declined.fixes?.find(({ check }) => check === 'bluetoothd-holds')?.result, 'declined');
        assert.match(declined.err, /systemctl disable --now bluetooth\n.*--accept bluetoothd-holds/);
        const own = await doctor(['--adapter', 'hci:1/user', '--fix', '--yes']);
        assert.deepEqual(
          own.fixes?.map(({ check, result }) => `${check} ${result}`),
          ['adapter-up mended'],
        );
        assert.equal(own.code, 0);
        // bluetoothd does not take it up again, nor back.
        const holder = await holdUserChannel(1);
        holder.kill('SIGKILL');
        // There is no systemd here, so the command fails; it is told, and the finding stays.
        const tried = await doctor(['--adapter', 'hci:0/raw', '--fix', '--accept', 'bluetoothd-holds']);
        assert.equal(tried.fixes?.find(({ check }) => check === 'bluetoothd-holds')?.result, 'failed');
        assert.equal(tried.code, 1);
      } finally {
        await bluetoothd.stop();
      }
      assert.ok(!checks(await doctor(['--adapter', 'hci:0/raw'])).includes('bluetoothd-holds'));
    });

    it('asks before it mends, and a no leaves things as they are', async () => {
      const no = await doctor(['--adapter', 'hci:0/raw', '--fix'], { input: 'n\n' });
      assert.equal(no.fixes?.[0]?.result, 'declined');
      assert.match(no.err, /hciconfig hci0 up/);
      const yes = await doctor(['--adapter', 'hci:0/raw', '--fix'], { input: 'y\n' });
      assert.equal(yes.fixes?.[0]?.result, 'mended');
    });

    it('two roles configured for one adapter', async () => {
      const home = '/tmp/two-roles';
      mkdirSync(join(home, 'config/cpns'), { recursive: true });
      for (const role of ['gateway', 'pne']) {
        mkdirSync(join(home, 'state/cpns', role), { recursive: true, mode: 0o700 });
        const server = role === 'gateway' ? '[server]\nurl = "https://127.0.0.1:1"\n' : '';
        writeFileSync(
          join(home, `config/cpns/${role}.toml`),
          `${server}[bluetooth]\nadapter = "hci:0/user"\n`,
        );
      }
      const places = ['env', `XDG_CONFIG_HOME=${home}/config`, `XDG_STATE_HOME=${home}/state`];
      const told = await doctor([], { through: places });
      const found = only(told, 'two-on-one');
      assert.equal(found.severity, 'error');
      assert.equal(found.command, 'cpns pne run --adapter hci:1');
      assert.ok(checks(told).includes('gateway-not-enrolled') && checks(told).includes('pne-not-enrolled'));
      assert.match(only(told, 'server-unreachable').sentence, /ECONNREFUSED/);
    });
  });

  describe('with a gateway and its server', () => {
    const home = '/tmp/gateway-home';
    const env = { ...process.env, XDG_CONFIG_HOME: `${home}/config`, XDG_STATE_HOME: `${home}/state` };
    const through = ['env', `XDG_CONFIG_HOME=${home}/config`, `XDG_STATE_HOME=${home}/state`];
    const daemons: ChildProcess[] = [];
    let radio: Awaited<ReturnType<typeof startRadio>>;

    /** A command of cpns, to its good end. */
    const cpns = (args: readonly string[], input = '') =>
      new Promise<string>((done, reject) => {
        const child = execFile(process.execPath, [MAIN, ...args], { env }, (error, out, err) =>
          error ? reject(new Error(`${args.join(' ')}: ${out}${err}`)) : done(out),
        );
        child.stdin?.end(input);
      });
    /** A daemon that answers. */
    const start = async (role: string) => {
      daemons.push(spawn(process.execPath, [MAIN, role, 'run'], { env, stdio: 'ignore' }));
      await until(`the ${role}`, () => cpns([role, 'status']).catch(() => undefined), 60_000);
    };

    before(async () => {
      loadKernelBluetooth();
      radio = await startRadio(1);
      await settled(radio.indices);
      await cpns(['server', 'init', '--realm', 'guest.example', '--port', '18443']);
      await cpns(['server', 'user', 'add', 'ann']);
      await start('server');
      const token = await cpns(['server', 'token', 'create', 'ann', 'home']);
      const adapter = `hci:${radio.indices[0]}`;
      await cpns(['gateway', 'init', '--server', 'https://127.0.0.1:18443', '--adapter', adapter]);
      await cpns(['gateway', 'enrol'], token);
    });
    after(async () => {
      for (const daemon of daemons) daemon.kill('SIGTERM');
      await until('their end', () =>
        daemons.every((daemon) => daemon.exitCode !== null || daemon.signalCode),
      );
      await radio.close();
    });

    it('is content before the gateway runs and while it has the adapter to itself', async () => {
      const before = await doctor(['--role', 'gateway'], { through });
      assert.deepEqual(before.findings, []);
      await start('gateway');
      const during = await doctor([], { through });
      assert.deepEqual(during.findings, []);
      assert.equal(during.code, 0);
      // Nobody else may think it free.
      const other = await doctor(['--adapter', `hci:${radio.indices[0]}`]);
      assert.match(only(other, 'adapter-taken').sentence, /node \(process \d+\)/);
    });

    it('sees that the certificate is not valid yet by a clock that is days behind', async () => {
      const now = Math.floor(Date.now() / 1000);
      await command('date', '-s', `@${now - 3 * 86_400}`);
      try {
        const told = await doctor(['--role', 'gateway'], { through });
        const said = told.findings
          .filter(({ check }) => check === 'clock-off')
          .map(({ sentence }) => sentence);
        assert.ok(
          said.some((sentence) =>
            /certificate of https:\/\/127\.0\.0\.1:18443 is not valid yet/.test(sentence),
          ),
          JSON.stringify(told.findings),
        );
        assert.equal(told.code, 1);
      } finally {
        await command('date', '-s', `@${now}`);
      }
    });
  });

  describe('with adapters that are not well', () => {
    before(loadKernelBluetooth);

    it('an adapter whose set-up the kernel gave up', async () => {
      // A controller that never answers; the kernel gives up after 10 s, and twice more.
      const descriptor = openSync('/dev/vhci', 'r+');
      writeSync(descriptor, Buffer.from([0xff, 0x00]));
      try {
        const shown = async () => /INIT/.test(await command('hciconfig', '-a')) === false;
        await until('the kernel to give up', shown, 60_000);
        const told = await doctor([]);
        assert.equal(only(told, 'adapter-unfinished').severity, 'error');
      } finally {
        closeSync(descriptor);
      }
    });

    it('a clone of a CSR adapter, by what it says of itself', async () => {
      const clone = { version: 6, revision: 0x0810, lmpVersion: 6, manufacturer: 10, lmpSubversion: 0x1012 };
      const radio = await startRadio(1, { localVersion: clone });
      try {
        await settled(radio.indices);
        const name = `hci${radio.indices[0]}`;
        await command('hciconfig', name, 'up');
        const told = await doctor(['--adapter', `hci:${radio.indices[0]}/raw`]);
        assert.match(only(told, 'fake-csr').sentence, /HCI revision 0x0810 is not LMP subversion 0x1012/);
      } finally {
        await radio.close();
      }
    });

    it('a controller that stops answering', async () => {
      const radio = spawn(process.execPath, [MAIN, 'radio', '--socket', '/run/silent.sock', '--vhci', '1']);
      try {
        await until('the adapter', async () => /BD Address: 00:50/.test(await command('hciconfig')));
        await command('hciconfig', 'hci0', 'up');
        radio.kill('SIGSTOP');
        const told = await doctor(['--adapter', 'hci:0/raw']);
        assert.match(only(told, 'controller-silent').command, /hciconfig hci0 reset/);
      } finally {
        radio.kill('SIGCONT');
        radio.kill('SIGTERM');
        await until('its end', () => radio.exitCode !== null);
      }
    });
  });
});

/** A program that has an adapter to itself, as another gateway would. */
async function holdUserChannel(index: number): Promise<ChildProcess> {
  const child = spawn(process.execPath, [
    '--input-type=module',
    '-e',
    `import { openTransport } from '${resolve('dist/src/bluetooth/hci/transport.js')}';
     await openTransport('hci:${index}/user'); console.log('holds'); setInterval(() => {}, 1000);`,
  ]);
  let said = '';
  child.stdout.on('data', (chunk) => (said += chunk));
  child.stderr.on('data', (chunk) => (said += chunk));
  await until(
    'the user channel',
    () => said.includes('holds') || (child.exitCode !== null && assert.fail(said)),
  );
  return child;
}
