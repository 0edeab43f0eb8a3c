/** A daemon's log on a disk that is full, and into a pipe that nobody reads: real writes that the kernel refuses. */
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

const UNREAD = `
import { writeFileSync } from 'node:fs';
const { openLogSink } = await import(process.argv[1]);
const sink = openLogSink(2);
const startedAt = performance.now();
for (let n = 0; n < 500; n++) sink.write('x'.repeat(999) + '\\n');
writeFileSync(process.argv[2], String(performance.now() - startedAt));
process.exit(0);
`;
/** Holds the pipe's other end, and reads nothing, until the file is there. */
const PIPELINE =
  '"$0" --import=tsx --input-type=module -e "$1" "$2" "$3" 2>&1 >/dev/null | while ! [ -e "$3" ]; do sleep 0.05; done';

describe('log into a pipe that nobody reads', function () {
  this.timeout(30_000);
  it('does not hold the process up', () => {
    const folder = mkdtempSync(join(tmpdir(), 'cpns-log-'));
    const done = join(folder, 'done');
    try {
      const { status } = spawnSync('sh', ['-c', PIPELINE, process.execPath, UNREAD, SINK, done], {
        timeout: 20_000,
      });
      assert.equal(status, 0);
      // One line has its patience of a tenth of a second; 400 and more follow.
      assert.ok(Number(readFileSync(done, 'utf8')) < 5_000);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
