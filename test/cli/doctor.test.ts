/** `cpns doctor` as people meet it, on the virtual radio and real servers: what it says, how it ends, what it mends. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openVirtualRadio } from '../../src/bluetooth/open.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

interface View {
  readonly findings: readonly {
    readonly check: string;
    readonly severity: string;
    readonly sentence: string;
  }[];
  readonly fixes?: readonly { readonly check: string; readonly result: string }[];
}

describe('cpns doctor', function () {
  this.timeout(60_000);
  let home = '';

  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'cpns-doctor-'));
  });
  afterEach(() => rmSync(home, { recursive: true, force: true }));

  function environment() {
    const { PATH = '' } = process.env;
    const [config, state] = [join(home, 'config'), join(home, 'state')];
    return { PATH, HOME: home, XDG_CONFIG_HOME: config, XDG_STATE_HOME: state };
  }

  function cpns(args: readonly string[], input = '') {
    const env = environment();
    return new Promise<{ code: number; out: string; err: string }>((resolve) => {
      const all = ['--import', 'tsx', MAIN, ...args];
      const child = execFile(process.execPath, all, { env }, (error, out, err) => {
        resolve({ code: error ? Number(error.code ?? -1) : 0, out, err });
      });
      child.stdin?.end(input);
    });
  }

  async function doctor(...args: readonly string[]) {
    const { code, out, err } = await cpns(['doctor', '--json', ...args]);
    const view = JSON.parse(out) as View;
    return { code, err, ...view, checks: view.findings.map(({ check }) => check) };
  }

  it('wrong usage is 2', async () => {
    for (const [args, message] of [
      [['--role', 'phone'], /Allowed choices are server, gateway, pne/],
      [['--adapter', 'usb:0'], /names no controller/],
      [['--state', home], /say which, with --role/],
      [['--yes'], /go with --fix/],
      [['--fix', '--accept', 'everything'], /not one of .*no-permission/],
      [['--fix', '--accept', 'fake-csr'], /not one of/],
      [['extra'], /too many arguments/],
    ] as const) {
      const { code, err } = await cpns(['doctor', ...args]);
      assert.equal(code, 2, args.join(' '));
      assert.match(err, message);
    }
  });

  it('a PNE on a virtual radio: the radio is missing, then it is not, and belonging to nobody is only a warning', async () => {
    const path = join(home, 'radio.sock');
    await cpns(['pne', 'init', '--adapter', `virtual:${path}`]);
    const before = await doctor();
    assert.deepEqual(before.checks.slice(0, 2), ['radio-missing', 'pne-not-enrolled']);
    assert.equal(before.code, 1);
    const radio = await openVirtualRadio({ path });
    try {
      const after = await doctor();
      assert.deepEqual(after.checks, ['pne-not-enrolled']);
      assert.equal(after.code, 0);
      assert.equal((await doctor('--strict')).code, 1);
      const told = await cpns(['doctor']);
      assert.match(
        told.out,
        /warning: The PNE in .*state\/cpns\/pne belongs to nobody yet\.\s+\[pne-not-enrolled\]/,
      );
      assert.match(told.out, /\n {2}cpns pne enrol\n/);
      assert.match(told.out, /0 errors, 1 warning, 0 hints/);
    } finally {
      await radio.close();
    }
  });

  it('--adapter wins over the configuration', async () => {
    await cpns(['pne', 'init', '--adapter', `virtual:${join(home, 'a.sock')}`]);
    const radio = await openVirtualRadio({ path: join(home, 'b.sock') });
    try {
      const told = await doctor('--role', 'pne', '--adapter', radio.moniker);
      assert.deepEqual(told.checks, ['pne-not-enrolled']);
    } finally {
      await radio.close();
    }
  });

  it('a configuration that is wrong, in the words of the configuration', async () => {
    mkdirSync(join(home, 'config/cpns'), { recursive: true });
    const file = join(home, 'config/cpns/gateway.toml');
    writeFileSync(file, '[server]\nurl = "https://s.example"\n[pn]\nnam = "x"\n');
    const told = await doctor('--role', 'gateway', '--adapter', 'virtual');
    const found = told.findings.find(({ check }) => check === 'configuration-wrong');
    assert.ok(
      found?.sentence.includes(`${file}:4: pn.nam: unknown key; did you mean name?`),
      found?.sentence,
    );
    assert.equal(told.code, 1);
  });

  it('an open state directory: asks, mends with a yes, leaves it with a no', async () => {
    const radio = await openVirtualRadio({ path: join(home, 'radio.sock') });
    try {
      await cpns(['pne', 'init', '--adapter', radio.moniker]);
      const state = join(home, 'state/cpns/pne');
      const mode = () => statSync(state).mode & 0o777;
      chmodSync(state, 0o755);
      const no = await cpns(['doctor', '--fix', '--json'], 'no\n');
      assert.match(no.err, new RegExp(`chmod 700 ${state}\n`));
      assert.equal((JSON.parse(no.out) as View).fixes?.[0]?.result, 'declined');
      assert.equal(mode(), 0o755);
      // Nobody there to ask: nothing is done.
      await cpns(['doctor', '--fix']);
      assert.equal(mode(), 0o755);
      const yes = await cpns(['doctor', '--fix', '--json'], 'y\n');
      assert.equal((JSON.parse(yes.out) as View).fixes?.[0]?.result, 'mended');
      assert.equal(mode(), 0o700);
    } finally {
      await radio.close();
    }
  });

  it('changes nothing by looking', async () => {
    const radio = await openVirtualRadio({ path: join(home, 'radio.sock') });
    try {
      await cpns(['gateway', 'init', '--server', 'https://127.0.0.1:1', '--adapter', radio.moniker]);
      const listing = () =>
        (readdirSync(home, { recursive: true, encoding: 'utf8' }) as string[])
          .sort()
          .map((name) => [name, statSync(join(home, name)).mtimeMs]);
      const before = listing();
      const told = await doctor();
      assert.deepEqual(told.checks, ['server-unreachable', 'gateway-not-enrolled']);
      assert.deepEqual(listing(), before);
    } finally {
      await radio.close();
    }
  });

  it('a daemon that takes the question and never answers', async () => {
    const radio = await openVirtualRadio({ path: join(home, 'radio.sock') });
    await cpns(['pne', 'init', '--adapter', radio.moniker]);
    const hung = createServer().listen(join(home, 'state/cpns/pne/control.sock'));
    try {
      const told = await doctor();
      assert.ok(told.checks.includes('daemon-silent'), told.checks.join());
      assert.equal(told.code, 1);
    } finally {
      hung.close();
      await radio.close();
    }
  });

  it('an enrolled gateway and its server: content, then not reached, then not believed', async () => {
    const radio = await openVirtualRadio({ path: join(home, 'radio.sock') });
    const servers: ChildProcess[] = [];
    /** A server of its own that runs. @returns its address */
    const serve = async (name: string) => {
      const places = ['--state', join(home, name), '--config', join(home, `${name}.toml`)];
      const init = await cpns(['server', 'init', '--realm', `${name}.example`, '--port', '0', ...places]);
      assert.equal(init.code, 0, init.err);
      const child = spawn(
        process.execPath,
        ['--import', 'tsx', MAIN, 'server', 'run', '--trace', ...places],
        {
          env: environment(),
          stdio: ['ignore', 'pipe', 'ignore'],
        },
      );
      servers.push(child);
      return new Promise<string>((resolve, reject) => {
        let said = '';
        child.stdout?.on('data', (chunk) => {
          said += chunk;
          const url = /"url":"([^"]+)"/.exec(said)?.[1];
          if (url !== undefined) resolve(url);
        });
        child.on('close', () => reject(new Error(`${name} ended: ${said}`)));
      });
    };
    try {
      const url = await serve('one');
      const state = ['--state', join(home, 'one')];
      await cpns(['server', 'user', 'add', 'ann', ...state]);
      const token = await cpns(['server', 'token', 'create', 'ann', 'home', ...state]);
      await cpns(['gateway', 'init', '--server', url, '--adapter', radio.moniker]);
      assert.equal((await cpns(['gateway', 'enrol'], token.out)).code, 0);
      const well = await doctor();
      assert.deepEqual(well.checks, []);
      assert.equal(well.code, 0);

      const config = join(home, 'config/cpns/gateway.toml');
      const pointAt = (address: string) =>
        writeFileSync(config, readFileSync(config, 'utf8').replace(/url = ".*"/, `url = "${address}"`));
      pointAt(await serve('other'));
      const stranger = await doctor();
      assert.deepEqual(stranger.checks, ['server-not-believed']);
      assert.equal(stranger.code, 1);
      pointAt('https://127.0.0.1:1');
      assert.deepEqual((await doctor()).checks, ['server-unreachable']);
    } finally {
      for (const child of servers) {
        const ended = new Promise((resolve) => child.once('close', resolve));
        if (child.kill('SIGTERM')) await ended;
      }
      await radio.close();
    }
  });

  it('ends by Ctrl-C with 130, and leaves nothing behind', async () => {
    // A server that takes the connection and says nothing keeps it waiting for 5 s.
    const silent = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => silent.once('listening', resolve));
    const { port } = silent.address() as AddressInfo;
    const radio = await openVirtualRadio({ path: join(home, 'radio.sock') });
    try {
      await cpns(['gateway', 'init', '--server', `https://127.0.0.1:${port}`, '--adapter', radio.moniker]);
      const env = { ...environment(), TMPDIR: join(home, 'tmp') };
      mkdirSync(env.TMPDIR);
      const child = spawn(process.execPath, ['--import', 'tsx', MAIN, 'doctor'], { env, stdio: 'ignore' });
      const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
      await new Promise((resolve) => silent.once('connection', resolve));
      child.kill('SIGINT');
      assert.equal(await ended, 130);
      assert.deepEqual(
        readdirSync(env.TMPDIR).filter((name) => name.startsWith('cpns-')),
        [],
      );
    } finally {
      silent.close();
      await radio.close();
    }
  });
});
