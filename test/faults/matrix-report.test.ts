/**
 * The fault matrix as text, JSON and page: every cell is there in a word, nothing depends on colour, what failed can be run
 * again by the line that is shown, and neither a terminal nor a browser takes orders from a detail.
 */
import assert from 'node:assert/strict';
import { stripVTControlCharacters } from 'node:util';
import { matrixPage } from './matrix-page.ts';
import { figuresOf, type MatrixReport, matrixJson, matrixText, type ReportedCell } from './matrix-report.ts';

const SEED = 4_294_967_295;
const rows = ['discovery', 'setup request', 'setup response'].map((name, step) => ({ step, name }));
const columns = [
  { id: 'link', title: 'link dropped' },
  { id: 'kill-server-before', title: 'server killed before' },
  { id: 'clock-gw1-1h', title: "gw1's clock −1 h" },
  { id: 'stall', title: 'peer stalled' },
];
const HOSTILE = 'S5 at pne: </style><script>alert(1)</script> "\u001b[2J\u202e&';

const passed = (
  step: number,
  fault: string,
  outcome: ReportedCell['outcome'],
  convergedMs?: number,
): ReportedCell => ({
  ...{ step, fault, seed: SEED, verdict: 'passed', detail: 'in words', tookMs: 5_000 },
  ...(outcome && { outcome }),
  ...(convergedMs !== undefined && { convergedMs }),
});
const cells: readonly ReportedCell[] = [
  passed(0, 'link', 'member', 400),
  passed(0, 'kill-server-before', 'nothing', 1_200),
  passed(1, 'link', 'signed-unheard'),
  passed(1, 'kill-server-before', 'not-yet-notified', 12_400),
  {
    step: 2,
    fault: 'link',
    seed: SEED,
    verdict: 'failed',
    detail: HOSTILE,
    tookMs: 60_000,
    outcome: 'illegal',
  },
  { step: 2, fault: 'clock-gw1-1h', seed: SEED, verdict: 'na', detail: 'no such fault', tookMs: 0 },
];
const report: MatrixReport = {
  ...{ seed: SEED, startedAt: '2026-11-25T21:00:00.000Z', tookMs: 61_000, platform: 'Node 20, linux' },
  ...{ rows, columns, cells, command: 'npm run test:faults --' },
};
const COMMAND = `npm run test:faults -- --only 2:link --seed ${SEED}`;

describe('the report of a fault matrix', () => {
  it('counts each cell once, and what was not run', () => {
    const { counts, run, converged } = figuresOf(report);
    assert.deepEqual(counts, {
      ...{ member: 1, nothing: 1, 'signed-unheard': 1, 'not-yet-notified': 1, failed: 1, na: 1 },
      'not-run': rows.length * columns.length - cells.length,
    });
    assert.equal(run, 5);
    assert.deepEqual(converged, { medianMs: 1_200, p95Ms: 12_400, maxMs: 12_400 });
    assert.equal(figuresOf({ ...report, cells: [] }).converged, undefined);
  });

  it('a cell that passed without a legal outcome counts as failed', () => {
    const odd = { ...report, cells: [passed(0, 'link', undefined), passed(0, 'stall', 'illegal')] };
    assert.equal(figuresOf(odd).counts.failed, 2);
  });

  describe('text', () => {
    const plain = matrixText(report, { colour: false, width: 100 });

    it('is aligned: each fault stands over its cells', () => {
      const lines = plain.split('\n');
      const heading = lines.find((line) => line.startsWith('step')) ?? '';
      const [first, second, third] = rows.map(({ name }) => lines.find((line) => line.includes(name)) ?? '');
      const at = heading.indexOf('link');
      assert.deepEqual([first?.[at], second?.[at], third?.[at]], ['M', 'U', 'F']);
      const server = heading.indexOf('before');
      assert.equal(first?.slice(server, server + 7), 'N 1.2 s');
      assert.equal(second?.slice(server, server + 6), 'R 12 s');
      assert.equal(third?.[heading.indexOf('-1h')], '·');
    });
    it('has no colour where none is asked for, and says the same with it', () => {
      assert.ok(!plain.includes('\u001b'));
      const coloured = matrixText(report, { colour: true, width: 100 });
      assert.ok(coloured.includes('\u001b[31mF'));
      assert.equal(stripVTControlCharacters(coloured).replace(/ +$/gm, ''), plain);
    });
    it('no line of the matrix is wider than the terminal', () => {
      for (const width of [50, 80]) {
        const lines = matrixText(report, { colour: false, width }).split('\n');
        const matrix = lines.slice(
          1,
          lines.findIndex((line) => line.startsWith('M  member')),
        );
        assert.ok(
          matrix.every((line) => line.length <= width),
          matrix.join('\n'),
        );
        assert.equal(matrix.filter((line) => line.includes('setup response')).length, width === 50 ? 2 : 1);
      }
    });
    it('ends with what failed and the command for it', () => {
      assert.ok(plain.includes(COMMAND));
      assert.match(plain, /FAILED 2:link: S5 at pne/);
      assert.match(plain, /1 member, 1 nothing, 1 unheard, 1 registered, 1 FAILED, 1 n\/a/);
      assert.match(plain, new RegExp(`seed ${SEED}`));
      assert.doesNotMatch(plain, /\u202e/);
    });
  });

  it('JSON has every cell with its command, and the figures', () => {
    const read = JSON.parse(matrixJson(report)) as {
      cells: (ReportedCell & { again: string; mark: string })[];
      figures: unknown;
    };
    assert.equal(read.cells.length, cells.length);
    assert.equal(read.cells.find(({ mark }) => mark === 'failed')?.again, COMMAND);
    assert.deepEqual(read.figures, figuresOf(report));
  });

  describe('page', () => {
    const page = matrixPage(report);

    it('asks for nothing from anywhere and runs nothing', () => {
      assert.doesNotMatch(page, /<(script|link|img|iframe|object|embed)\b/i);
      assert.doesNotMatch(page, /https?:|url\(|@import|\bsrc=|\bon[a-z]+=/i);
    });
    it('shows hostile text as text', () => {
      assert.match(page, /&#60;\/style&#62;&#60;script&#62;/);
    });
    it('has a word in each cell, and a card with seed and command behind it', () => {
      const boxes = [...page.matchAll(/<td class="([a-z-]+)"><button popovertarget="([^"]+)"[^>]*>([^<]+)/g)];
      assert.deepEqual(
        boxes.map(([, mark, , word]) => `${mark} ${word}`),
        [
          ...['member member', 'nothing nothing', 'signed-unheard unheard', 'not-yet-notified registered'],
          ...['failed FAILED', 'na n&#47;a'].map((text) => text.replace('&#47;', '/')),
        ],
      );
      for (const [, , id] of boxes) assert.ok(page.includes(`<div popover id="${id}">`), id);
      assert.equal(page.split(COMMAND).length - 1, 2, 'in the card and in the list of failures');
    });
    it('is in both light and dark', () => {
      assert.match(page, /color-scheme: light dark/);
    });
    it('says so when all passed', () => {
      const good = matrixPage({ ...report, cells: cells.filter(({ verdict }) => verdict === 'passed') });
      assert.match(good, /all 4 cells passed/);
      assert.doesNotMatch(good, /What failed/);
    });
  });
});
