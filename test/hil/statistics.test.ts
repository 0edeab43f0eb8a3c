/** The statistics against published figures, and what two reports are said to differ in. */
import assert from 'node:assert/strict';
import { Prng } from '../../src/base/prng.ts';
import { comparisonText } from '../../src/cli/hil/compare-text.ts';
import { hilPage } from '../../src/cli/hil/page.ts';
import { reportText } from '../../src/cli/hil/report-text.ts';
import { compareReports } from '../../src/hil/compare.ts';
import { figuresOf, HilReportError, parseReport, reportWithFigures } from '../../src/hil/report.ts';
import { differenceOfRates, holm, rankTest, summarise, wilson } from '../../src/hil/statistics.ts';
import { reportOf, runRecord } from './sample-report.ts';

const near = (value: number | undefined, wanted: number, within: number): void =>
  assert.ok(Math.abs((value ?? Number.NaN) - wanted) <= within, `${value}, not ${wanted}`);

describe('statistics of hardware runs', () => {
  it('gives the order statistics of odd and even counts', () => {
    assert.deepEqual(summarise([3, 1, 2]), { count: 3, min: 1, median: 2, p95: 2.9, max: 3 });
    assert.equal(summarise([4, 1, 2, 3])?.median, 2.5);
    assert.equal(summarise([]), null);
  });

  it('gives the intervals of Newcombe 1998 (tables I and II)', () => {
    // 81 of 263: 0.2553 to 0.3662; 0 of 20: 0 to 0.1611; 1 of 29: 0.0061 to 0.1718.
    for (const [successes, trials, low, high] of [
      [81, 263, 0.2553, 0.3662],
      [0, 20, 0, 0.1611],
      [1, 29, 0.0061, 0.1718],
    ] as const) {
      near(wilson(successes, trials)[0], low, 0.0001);
      near(wilson(successes, trials)[1], high, 0.0001);
    }
    assert.deepEqual(wilson(0, 0), [0, 1]);
    // 56/70 − 48/80: 0.0524 to 0.3339.
    near(differenceOfRates([48, 80], [56, 70])[0], 0.0524, 0.0001);
    near(differenceOfRates([48, 80], [56, 70])[1], 0.3339, 0.0001);
  });

  it('ranks: alike is chance, apart is not, ties are counted, few say nothing', () => {
    // U = 0 of 5 and 5 with continuity: z = 12/4.787 = 2.507, p = 0.0122.
    near(rankTest([1, 2, 3, 4, 5], [6, 7, 8, 9, 10]) ?? undefined, 0.0122, 0.0002);
    assert.equal(rankTest([7, 7, 7, 7, 7], [7, 7, 7, 7, 7]), 1);
    // Ties: variance 25/12·(11 − 60/90) = 21.53; U = 6.5, z = 5.5/4.640, p = 0.2359.
    near(rankTest([1, 1, 2, 2, 3], [1, 2, 3, 4, 4]) ?? undefined, 0.2359, 0.0003);
    assert.equal(rankTest([1, 2, 3, 4], [5, 6, 7, 8, 9]), null);
    assert.deepEqual(
      holm([0.01, null, 0.04, 0.03]).map((p) => p?.toFixed(3)),
      ['0.030', undefined, '0.060', '0.060'],
    );
  });
});

describe('a report', () => {
  it('counts what succeeded, and calls a bar met, missed or not tested', () => {
    const runs = [runRecord(1, 100), runRecord(2, 100), runRecord(3, 100, 'to-pne'), runRecord(4, 100)];
    const figures = figuresOf(reportOf(runs));
    assert.deepEqual([figures.succeeded, figures.tried], [3, 4]);
    assert.deepEqual(
      figures.bars.map(({ verdict }) => verdict),
      ['met', 'met', 'not tested', 'missed'],
    );
    assert.equal(figures.accepted, false);
    assert.equal(figures.phases['to-pne']?.count, 3);
    near(figures.kilobytesPerSecond.toPne?.median, 655.36, 0.01);
  });

  it('misses the bar with slow links, with a third try, and with too few links at once', () => {
    const verdicts = (report: ReturnType<typeof reportOf>) =>
      figuresOf(report).bars.map(({ verdict }) => verdict);
    const slow = Array.from({ length: 10 }, (_, i) => runRecord(i + 1, { connect: 1200 }));
    assert.equal(verdicts(reportOf(slow))[0], 'missed');
    const thrice = Array.from({ length: 10 }, (_, i) => ({ ...runRecord(i + 1, 10), tries: i < 2 ? 3 : 1 }));
    assert.equal(verdicts(reportOf(thrice))[1], 'missed');
    const quick = [runRecord(1, 10)];
    const { pnes } = reportOf(quick);
    const five = Array.from({ length: 5 }, () => pnes[0]).flatMap((each) => each ?? []);
    assert.equal(verdicts(reportOf(quick, { pnes: five, links: { pnes: 5, live: 4 } }))[2], 'missed');
    assert.equal(verdicts(reportOf(quick, { pnes: five, links: { pnes: 5, live: 5 } }))[2], 'met');
    // Three of three are no pass of five.
    assert.equal(verdicts(reportOf(quick, { links: { pnes: 3, live: 3 } }))[2], 'not tested');
    assert.equal(figuresOf(reportOf(quick)).accepted, true);
    assert.equal(figuresOf(reportOf(quick, { ended: 'interrupted' })).accepted, false);
  });

  it('is read back as it was written; anything else is refused with what is wrong', () => {
    const report = reportOf([runRecord(1, 10), runRecord(2, 10, 'connect')]);
    assert.deepEqual(parseReport(JSON.stringify(reportWithFigures(report))), report);
    assert.throws(() => parseReport('{'), HilReportError);
    assert.throws(() => parseReport('{"report":"cpns-hil"}'), /no report/);
    const hostile = JSON.stringify(report).replace('"tries":1', '"tries":"<b>"');
    assert.throws(() => parseReport(hostile), /at runs\.0\.tries/);
  });
});

