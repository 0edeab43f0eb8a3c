/** Key files: private, whole or not there, the same for all who start together, and silent about what is in them. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import fs, {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { toHex, utf8 } from '../../src/base/bytes.ts';
import { CpnsError } from '../../src/base/errors.ts';
import { generateKey, loadKey, loadOrCreateKey, softwareSigner } from '../../src/security/keystore.ts';
import { fault, primitives } from './helpers.ts';

const KEYSTORE = new URL('../../src/security/keystore.ts', import.meta.url).href;
const modeOf = (path: string): number => statSync(path).mode & 0o777;

describe('key files', () => {
  let folder = '';
  let path = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'cpns-keys-'));
    path = join(folder, 'state', 'identity.pem');
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('makes a key once, and it signs', () => {
    const made = loadOrCreateKey(path);
    const again = loadOrCreateKey(path);
    assert.deepEqual(again.publicKey, made.publicKey);
    assert.deepEqual(loadKey(path).publicKey, made.publicKey);
    assert.ok(made.privateKey.equals(again.privateKey));
    const signature = again.sign(utf8('x'));
    assert.equal(signature.length, 64);
    assert.equal(signature.constructor, Uint8Array);
    assert.ok(primitives.verifyEs256(made.publicKey, utf8('x'), signature));
  });

  it('keeps PKCS#8 PEM in a file of 0600 in a directory of 0700, whatever the umask, and nothing beside it', () => {
    const before = process.umask(0);
    try {
      loadOrCreateKey(path);
    } finally {
      process.umask(before);
    }
    assert.equal(modeOf(path), 0o600);
    assert.equal(modeOf(join(folder, 'state')), 0o700);
    assert.deepEqual(readdirSync(join(folder, 'state')), ['identity.pem']);
    const pem = readFileSync(path, 'utf8');
    assert.match(pem, /^-----BEGIN PRIVATE KEY-----\n/);
    assert.equal(createPrivateKey(pem).asymmetricKeyDetails?.namedCurve, 'prime256v1');
  });

  it('refuses a file that others may read or write, and names the command that mends it', () => {
    loadOrCreateKey(path);
    for (const mode of [0o640, 0o604, 0o620, 0o601, 0o644]) {
      chmodSync(path, mode);
      for (const load of [loadKey, loadOrCreateKey])
        assert.throws(() => load(path), fault('cannot-persist', /chmod 600 .*identity\.pem$/));
    }
    chmodSync(path, 0o400);
    loadKey(path);
  });

  it('refuses a directory in which others may put another key', () => {
    loadOrCreateKey(path);
    chmodSync(join(folder, 'state'), 0o770);
    assert.throws(() => loadKey(path), fault('cannot-persist', /chmod 700 .*state$/));
  });

  it('says that there is no key, or no directory to make one in', () => {
    assert.throws(() => loadKey(path), fault('cannot-persist', /identity\.pem: ENOENT/));
    writeFileSync(join(folder, 'state'), '');
    assert.throws(() => loadOrCreateKey(path), fault('cannot-persist', /ENOTDIR|EEXIST/));
  });

  it('takes no other file for a key, leaves it as it is, and tells nothing of it', () => {
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
    const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey;
    const { publicKeyPem } = softwareSigner(generateKey());
    const whole = generateKey().export({ format: 'pem', type: 'pkcs8' }).toString();
    const texts = [rsa, p384].map((key) => key.export({ format: 'pem', type: 'pkcs8' }).toString());
    mkdirSync(join(folder, 'state'), { mode: 0o700 });
    for (const text of ['', 'TOPSECRET', publicKeyPem, whole.slice(0, 150), 'x'.repeat(5000), ...texts]) {
      writeFileSync(path, text, { mode: 0o600 });
      for (const load of [loadKey, loadOrCreateKey])
        assert.throws(
          () => load(path),
          (error) => {
            fault('cannot-persist')(error);
            assert.ok(error instanceof CpnsError && error.cause === undefined);
            for (const line of text.split('\n'))
              assert.ok(line.length < 5 || !`${error.stack}`.includes(line), 'the file speaks in the error');
            return true;
          },
        );
      assert.equal(readFileSync(path, 'utf8'), text);
    }
  });

  it('processes that start together end with one key', async () => {
    const script = `
      const { loadOrCreateKey } = await import(${JSON.stringify(KEYSTORE)});
      process.stdin.once('data', () => {
        process.stdout.write(Buffer.from(loadOrCreateKey(process.argv[1]).publicKey.x).toString('hex'));
        process.exit();
      });
      process.stdout.write('ready ');`;
    const children = Array.from({ length: 4 }, () =>
      spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script, path]),
    );
    const texts = children.map(async (child) => {
      let text = '';
      for await (const chunk of child.stdout) text += chunk;
      return text;
    });
    await Promise.all(children.map((child) => once(child.stdout, 'readable')));
    for (const child of children) child.stdin.end('go');
    const expected = (await Promise.all(texts))[0];
    assert.deepEqual(await Promise.all(texts), Array(4).fill(expected));
    assert.equal(expected, `ready ${toHex(loadKey(path).publicKey.x)}`);
    assert.deepEqual(readdirSync(join(folder, 'state')), ['identity.pem']);
  }).timeout(20_000);

  it('killed at any moment: the key is whole or not there', async () => {
    const script = `
      const { loadOrCreateKey } = await import(${JSON.stringify(KEYSTORE)});
      process.stdout.write('ready');
      for (let i = 0; ; i++) loadOrCreateKey(process.argv[1] + '/' + i + '/identity.pem');`;
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script, folder]);
    await once(child.stdout, 'data');
    // As many keys as there are, then none: killed in the middle of making one, most likely.
    while (readdirSync(folder).length < 30) await new Promise(setImmediate);
    child.kill('SIGKILL');
    await once(child, 'exit');
    for (const name of readdirSync(folder)) {
      const key = join(folder, name, 'identity.pem');
      assert.equal(loadOrCreateKey(key).sign(utf8('x')).length, 64);
    }
  }).timeout(20_000);
});

/** The calls by which a key file comes to be, in any order. */
const CALLS = [
  'openSync',
  'fchmodSync',
  'writeSync',
  'fsyncSync',
  'linkSync',
  'closeSync',
  'unlinkSync',
] as const;
type Call = (typeof CALLS)[number];

