/** A daemon's log on a disk that is full: real writes that the kernel refuses. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const SINK = new URL('../../src/cli/log-sink.ts', import.meta.url).href;
const SCRIPT = `
import { openSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
const { openLogSink } = await import(process.argv[1]);
const sink = openLogSink(openSync(process.argv[2], 'a', 0o600));
const limit = (size) => execFileSync('prlimit', ['--pid', String(process.pid), '--fsize=' + size + ':']);
sink.write('first\\n');
limit(0);
sink.write('lost\\n');
sink.write('lost too\\n');
limit('unlimited');
sink.write('last\\n');
`;

describe('log on a full disk', function () {
  this.timeout(30_000);
  it('drops lines, says how many, and the process lives on', () => {
    const folder = mkdtempSync(join(tmpdir(), 'cpns-log-'));
    const file = join(folder, 'log');
    try {
      const { status, stderr } = spawnSync(
        process.execPath,
        ['--import=tsx', '--input-type=module', '-e', SCRIPT, SINK, file],
        { encoding: 'utf8' },
      );
      assert.equal(status, 0, stderr);
      const [first, notice, last] = readFileSync(file, 'utf8').trimEnd().split('\n');
      assert.equal(first, 'first');
      assert.equal(JSON.parse(notice ?? '').dropped, 2);
      assert.equal(last, 'last');
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
