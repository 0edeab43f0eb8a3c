/**
 * The soak as people and programs read it: what a run hands over, the verdict on growth in words, text for a terminal and
 * JSON. The page is soak-page.ts. Must not run anything.
 */
import { type Curve, describeGrowth, type Growth } from './growth.ts';

/** Something that must not be. */
export interface Finding {
  readonly atMs: number;
  readonly kind: 'safety' | 'convergence' | 'death' | 'data' | 'audit' | 'growth';
  readonly what: string;
}

export interface Tally {
  readonly name: string;
  /** What it did came to its end. */
  done: number;
  /** It was cut short by a fault, or there was nothing it could be done to. */
  vain: number;
}

/** One span without faults. */
export interface Quiet {
  readonly atMs: number;
  /** From the end of the faults until everybody had converged; absent when it did not come to that in time. */
  readonly convergedMs?: number;
  readonly members: number;
  /** PNEs whose owner said no, and that are in nothing. */
  readonly refused: number;
  /** Longest until application data had come through both ways at every member. */
  readonly dataMs?: number;
}

export interface SoakReport {
  readonly seed: number;
  readonly minutes: number;
  readonly pnes: number;
  /** ISO 8601, UTC. */
  readonly startedAt: string;
  readonly tookMs: number;
  /** Such as `Node 20.20.2, linux x64`. */
  readonly platform: string;
  readonly interrupted: boolean;
  readonly operations: readonly Tally[];
  readonly faults: readonly Tally[];
  /** When each was begun, milliseconds since the start. */
  readonly operationsAtMs: readonly number[];
  readonly faultsAtMs: readonly number[];
  readonly quiets: readonly Quiet[];
  readonly findings: readonly Finding[];
  readonly joins: { readonly signed: number; readonly registered: number; readonly refused: number };
  readonly journalEntries: number;
  readonly growth: readonly Growth[];
  readonly curves: readonly Curve[];
}

export const passed = ({ findings }: SoakReport): boolean => findings.length === 0;

const total = (tallies: readonly Tally[]): number => tallies.reduce((sum, { done }) => sum + done, 0);
export const doneOf = total;
export const vainOf = (tallies: readonly Tally[]): number => tallies.reduce((sum, { vain }) => sum + vain, 0);

export const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

export function duration(ms: number): string {
  const whole = Math.round(ms / 1000);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

/** Least, middle and most of the quiet spans' times; nothing when none converged. */
export function convergence({ quiets }: SoakReport) {
  const times = quiets.flatMap(({ convergedMs }) => convergedMs ?? []).sort((a, b) => a - b);
  const [min, max, median] = [times[0], times.at(-1), times[times.length >> 1]];
  if (min === undefined || max === undefined || median === undefined) return undefined;
  return { min, median, max };
}

export function headline(report: SoakReport): string {
  const { findings, growth } = report;
  const short = report.interrupted ? ', interrupted' : '';
  if (findings.length > 0)
    return `${findings.length} ${findings.length === 1 ? 'violation' : 'violations'}${short}`;
  return growth.some(({ verdict }) => verdict === 'steady')
    ? `no violation, no growth${short}`
    : `no violation${short}`;
}

/** What a run comes to, a line a fact: name and words. */
export function facts(report: SoakReport): readonly (readonly [string, string])[] {
  const { operations, faults, quiets, joins, growth } = report;
  const times = convergence(report);
  const held = quiets.filter(({ convergedMs }) => convergedMs !== undefined).length;
  const judged = growth.filter(({ verdict }) => verdict !== 'short').length;
  return [
    ['length', `${duration(report.tookMs)}, ${report.pnes} PNEs, seed ${report.seed}`],
    ['operations', `${total(operations)} done, ${vainOf(operations)} cut short by faults`],
    ['faults', `${total(faults)} injected`],
    [
      'joins',
      `${joins.signed} signed by PNEs, ${joins.registered} registered, ${joins.refused} refused by the server or an owner`,
    ],
    ['safety', `S1–S5 after each of ${report.journalEntries} commits and signatures`],
    [
      'quiet spans',
      `${held} of ${quiets.length} converged${times ? `, after ${seconds(times.min)} / ${seconds(times.median)} / ${seconds(times.max)} (least, middle, most)` : ''}`,
    ],
    ['growth', `${judged} lives of processes judged, ${growth.length - judged} too short for it`],
    ['violations', `${report.findings.length}`],
  ];
}

const row = (cells: readonly string[], widths: readonly number[]): string =>
  cells
    .map((cell, i) => cell.padEnd(widths[i] ?? 0))
    .join('  ')
    .trimEnd();

export function soakText(report: SoakReport): string {
  const lines = [`Soak: ${headline(report)}`, ''];
  for (const fact of facts(report)) lines.push(row(fact, [12]));
  for (const [title, tallies] of [
    ['operations', report.operations],
    ['faults', report.faults],
  ] as const) {
    lines.push('', row([title, 'done', 'in vain'], [26, 6]));
    for (const { name, done, vain } of tallies) lines.push(row([`  ${name}`, `${done}`, `${vain}`], [26, 6]));
  }
  const judged = report.growth.filter(({ verdict }) => verdict !== 'short');
  if (judged.length > 0) lines.push('', 'growth of a process that was not restarted');
  for (const growth of judged) lines.push(`  ${describeGrowth(growth)}`);
  if (report.findings.length > 0) lines.push('', 'violations');
  for (const { atMs, kind, what } of report.findings) lines.push(`  ${seconds(atMs)} ${kind}: ${what}`);
  return `${lines.join('\n')}\n`;
}

export const soakJson = (report: SoakReport): string => `${JSON.stringify(report, undefined, 1)}\n`;