/** Runs the work with each of these calls told of beforehand; a hook that throws stands for a disk or a power that fails. */
function watchingCalls(hook: (call: Call, first: unknown, second: unknown) => void, work: () => void): void {
  const before = Object.fromEntries(CALLS.map((call) => [call, fs[call]]));
  for (const call of CALLS) {
    const real = fs[call] as (...args: unknown[]) => unknown;
    Object.assign(fs, {
      [call]: (...args: unknown[]) => {
        hook(call, args[0], args[1]);
        return real(...args);
      },
    });
  }
  syncBuiltinESMExports();
  try {
    work();
  } finally {
    Object.assign(fs, before);
    syncBuiltinESMExports();
  }
}

describe('key files, call by call', () => {
  let folder = '';
  let path = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'cpns-keys-'));
    path = join(folder, 'identity.pem');
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('the bytes are on the disk before they have their name, and then the name is', () => {
    const calls: Call[] = [];
    watchingCalls(
      (call) => calls.push(call),
      () => loadOrCreateKey(path),
    );
    const named = calls.indexOf('linkSync');
    assert.ok(calls.indexOf('writeSync') < calls.indexOf('fsyncSync'));
    assert.ok(calls.indexOf('fsyncSync') < named);
    assert.ok(calls.lastIndexOf('fsyncSync') > named);
  });

  for (const forGood of [false, true])
    it(`whatever call fails${forGood ? ', and all after it' : ''}: the key is whole or not there`, () => {
      let failures = 0;
      for (let nth = 0; ; nth++) {
        const file = join(folder, String(nth), 'identity.pem');
        let count = 0;
        let failed = false;
        watchingCalls(
          () => {
            failed = forGood ? count++ >= nth : count++ === nth;
            if (failed) throw Object.assign(new Error('failing'), { code: 'EIO' });
          },
          () => {
            try {
              loadOrCreateKey(file);
            } catch (error) {
              failures++;
              fault('cannot-persist', /identity\.pem: EIO/)(error);
            }
          },
        );
        if (existsSync(file)) loadKey(file);
        if (count <= nth) break;
      }
      assert.ok(failures > 8, `${failures} calls failed`);
    });

  it('a key that another process put there at the last moment stays', () => {
    const other = generateKey();
    watchingCalls(
      (call, _from, to) => {
        if (call !== 'linkSync' || to !== path) return;
        writeFileSync(path, other.export({ format: 'pem', type: 'pkcs8' }), { mode: 0o600 });
      },
      () => assert.deepEqual(loadOrCreateKey(path).publicKey, softwareSigner(other).publicKey),
    );
    assert.deepEqual(readdirSync(folder), ['identity.pem']);
  });
});

describe('software signer', () => {
  it('takes P-256 private keys only', () => {
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' });
    for (const key of [publicKey, privateKey]) assert.throws(() => softwareSigner(key), TypeError);
  });
});
