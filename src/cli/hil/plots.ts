/**
 * The drawings of the report, as SVG that needs nothing else: values run by run with their distribution beside them, and
 * where the time of a run goes. Owns places and scales; colours are the page's classes.
 */

/** Text as it may stand in HTML, attributes included. */
export const text = (value: unknown): string =>
  String(value).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);

export interface Series {
  /** For whoever does not see it. */
  readonly label: string;
  readonly unit: string;
  readonly values: readonly { readonly run: number; readonly value: number }[];
  /** Runs that failed in this phase. */
  readonly failed: readonly number[];
  /** How many runs there were. */
  readonly runs: number;
  readonly median: number;
  readonly p95: number;
  /** A line that is not to be crossed. */
  readonly bar?: number | undefined;
}

const [WIDTH, HEIGHT] = [560, 170];
const [LEFT, RIGHT, TOP, BOTTOM] = [52, 62, 12, 22];
const HISTOGRAM_WIDTH = 92;
const GAP = 10;
const PLOT_RIGHT = WIDTH - RIGHT - HISTOGRAM_WIDTH - GAP;
const BINS = 16;

const round = (value: number): number => Math.round(value * 10) / 10;

/** A round number not below it. */
function ceiling(value: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1e-3)));
  return ([1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10].find((step) => step * power >= value * 0.999) ?? 10) * power;
}

/** A span of round numbers around values that may be negative. */
function spanOf(values: readonly number[]): readonly [number, number] {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  if (least >= 0) return [0, ceiling(most)];
  return [Math.floor((least - 1) / 10) * 10, Math.ceil((most + 1) / 10) * 10];
}

export const figureText = (value: number): string => {
  const size = Math.abs(value);
  return size >= 100 || Number.isInteger(value)
    ? String(Math.round(value))
    : value.toFixed(size < 10 ? 1 : 0);
};

/** Every run a dot, median and p95 as lines, the distribution at the side. */
export function runsPlot(series: Series): string {
  const { values, failed, runs, median, p95, bar, label, unit } = series;
  const all = values.map(({ value }) => value);
  const [low, high] = spanOf(bar !== undefined && bar < 2 * Math.max(...all, 0) ? [...all, bar] : all);
  const x = (run: number): number => round(LEFT + ((run - 0.5) * (PLOT_RIGHT - LEFT)) / Math.max(runs, 1));
  const y = (value: number): number =>
    round(HEIGHT - BOTTOM - ((HEIGHT - TOP - BOTTOM) * (value - low)) / Math.max(high - low, 1e-9));
  const radius = runs > 150 ? 1.6 : 2.4;
  const dots = values.map(
    ({ run, value }) =>
      `<circle class="dot" cx="${x(run)}" cy="${y(value)}" r="${radius}"><title>${text(`run ${run}: ${figureText(value)} ${unit}`)}</title></circle>`,
  );
  const crosses = failed.map((run) => {
    const [cx, cy] = [x(run), TOP + 5];
    return `<path class="cross" d="M${round(cx - 4)} ${cy - 4}l8 8m0-8l-8 8"><title>${text(`run ${run} failed here`)}</title></path>`;
  });
  const line = (value: number, name: string, words: string): string =>
    `<line class="${name}" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(value)}" y2="${y(value)}"/>${words ? `<text class="at" x="${WIDTH - RIGHT + 4}" y="${y(value) + 4}">${text(words)}</text>` : ''}`;
  // Two labels on one spot can't be read: the p95's goes when it comes too near.
  const apart = Math.abs(y(median) - y(p95)) >= 11;
  const lines =
    values.length === 0
      ? ''
      : line(p95, 'p95', apart ? `p95 ${figureText(p95)}` : '') + line(median, 'median', figureText(median));
  const barLine = bar !== undefined && bar <= high ? line(bar, 'bar', '') : '';
  return `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${text(`${label}, ${unit}: median ${figureText(median)}, p95 ${figureText(p95)}`)}">${grid(low, high, y)}${barLine}${histogram(all, low, high, y)}${lines}${dots.join('')}${crosses.join('')}${runAxis(runs, x)}</svg>`;
}

function grid(low: number, high: number, y: (value: number) => number): string {
  return [0, 0.25, 0.5, 0.75, 1]
    .map((share) => {
      const value = low + share * (high - low);
      const words = share * 2 === Math.round(share * 2) ? figureText(value) : '';
      return `<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(value)}" y2="${y(value)}"/><text x="${LEFT - 6}" y="${y(value) + 4}" text-anchor="end">${text(words)}</text>`;
    })
    .join('');
}

function runAxis(runs: number, x: (run: number) => number): string {
  const ends = [...new Set([1, Math.round(runs / 2), runs])].filter((run) => run >= 1);
  const ticks = ends.map(
    (run) => `<text x="${x(run)}" y="${HEIGHT - 5}" text-anchor="middle">${run === 1 ? 'run 1' : run}</text>`,
  );
  const middle = round(WIDTH - RIGHT - HISTOGRAM_WIDTH / 2);
  return `${ticks.join('')}<text x="${middle}" y="${HEIGHT - 5}" text-anchor="middle">distribution</text>`;
}

function histogram(
  values: readonly number[],
  low: number,
  high: number,
  y: (value: number) => number,
): string {
  const counts = Array.from({ length: BINS }, () => 0);
  for (const value of values) {
    const bin = Math.min(
      BINS - 1,
      Math.max(0, Math.floor((BINS * (value - low)) / Math.max(high - low, 1e-9))),
    );
    counts[bin] = (counts[bin] ?? 0) + 1;
  }
  const most = Math.max(...counts, 1);
  const from = PLOT_RIGHT + GAP;
  return counts
    .map((count, bin) => {
      if (count === 0) return '';
      const [top, foot] = [low + ((bin + 1) * (high - low)) / BINS, low + (bin * (high - low)) / BINS].map(
        y,
      ) as [number, number];
      return `<rect class="bin" x="${from}" y="${round(top + 0.5)}" width="${round((HISTOGRAM_WIDTH * count) / most)}" height="${round(foot - top - 1)}"/>`;
    })
    .join('');
}

/** Where the time goes: one bar, a piece for each part, as long as its median. */
export function shareBar(parts: readonly { readonly title: string; readonly value: number }[]): string {
  const whole = parts.reduce((sum, { value }) => sum + value, 0);
  if (whole <= 0) return '';
  const [width, height] = [1120, 58];
  let at = 0;
  const pieces = parts.map(({ title, value }, i) => {
    const from = at;
    at += (width * value) / whole;
    const size = at - from;
    const words = `${title} ${figureText(value)} ms`;
    const fits = size > 7 * words.length + 8;
    const short = size > 7 * title.length + 8;
    const label = fits || short ? (fits ? words : title) : '';
    return `<g class="piece p${i % 5}"><title>${text(words)}</title><rect x="${round(from)}" y="6" width="${round(Math.max(1, size - 1.5))}" height="34" rx="2"/>${label ? `<text x="${round(from + 7)}" y="28">${text(label)}</text>` : ''}</g>`;
  });
  return `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${text(parts.map(({ title, value }) => `${title} ${figureText(value)} ms`).join(', '))}">${pieces.join('')}<text x="0" y="56">0</text><text x="${width}" y="56" text-anchor="end">${text(`${figureText(whole)} ms`)}</text></svg>`;
}
