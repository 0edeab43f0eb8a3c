/**
 * The fault matrix in small: a few of its cells, and proof that it bites. Real processes of the built program; the whole of
 * it is `npm run test:faults`.
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ReportedCell } from './matrix-report.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const SEED = Number(process.env['FAULT_SEED'] ?? Date.now() % 1_000_000);
const SAMPLE = 6;

interface Ran {
  readonly code: number | null;
  readonly cells: readonly ReportedCell[];
  readonly said: string;
}

describe('fault matrix', function () {
  this.timeout(240_000);
  let folder = '';
  before(() => {
    const { status, stderr, stdout } = spawnSync('npm', ['run', '--silent', 'build'], {
      cwd: ROOT,
      encoding: 'utf8',
    });
    assert.equal(status, 0, stdout + stderr);
    folder = mkdtempSync(join(tmpdir(), 'cpns-matrix-'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  /** Runs it with a folder for temporary files of its own. */
  async function run(...args: readonly string[]): Promise<Ran> {
    const command = [join(ROOT, 'dist/scripts/faults.js'), '--json', '--keep', join(folder, 'kept'), ...args];
    const child = spawn(process.execPath, command, { env: { ...process.env, TMPDIR: folder } });
    let [out, said] = ['', ''];
    child.stdout.on('data', (chunk) => {
      out += chunk;
    });
    child.stderr.on('data', (chunk) => {
      said += chunk;
    });
    const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
    const { cells } = JSON.parse(out) as { readonly cells: readonly ReportedCell[] };
    const left = readdirSync(folder).filter((name) => name.startsWith('cpns-faults-'));
    assert.deepEqual(left, [], 'nothing is left behind');
    return { code, cells, said };
  }

  it(`cells of seed ${SEED} pass`, async () => {
    const { code, cells, said } = await run('--sample', `${SAMPLE}`, '--seed', `${SEED}`);
    assert.equal(code, 0, said);
    assert.equal(cells.length, SAMPLE);
    for (const { verdict, outcome, step, fault } of cells)
      assert.deepEqual([verdict, outcome], ['passed', 'member'], `${step}:${fault}`);
  });

  describe('finds a planted defect:', () => {
    it('a PNE that signs before it has written its pending join', async () => {
      const { code, cells } = await run('--only', '5:kill-pne-after', '--defect', 'pne:pending-not-written');
      assert.equal(code, 1);
      assert.match(cells[0]?.detail ?? '', /S5 at pne/);
    });

    it('a server that answers before it has committed', async () => {
      const defect = 'server:verified-before-written';
      const { code, cells } = await run(
        '--only',
        '7:kill-server-after',
        '--deadline',
        '8',
        '--defect',
        defect,
      );
      assert.equal(code, 1);
      assert.match(cells[0]?.detail ?? '', /GW2 has join \w+ still pending/);
    });
  });
});
