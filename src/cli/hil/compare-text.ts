/**
 * The comparison of two reports as a person reads it.
 */
import type { Change, Comparison } from '../../hil/compare.ts';
import { inert, table } from '../output.ts';
import { ms, percent, range } from './report-text.ts';

export function comparisonText(comparison: Comparison): string {
  const { success, phases, circumstances, regressions, threshold } = comparison;
  const { before, after, difference, verdict } = success;
  const rate = ({ succeeded, tried, interval }: typeof before): string =>
    `${succeeded} of ${tried}, ${tried > 0 ? percent(succeeded / tried) : '-'} (${range(interval)})`;
  const rows = phases.flatMap(({ title, counts, median, p95 }) => [
    [title, counts.join(' / '), 'median', ...cells(median)],
    [title, counts.join(' / '), 'p95', ...cells(p95)],
  ]);
  const lines = [
    ...(circumstances.length > 0
      ? ['not made on the same:', ...circumstances.map((each) => `  ${each}`), '']
      : []),
    `success: ${rate(before)} → ${rate(after)}; ${verdict}, difference ${signedRange(difference)}`,
    '',
    table(['phase', 'n', 'ms', 'before', 'after', 'difference', '95 % interval', 'verdict', 'p'], rows),
    '',
    ...(regressions.length > 0
      ? [
          `${regressions.length} regression${regressions.length > 1 ? 's' : ''} beyond ${percent(threshold)} and beyond chance:`,
        ]
      : [`no regression beyond ${percent(threshold)} and beyond chance`]),
    ...regressions.map((each) => `  ${each}`),
    '',
    'p: that chance alone makes such a difference: medians by ranks (Mann–Whitney), p95 by permutation, corrected for all',
    'of these tests after Holm, so that together they raise a false alarm in one of twenty comparisons. Intervals: bootstrap.',
  ];
  return lines.map((line) => line.split('\n').map(inert).join('\n')).join('\n');
}

function cells(change: Change | null): string[] {
  if (change === null) return ['-', '-', '-', '-', 'too few runs', '-'];
  const { before, after, difference, interval, verdict, probability } = change;
  const p = probability === null ? '-' : probable(probability);
  return [ms(before), ms(after), signed(difference), interval.map(signed).join(' to '), verdict, p];
}

const signed = (value: number): string => `${value > 0 ? '+' : value < 0 ? '−' : ''}${ms(Math.abs(value))}`;
const probable = (p: number): string => (p < 0.001 ? '< 0.001' : p.toFixed(3));

function signedRange([low, high]: readonly [number, number]): string {
  const points = (share: number): string =>
    `${share > 0 ? '+' : share < 0 ? '−' : ''}${percent(Math.abs(share))}`;
  return `${points(low)} to ${points(high)}`;
}