describe('the page and the text of a report', () => {
  it('have words for runs that came to nothing, and are inert whatever a host calls itself', () => {
    const none = reportOf([runRecord(1, 10, 'find')].map((run) => ({ ...run, tries: null, rssi: null })));
    const hostile = { ...none.gateway, host: { ...none.gateway.host, host: '<img src=x>\u001b[2J' } };
    for (const report of [
      none,
      reportOf([]),
      { ...none, pnes: [hostile], because: '<b>', ended: 'stopped' as const },
    ]) {
      const [page, words] = [hilPage(report), reportText(report, undefined)];
      assert.doesNotMatch(page, /NaN|undefined|Infinity|<img|<b>\./);
      assert.doesNotMatch(words, /NaN|undefined|Infinity/);
      assert.ok(!words.includes('\u001b'));
    }
    assert.match(hilPage(none), /1 failed here, none came through/);
  });
});

describe('two reports', () => {
  const dice = new Prng(3);
  const report = (scale: number, count = 40, failing = 0) =>
    reportOf(
      Array.from({ length: count }, (_, i) =>
        runRecord(i + 1, { connect: scale * (80 + 40 * dice.next()) }, i < failing ? 'resume' : undefined),
      ),
    );
  const phase = (comparison: ReturnType<typeof compareReports>, id: string) => {
    const found = comparison.phases.find((each) => each.phase === id);
    assert.ok(found);
    return found;
  };

  it('of the same distribution differ by chance, and that is said', () => {
    const comparison = compareReports(report(1), report(1), 0.2);
    assert.equal(phase(comparison, 'connect').median?.verdict, 'within chance');
    assert.deepEqual(comparison.regressions, []);
    assert.match(comparisonText(comparison), /no regression beyond 20 % and beyond chance/);
  });

  it('of which one is half as slow again: a regression, named with its figures', () => {
    const comparison = compareReports(report(1), report(1.5), 0.2);
    const { median, p95 } = phase(comparison, 'connect');
    assert.deepEqual([median?.verdict, p95?.verdict], ['slower', 'slower']);
    assert.ok((median?.interval[0] ?? 0) > 25 && (median?.interval[1] ?? 0) < 75);
    assert.equal(comparison.regressions.length, 2);
    assert.match(comparison.regressions[0] ?? '', /^connect: median \d+\.\d → \d+\.\d ms$/);
    assert.deepEqual(compareReports(report(1.5), report(1), 0.2).regressions, []);
    assert.deepEqual(compareReports(report(1), report(1.5), 0.8).regressions, [], 'within the threshold');
  });

  it('of few runs say that they say nothing', () => {
    const comparison = compareReports(report(1, 3), report(9, 3), 0.2);
    assert.equal(phase(comparison, 'connect').median?.verdict, 'too few runs');
    assert.equal(comparison.success.verdict, 'too few runs');
    assert.deepEqual(comparison.regressions, []);
  });

  it('of which one fails much more often: a regression of the success rate', () => {
    assert.equal(compareReports(report(1, 40, 1), report(1, 40, 2), 0.2).success.verdict, 'within chance');
    const comparison = compareReports(report(1, 40), report(1, 40, 12), 0.2);
    assert.equal(comparison.success.verdict, 'worse');
    assert.match(comparison.regressions[0] ?? '', /success rate: 40 of 40 → 28 of 40/);
  });

  it('say when they were not made on the same', () => {
    const other = report(1);
    const changed = {
      ...other,
      gateway: { ...other.gateway, host: { ...other.gateway.host, kernel: 'Linux 6.12' } },
    };
    assert.deepEqual(compareReports(report(1), changed, 0.2).circumstances, [
      'gateway: kernel: Linux 6.1 x64 → Linux 6.12',
    ]);
  });
});
