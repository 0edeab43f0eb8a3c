/**
 * What every benchmark reports and how it is shown: rows with targets, as markdown and as JSON. Measures nothing.
 */
import { cpus } from 'node:os';

export interface BenchRow {
  readonly what: string;
  readonly unit: string;
  /** The figure: a median where there were several runs. */
  readonly value: number;
  readonly least?: number;
  readonly most?: number;
  readonly runs?: number;
  /** What is aimed at, and whether the figure meets it. */
  readonly target?: string;
  readonly met?: boolean;
}

export interface BenchSection {
  readonly name: string;
  readonly title: string;
  /** How it was measured and counted. */
  readonly notes: readonly string[];
  /** A table of its own kind, where rows would not do. */
  readonly table?: { readonly heads: readonly string[]; readonly lines: readonly (readonly string[])[] };
  readonly rows: readonly BenchRow[];
  /** The table shows the rows already. */
  readonly rowsInTable?: boolean;
}

export interface BenchReport {
  readonly date: string;
  readonly node: string;
  readonly cores: number;
  readonly cpu: string;
  readonly quick: boolean;
  /** On adapters of a kernel, or on the virtual radio alone. */
  readonly kernel: string | undefined;
  readonly sections: readonly BenchSection[];
}

/** @param kernel its release, where the parties had adapters of a kernel */
export function reportOf(sections: readonly BenchSection[], quick: boolean, kernel?: string): BenchReport {
  const all = cpus();
  return {
    date: new Date().toISOString().slice(0, 10),
    node: process.version,
    cores: all.length,
    cpu: all[0]?.model.trim() || 'unknown',
    quick,
    kernel,
    sections,
  };
}

export function missedOf({ sections }: Pick<BenchReport, 'sections'>): readonly BenchRow[] {
  return sections.flatMap(({ rows }) => rows.filter(({ met }) => met === false));
}

export function toMarkdown(report: BenchReport): string {
  const { date, node, cores, cpu, quick, kernel, sections } = report;
  const targets = sections.flatMap(({ rows }) => rows.filter(({ met }) => met !== undefined));
  const missed = missedOf(report);
  const lines = [
    '# Benchmark',
    '',
    `Measured on ${date} with Node ${node} on ${cores} cores (${cpu})${quick ? ', in a quick run: figures are rough' : ''}.`,
    ...(kernel === undefined
      ? [
          'Real noble and real bleno over a **virtual radio**: no figure here is of a radio in the air. Figures are medians;',
          'ratios compare what ran in the same run. Repeat with `npm run bench`.',
        ]
      : [
          `Real noble and real bleno on adapters of Linux ${kernel}, in an **emulated machine**, with a **virtual radio** behind them:`,
          'no figure here is of a radio in the air, and each is several times what hardware would need. Figures are medians;',
          'ratios compare what ran in the same run. Repeat with `scripts/guest/bench`.',
        ]),
    '',
    ...(targets.length > 0 ? [`${targets.length - missed.length} of ${targets.length} targets met.`] : []),
    ...missed.map(
      ({ what, value, unit, target }) => `- missed: ${what}: ${figure(value, unit)}, target ${target}`,
    ),
  ];
  for (const section of sections) lines.push('', ...sectionLines(section));
  return `${lines.join('\n')}\n`;
}

function sectionLines({ title, notes, table: own, rows, rowsInTable }: BenchSection): string[] {
  const lines = [`## ${title}`, '', ...notes.flatMap((note) => [`- ${note}`])];
  if (own) lines.push('', ...table(own.heads, own.lines));
  if (rows.length > 0 && !rowsInTable)
    lines.push('', ...table(['what', 'figure', 'range', 'runs', 'target', 'met'], rows.map(cells)));
  return lines;
}

function cells({ what, unit, value, least, most, runs, target, met }: BenchRow): string[] {
  const range = least === undefined || most === undefined ? '' : `${figure(least)} – ${figure(most)}`;
  const verdict = met === undefined ? '' : met ? 'yes' : '**no**';
  return [what, figure(value, unit), range, runs === undefined ? '' : String(runs), target ?? '', verdict];
}

function table(heads: readonly string[], lines: readonly (readonly string[])[]): string[] {
  const row = (fields: readonly string[]) => `| ${fields.join(' | ')} |`;
  return [row(heads), row(heads.map(() => '---')), ...lines.map(row)];
}

/** Four significant digits, and no more than three places. */
export function figure(value: number, unit = ''): string {
  const places = Math.abs(value) >= 1000 ? 0 : Math.abs(value) >= 100 ? 1 : Math.abs(value) >= 10 ? 2 : 3;
  const text = Number.isInteger(value) ? String(value) : value.toFixed(places);
  return unit === '' ? text : `${text} ${unit}`;
}
