/** The report of a run as a markdown table, as docs/fuzzing.md has it. Owns the columns. */
import type { TargetReport } from './engine.ts';

const COLUMNS = [
  'target',
  'runs',
  'runs/s',
  'corpus',
  'blocks, seeds alone',
  'blocks, end',
  'slowest ms (bytes)',
  'growth MiB',
  'finds',
];

export function markdownReport(
  reports: readonly TargetReport[],
  { seed, seconds }: { readonly seed: number; readonly seconds: number },
): string {
  const rows = reports.map((one) => [
    `\`${one.target}\``,
    one.runs,
    Math.round(one.runs / Math.max(one.seconds, 0.001)),
    one.corpus,
    one.blocksAtStart,
    one.blocksAtEnd,
    `${one.slowestMs.toFixed(1)} (${one.slowestBytes})`,
    (one.peakGrowthBytes / 1024 / 1024).toFixed(1),
    one.finds.length,
  ]);
  const runs = reports.reduce((sum, one) => sum + one.runs, 0);
  const finds = reports.flatMap((one) => one.finds.map(({ target, error }) => `- \`${target}\`: ${error}`));
  const date = new Date().toISOString().slice(0, 10);
  return [
    `${date}, ${(seconds / 60).toFixed(1)} minutes, Node ${process.version}, seed ${seed}: ${runs} runs, ${finds.length} finds.`,
    '',
    ...[COLUMNS, COLUMNS.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`),
    ...(finds.length > 0 ? ['', ...finds] : []),
  ].join('\n');
}
