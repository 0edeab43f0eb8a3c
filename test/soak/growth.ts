/**
 * Memory and handles of processes over time: samples, and the verdict on each life of a process whether it grows. Pure.
 * A life is judged by a straight line through its samples of the quiet spans, when every process is in the same state and
 * its heap has just been collected; the first quarter is left out, since code is still compiled and caches fill then. What
 * is done for the first time later (a home gateway pairs, and from then on scans) loads code once, so a line has to rise
 * through its later half too.
 */

export interface Sample {
  readonly atMs: number;
  readonly pid: number;
  readonly rss: number;
  /** Open descriptors. */
  readonly files: number;
  /** Of a quiet span: bytes in use after a collection, and what keeps libuv busy. */
  readonly heap?: number;
  readonly handles?: number;
}

export interface Curve {
  readonly process: string;
  readonly samples: readonly Sample[];
}

type Quantity = 'heap' | 'rss' | 'files' | 'handles';

export interface Line {
  readonly quantity: Quantity;
  /** At the ends of the line. */
  readonly from: number;
  readonly to: number;
  readonly perHour: number;
  /** How much more than `from` is let pass; half of it in the later half. */
  readonly allowed: number;
  readonly grows: boolean;
}

export interface Growth {
  readonly process: string;
  readonly pid: number;
  readonly fromMs: number;
  readonly toMs: number;
  readonly samples: number;
  readonly verdict: 'steady' | 'grows' | 'short';
  readonly lines: readonly Line[];
}

/** A line through fewer says nothing. */
const FEWEST_SAMPLES = 5;
const MIB = 1024 * 1024;
/**
 * What a line may rise over a life. Heap after a collection is exact but for caches: a tenth, or 2 MiB. Resident memory
 * holds what the allocators have not given back: a fifth, or 16 MiB. Descriptors and handles: whichever link, request or
 * timer is there at the instant; three more.
 */
const ALLOWED: Readonly<Record<Quantity, (from: number) => number>> = {
  heap: (from) => Math.max(from / 10, 2 * MIB),
  rss: (from) => Math.max(from / 5, 16 * MIB),
  files: () => 3,
  handles: () => 3,
};

/** The verdicts on all lives in a curve. */
export function growthOf({ process, samples }: Curve): readonly Growth[] {
  const lives = new Map<number, Sample[]>();
  for (const sample of samples) {
    if (sample.heap === undefined) continue;
    const life = lives.get(sample.pid);
    if (life) life.push(sample);
    else lives.set(sample.pid, [sample]);
  }
  return [...lives].map(([pid, life]) => judge(process, pid, life));
}

function judge(process: string, pid: number, life: readonly Sample[]): Growth {
  const [fromMs, toMs] = [life[0]?.atMs ?? 0, life.at(-1)?.atMs ?? 0];
  const late = life.filter(({ atMs }) => atMs >= fromMs + (toMs - fromMs) / 4);
  const name = { process, pid, fromMs, toMs, samples: late.length };
  if (late.length < FEWEST_SAMPLES) return { ...name, verdict: 'short', lines: [] };
  const lines = (['heap', 'rss', 'files', 'handles'] as const).map((quantity) => lineThrough(quantity, late));
  return { ...name, verdict: lines.some(({ grows }) => grows) ? 'grows' : 'steady', lines };
}

function lineThrough(quantity: Quantity, samples: readonly Sample[]): Line {
  const { from, to, slope } = leastSquares(quantity, samples);
  const later = leastSquares(quantity, samples.slice(samples.length >> 1));
  const allowed = ALLOWED[quantity](from);
  const grows = to - from > allowed && later.to - later.from > allowed / 2;
  return { quantity, from, to, perHour: slope * 3_600_000, allowed, grows };
}

function leastSquares(quantity: Quantity, samples: readonly Sample[]) {
  const points = samples.map((sample) => ({ x: sample.atMs, y: sample[quantity] ?? 0 }));
  const mean = (of: 'x' | 'y') => points.reduce((sum, point) => sum + point[of], 0) / points.length;
  const [middleX, middleY] = [mean('x'), mean('y')];
  const above = points.reduce((sum, { x, y }) => sum + (x - middleX) * (y - middleY), 0);
  const below = points.reduce((sum, { x }) => sum + (x - middleX) ** 2, 0);
  const slope = below === 0 ? 0 : above / below;
  const at = (x: number) => middleY + slope * (x - middleX);
  return { slope, from: at(points[0]?.x ?? 0), to: at(points.at(-1)?.x ?? 0) };
}

export const mib = (bytes: number): string => `${(bytes / MIB).toFixed(1)} MiB`;

/** One line for a person. */
export function describeGrowth({ process, fromMs, toMs, samples, lines }: Growth): string {
  const parts = lines.map(({ quantity, from, to, grows }) => {
    const show = quantity === 'heap' || quantity === 'rss' ? mib : (value: number) => value.toFixed(1);
    return `${quantity} ${show(from)} → ${show(to)}${grows ? ' GROWS' : ''}`;
  });
  return `${process} (${Math.round((toMs - fromMs) / 1000)} s, ${samples} samples): ${parts.join(', ')}`;
}
