/**
 * The statistics of a run and of two: order statistics, intervals for success rates, and whether two samples differ by
 * more than chance. Pure, and repeatable: the dice of the bootstrap are seeded.
 * Sources: Wilson 1927; Newcombe 1998, Statistics in Medicine 17:873, method 10; Mann and Whitney 1947; Efron 1979;
 * Good, Permutation Tests, 1994; Holm 1979.
 */
import { Prng } from '../base/prng.ts';

export interface Summary {
  readonly count: number;
  readonly min: number;
  readonly median: number;
  readonly p95: number;
  readonly max: number;
}

const ascending = (values: readonly number[]): number[] => [...values].sort((a, b) => a - b);

/** @param sorted ascending; the quantile lies between neighbours (type 7) */
function quantileOf(sorted: ArrayLike<number>, share: number): number {
  const at = share * (sorted.length - 1);
  const low = sorted[Math.floor(at)] ?? Number.NaN;
  const high = sorted[Math.ceil(at)] ?? Number.NaN;
  return low + (high - low) * (at - Math.floor(at));
}

export const quantile = (values: readonly number[], share: number): number =>
  quantileOf(ascending(values), share);
export const median = (values: readonly number[]): number => quantile(values, 0.5);
export const p95 = (values: readonly number[]): number => quantile(values, 0.95);

/** null of no values. */
export function summarise(values: readonly number[]): Summary | null {
  if (values.length === 0) return null;
  const sorted = ascending(values);
  return {
    count: sorted.length,
    min: sorted[0] ?? Number.NaN,
    median: quantileOf(sorted, 0.5),
    p95: quantileOf(sorted, 0.95),
    max: sorted.at(-1) ?? Number.NaN,
  };
}

/** Both ends of an interval that holds the true value in 95 of 100 such runs. */
export type Interval = readonly [low: number, high: number];

const Z95 = 1.959964;

/** Wilson's interval of a proportion; of no trials everything is possible. */
export function wilson(successes: number, trials: number): Interval {
  if (trials === 0) return [0, 1];
  const p = successes / trials;
  const z2 = Z95 * Z95;
  const middle = (p + z2 / (2 * trials)) / (1 + z2 / trials);
  const half = (Z95 / (1 + z2 / trials)) * Math.sqrt((p * (1 - p)) / trials + z2 / (4 * trials * trials));
  // Rounding must not exclude what was seen.
  return [Math.max(0, Math.min(middle - half, p)), Math.min(1, Math.max(middle + half, p))];
}

/** Newcombe's interval of the difference b − a of two proportions. */
export function differenceOfRates(
  a: readonly [successes: number, trials: number],
  b: readonly [successes: number, trials: number],
): Interval {
  if (a[1] === 0 || b[1] === 0) return [-1, 1];
  const [pa, pb] = [a[0] / a[1], b[0] / b[1]];
  const [[la, ua], [lb, ub]] = [wilson(...a), wilson(...b)];
  const difference = pb - pa;
  return [difference - Math.hypot(pb - lb, ua - pa), difference + Math.hypot(ub - pb, pa - la)];
}

/**
 * Probability that two samples differ in rank as much as these when nothing is behind it (Mann–Whitney, two-sided, by
 * the normal approximation with ties and continuity corrected; from 5 values a side). null where there are fewer.
 */
export function rankTest(a: readonly number[], b: readonly number[]): number | null {
  if (a.length < 5 || b.length < 5) return null;
  const all = [...a.map((value) => ({ value, first: true })), ...b.map((value) => ({ value, first: false }))];
  all.sort((x, y) => x.value - y.value);
  const n = all.length;
  let rankSum = 0;
  let ties = 0;
  for (let from = 0; from < n; ) {
    let to = from;
    while (to < n && all[to]?.value === all[from]?.value) to++;
    const rank = (from + 1 + to) / 2;
    for (let i = from; i < to; i++) if (all[i]?.first) rankSum += rank;
    const tied = to - from;
    ties += tied ** 3 - tied;
    from = to;
  }
  const u = rankSum - (a.length * (a.length + 1)) / 2;
  const mean = (a.length * b.length) / 2;
  const variance = ((a.length * b.length) / 12) * (n + 1 - ties / (n * (n - 1)));
  if (variance <= 0) return 1;
  const z = Math.max(0, Math.abs(u - mean) - 0.5) / Math.sqrt(variance);
  return Math.min(1, 2 * upperTail(z));
}

/** Of the standard normal distribution, to 1.5e-7 (Abramowitz and Stegun 7.1.26). */
function upperTail(z: number): number {
  const x = z / Math.SQRT2;
  const t = 1 / (1 + 0.3275911 * x);
  const series =
    t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  return (series * Math.exp(-x * x)) / 2;
}

const RESAMPLES = 2_000;
const SEED = 20_260_101;

/** Bootstrap interval of the difference of a quantile, b − a. */
export function quantileDifference(a: readonly number[], b: readonly number[], share: number): Interval {
  const dice = new Prng(SEED);
  const resampled = (values: readonly number[]): number => {
    const again = Float64Array.from(values, () => values[Math.floor(dice.next() * values.length)] ?? 0);
    return quantileOf(again.sort(), share);
  };
  const differences = Float64Array.from({ length: RESAMPLES }, () => resampled(b) - resampled(a)).sort();
  return [quantileOf(differences, 0.025), quantileOf(differences, 0.975)];
}

/**
 * Probability that a quantile of two samples differs as much as here when the same values are dealt out by chance
 * (permutation test, two-sided). null where either has fewer than `least` values.
 */
export function quantileTest(
  a: readonly number[],
  b: readonly number[],
  share: number,
  least: number,
): number | null {
  if (a.length < least || b.length < least) return null;
  const all = Float64Array.from([...a, ...b]);
  const difference = (): number =>
    Math.abs(
      quantileOf(all.slice(0, a.length).sort(), share) - quantileOf(all.slice(a.length).sort(), share),
    );
  const seen = difference();
  const dice = new Prng(SEED);
  let asMuch = 0;
  for (let i = 0; i < RESAMPLES; i++) {
    for (let left = all.length - 1; left > 0; left--) {
      const other = Math.floor(dice.next() * (left + 1));
      const value = all[left] ?? 0;
      all[left] = all[other] ?? 0;
      all[other] = value;
    }
    if (difference() >= seen) asMuch++;
  }
  return (asMuch + 1) / (RESAMPLES + 1);
}

/** Holm's correction: what several tests at once leave of each probability. Keeps the order; null stays null. */
export function holm(probabilities: readonly (number | null)[]): (number | null)[] {
  const known = probabilities.flatMap((p, index) => (p === null ? [] : [{ p, index }]));
  known.sort((x, y) => x.p - y.p);
  const corrected: (number | null)[] = probabilities.map(() => null);
  let least = 0;
  for (const [i, { p, index }] of known.entries()) {
    least = Math.max(least, Math.min(1, p * (known.length - i)));
    corrected[index] = least;
  }
  return corrected;
}
