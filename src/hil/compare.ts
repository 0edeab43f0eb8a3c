/**
 * Two reports against each other: what changed in each phase and in the success rate, and whether it is more than chance.
 * A regression is what is both: longer by more than the threshold, and not to be explained by chance. Pure.
 */
import { PHASES, type PhaseId } from './phases.ts';
import { type HilReport, valuesOf } from './report.ts';
import {
  differenceOfRates,
  holm,
  type Interval,
  quantile,
  quantileDifference,
  quantileTest,
  rankTest,
  wilson,
} from './statistics.ts';

/** Chance is believed down to this probability, over all phases together. */
const SIGNIFICANCE = 0.05;
/** Fewer values a side say nothing about a p95. */
const LEAST_FOR_P95 = 20;
/** A clock tick is no regression, whatever its share. */
const LEAST_MS = 1;

export type Verdict = 'slower' | 'faster' | 'within chance' | 'too few runs';

export interface Change {
  readonly before: number;
  readonly after: number;
  readonly difference: number;
  /** Holds the true difference in 95 of 100 such pairs of reports (bootstrap). */
  readonly interval: Interval;
  /** That chance alone makes such a difference, corrected for all that is tested; null when there are too few runs. */
  readonly probability: number | null;
  readonly verdict: Verdict;
}

export interface PhaseChange {
  readonly phase: PhaseId;
  readonly title: string;
  readonly counts: readonly [before: number, after: number];
  readonly median: Change | null;
  readonly p95: Change | null;
}

export interface Comparison {
  readonly threshold: number;
  /** Differences in what the two were made on: with these a change need not be the program's. */
  readonly circumstances: readonly string[];
  readonly success: {
    readonly before: { readonly succeeded: number; readonly tried: number; readonly interval: Interval };
    readonly after: { readonly succeeded: number; readonly tried: number; readonly interval: Interval };
    /** Of the difference after − before (Newcombe). */
    readonly difference: Interval;
    readonly verdict: 'worse' | 'better' | 'within chance' | 'too few runs';
  };
  readonly phases: readonly PhaseChange[];
  /** In words; empty when there is none. */
  readonly regressions: readonly string[];
}

/** @param threshold share of the former value, 0.2 for 20 % */
export function compareReports(before: HilReport, after: HilReport, threshold: number): Comparison {
  const samples = PHASES.map(({ id }) => [valuesOf(before, id), valuesOf(after, id)] as const);
  // Everything that is tested counts: else one of twenty tests would raise an alarm by chance.
  const probabilities = holm([
    ...samples.map(([a, b]) => rankTest(a, b)),
    ...samples.map(([a, b]) => quantileTest(a, b, 0.95, LEAST_FOR_P95)),
  ]);
  const phases = PHASES.map(({ id, title }, i): PhaseChange => {
    const [a, b] = samples[i] ?? [[], []];
    const change = (share: number, probability: number | null | undefined): Change | null =>
      a.length === 0 || b.length === 0 ? null : changeOf(a, b, share, probability ?? null);
    return {
      ...{ phase: id, title, counts: [a.length, b.length] },
      median: change(0.5, probabilities[i]),
      p95: change(0.95, probabilities[PHASES.length + i]),
    };
  });
  const success = successChange(before, after);
  return {
    threshold,
    circumstances: circumstancesOf(before, after),
    success,
    phases,
    regressions: regressionsOf(phases, success, threshold),
  };
}

function changeOf(
  a: readonly number[],
  b: readonly number[],
  share: number,
  probability: number | null,
): Change {
  const [before, after] = [quantile(a, share), quantile(b, share)];
  const difference = after - before;
  const chance = probability !== null && (probability >= SIGNIFICANCE || difference === 0);
  const verdict = chance ? 'within chance' : difference > 0 ? 'slower' : 'faster';
  return {
    ...{ before, after, difference, interval: quantileDifference(a, b, share), probability },
    verdict: probability === null ? 'too few runs' : verdict,
  };
}

function successChange(before: HilReport, after: HilReport): Comparison['success'] {
  const count = ({ runs }: HilReport): [number, number] => [runs.filter(({ ok }) => ok).length, runs.length];
  const [a, b] = [count(before), count(after)];
  const difference = differenceOfRates(a, b);
  const [low, high] = difference;
  const few = a[1] < 5 || b[1] < 5;
  const verdict = few ? 'too few runs' : high < 0 ? 'worse' : low > 0 ? 'better' : 'within chance';
  const side = ([succeeded, tried]: [number, number]) => ({
    ...{ succeeded, tried },
    interval: wilson(succeeded, tried),
  });
  return { before: side(a), after: side(b), difference, verdict };
}

function regressionsOf(
  phases: readonly PhaseChange[],
  success: Comparison['success'],
  threshold: number,
): string[] {
  const found: string[] = [];
  if (success.verdict === 'worse') {
    const { before, after } = success;
    found.push(
      `success rate: ${before.succeeded} of ${before.tried} → ${after.succeeded} of ${after.tried} runs`,
    );
  }
  for (const { title, median: middle, p95: tail } of phases) {
    for (const [name, change] of [
      ['median', middle],
      ['p95', tail],
    ] as const) {
      if (change?.verdict !== 'slower') continue;
      const { before, after, difference } = change;
      if (difference > Math.max(threshold * before, LEAST_MS))
        found.push(`${title}: ${name} ${before.toFixed(1)} → ${after.toFixed(1)} ms`);
    }
  }
  return found;
}

function circumstancesOf(before: HilReport, after: HilReport): string[] {
  const found: string[] = [];
  const differ = (what: string, a: unknown, b: unknown): void => {
    if (JSON.stringify(a) !== JSON.stringify(b)) found.push(`${what}: ${say(a)} → ${say(b)}`);
  };
  differ('program', before.program.build, after.program.build);
  for (const [name, a, b] of [
    ['gateway', before.gateway, after.gateway],
    ['PNE', before.pnes[0], after.pnes[0]],
  ] as const) {
    differ(`${name}: host`, a?.host.host, b?.host.host);
    differ(`${name}: kernel`, a?.host.kernel, b?.host.kernel);
    differ(`${name}: Node`, a?.host.node, b?.host.node);
    differ(`${name}: adapter`, a?.adapter, b?.adapter);
    differ(`${name}: started as`, a?.over, b?.over);
  }
  return found;
}

const say = (value: unknown): string => {
  if (typeof value === 'object' && value !== null)
    return Object.values(value)
      .filter((part) => part !== null)
      .map(say)
      .join(' ');
  return String(value ?? 'unknown');
};
