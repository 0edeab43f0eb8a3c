/**
 * The soak in small: it runs without a finding, it finds a planted defect, and nothing is left behind. Real processes of the
 * built program; minutes of it are `npm run soak`. Its judgements of growth and of the journal's order are tried alone.
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { entry, joined } from '../faults/staged.ts';
import { growthOf, type Sample } from './growth.ts';
import { Ledger } from './ledger.ts';
import type { SoakReport } from './report.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const SEED = Number(process.env['SOAK_SEED'] ?? Date.now() % 1_000_000);
const MIB = 1024 * 1024;

interface Ran {
  readonly code: number | null;
  readonly report: SoakReport;
  readonly said: string;
}

describe('soak', function () {
  this.timeout(240_000);
  let folder = '';
  before(() => {
    const { status, stderr, stdout } = spawnSync('npm', ['run', '--silent', 'build'], {
      cwd: ROOT,
      encoding: 'utf8',
    });
    assert.equal(status, 0, stdout + stderr);
    folder = mkdtempSync(join(tmpdir(), 'cpns-soak-test-'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  /** Runs it with a folder for temporary files of its own. @param interruptAt what it says when it is interrupted */
  async function run(args: readonly string[], interruptAt?: RegExp): Promise<Ran> {
    const command = [join(ROOT, 'dist/scripts/soak.js'), '--json', '--keep', join(folder, 'kept'), ...args];
    const child = spawn(process.execPath, command, { env: { ...process.env, TMPDIR: folder } });
    let [out, said] = ['', ''];
    child.stdout.on('data', (chunk) => {
      out += chunk;
    });
    child.stderr.on('data', (chunk) => {
      said += chunk;
      if (interruptAt?.test(said)) child.kill('SIGINT');
    });
    const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
    assert.notEqual(out, '', said);
    const left = readdirSync(folder).filter((name) => name.startsWith('cpns-soak-'));
    assert.deepEqual(left, [], 'no file is left behind');
    assert.deepEqual(processesUnder(folder), [], 'no process is left behind');
    return { code, report: JSON.parse(out) as SoakReport, said };
  }

  it(`of 12 s with seed ${SEED} finds nothing`, async () => {
    const page = join(folder, 'soak.html');
    const { code, report, said } = await run([
      '--minutes',
      '0.2',
      '--pnes',
      '2',
      '--seed',
      `${SEED}`,
      '--html',
      page,
    ]);
    assert.equal(code, 0, said);
    assert.deepEqual(report.findings, []);
    const done = (tallies: SoakReport['faults']) => tallies.reduce((sum, tally) => sum + tally.done, 0);
    assert.ok(done(report.faults) > 0 && done(report.operations) > 0, 'something happened');
    assert.ok(report.joins.registered >= 2 && report.journalEntries > 20);
    assert.ok(
      report.quiets.length >= 2 && report.quiets.every(({ convergedMs }) => convergedMs !== undefined),
    );
    for (const { process: name, samples } of report.curves)
      assert.ok(
        samples.some(({ rss, files }) => rss > 10 * MIB && files > 3),
        name,
      );
    assert.match(readFileSync(page, 'utf8'), /<polyline class="curve"/);
  });

  it('finds a planted defect, and prints the report when it is interrupted', async () => {
    // The first thing it says of the defect ends the run, as Ctrl-C does.
    const args = [
      '--minutes',
      '2',
      '--pnes',
      '1',
      '--seed',
      `${SEED}`,
      '--defect',
      'pne:pending-not-written',
    ];
    const { code, report } = await run(args, /safety: /);
    assert.equal(code, 1);
    assert.equal(report.interrupted, true);
    const [first] = report.findings;
    assert.match(`${first?.kind} ${first?.what}`, /^safety S5 at pne/);
    assert.ok(existsSync(join(folder, 'kept', 'logs')), 'logs are kept for whoever looks into it');
  });
});

describe('soak, growth', () => {
  const life = (of: (i: number) => Partial<Sample>, count = 20): readonly Sample[] =>
    Array.from({ length: count }, (_, i) => ({
      ...{
        atMs: i * 60_000,
        pid: 7,
        rss: 80 * MIB,
        files: 30,
        heap: 20 * MIB + (i % 3) * 200_000,
        handles: 12,
      },
      ...of(i),
    }));
  const verdict = (samples: readonly Sample[]) =>
    growthOf({ process: 'gw2', samples }).map((one) => one.verdict);

  it('is none where all stays as it is, or rises in the first quarter only', () => {
    assert.deepEqual(verdict(life(() => ({}))), ['steady']);
    assert.deepEqual(verdict(life((i) => ({ heap: (20 + 4 * Math.min(i, 4)) * MIB }))), ['steady']);
  });

  it('is none where a thing that is done for the first time loads its code', () => {
    assert.deepEqual(verdict(life((i) => ({ heap: (i < 10 ? 15 : 18.5) * MIB }))), ['steady']);
  });

  it('is found in heap, resident memory, descriptors and handles', () => {
    assert.deepEqual(verdict(life((i) => ({ heap: 20 * MIB + i * 250_000 }))), ['grows']);
    assert.deepEqual(verdict(life((i) => ({ rss: (80 + 2 * i) * MIB }))), ['grows']);
    assert.deepEqual(verdict(life((i) => ({ files: 30 + Math.floor(i / 3) }))), ['grows']);
    assert.deepEqual(verdict(life((i) => ({ handles: 12 + Math.floor(i / 3) }))), ['grows']);
  });

  it('is judged for each life alone, and not for a short one', () => {
    const lives = [...life(() => ({})), ...life(() => ({ pid: 8, heap: 60 * MIB }), 4)];
    assert.deepEqual(verdict(lives), ['steady', 'short']);
  });
});

describe('soak, ledger', () => {
  it('takes entries by their time, in whatever order their wires bring them', () => {
    const { views } = joined();
    const server = entry('server', { view: views.server });
    const pne = entry('pne', { view: views.pne });
    const found: string[] = [];
    const ledger = new Ledger((what) => found.push(what));
    ledger.push(pne);
    ledger.push(server);
    ledger.check();
    assert.deepEqual(found, [], 'nothing is taken before it has waited');
    ledger.check(true);
    assert.deepEqual(found, []);
    assert.equal(ledger.entries, 2);
    // A member of what nobody committed.
    const shown: string[] = [];
    const alone = new Ledger((what) => shown.push(what));
    alone.push(pne);
    alone.check(true);
    assert.match(shown.join(), /^S2 at pne/);
  });
});

/** Processes whose command line names this folder. */
function processesUnder(path: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && name !== `${process.pid}`)
    .flatMap((pid) => {
      try {
        const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
        return words.includes(path) ? [words] : [];
      } catch {
        return [];
      }
    });
}
