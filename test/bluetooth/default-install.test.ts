/**
 * The project as the default install leaves it: without the packages of the second back-end. A copy of the sources with
 * every other package beside it.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { cleanUp, newRadio } from './support.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const OPTIONAL = '@stoprocent';

/** Opens and closes a central and a peripheral on a back-end, and prints what came of it. */
const TRY = `
import { openCentral, openPeripheral } from './src/bluetooth/open.ts';
const [moniker, backEnd] = process.argv.slice(2);
for (const open of [openCentral, openPeripheral]) {
  const outcome = await open(moniker, { backEnd }).then(
    async (port) => { await port.close(); return { ok: true }; },
    ({ name, code, message, mend }) => ({ name, code, message, mend }),
  );
  console.log(JSON.stringify(outcome));
}
`;

interface Outcome {
  readonly ok?: boolean;
  readonly name?: string;
  readonly code?: string;
  readonly message?: string;
  readonly mend?: string;
}

describe('the default install', function () {
  this.timeout(60_000);
  let directory = '';

  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'cpns-default-'));
    for (const name of ['src', 'firmware-profiles', 'package.json'])
      cpSync(join(ROOT, name), join(directory, name), { recursive: true });
    const modules = join(directory, 'node_modules');
    mkdirSync(modules);
    for (const name of readdirSync(join(ROOT, 'node_modules'))) {
      if (name !== OPTIONAL) symlinkSync(join(ROOT, 'node_modules', name), join(modules, name));
    }
    writeFileSync(join(directory, 'try.ts'), TRY);
  });
  after(() => rmSync(directory, { recursive: true, force: true }));
  afterEach(cleanUp);

  async function outcomesOn(backEnd: string): Promise<Outcome[]> {
    const radio = await newRadio();
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--import', pathToFileURL(join(ROOT, 'node_modules/tsx/dist/loader.mjs')).href]
        .concat(join(directory, 'try.ts'))
        .concat(radio.moniker, backEnd),
      { cwd: directory },
    );
    return stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
  }

  it('opens both ports on the back-end that is there', async () => {
    assert.deepEqual(await outcomesOn('abandonware'), [{ ok: true }, { ok: true }]);
  });

  it('names what mends it where the other back-end is asked for', async () => {
    const outcomes = await outcomesOn('stoprocent');
    assert.deepEqual(
      outcomes.map(({ name, code }) => [name, code]),
      [
        ['BluetoothUnavailableError', 'ENOBACKEND'],
        ['BluetoothUnavailableError', 'ENOBACKEND'],
      ],
    );
    for (const [index, { message = '', mend = '' }] of outcomes.entries()) {
      assert.match(
        message,
        index === 0 ? /@stoprocent\/noble is not installed/ : /@stoprocent\/bleno is not/,
      );
      assert.match(mend, /npm install .*@stoprocent\/noble@\S+ @stoprocent\/bleno@\S+/);
      assert.match(mend, /backend.*\[bluetooth\]/);
    }
  });
});
