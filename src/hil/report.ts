/**
 * The report of a run: what it was made on, what each run came to, and what follows from them. Owns the form that is kept
 * and compared (JSON), its reading, and the figures derived from it; how it looks is src/cli/hil's.
 */
import * as v from 'valibot';
import { type Bar, barsOf } from './bars.ts';
import { PHASE_IDS, type PhaseId } from './phases.ts';
import { type Interval, type Summary, summarise, wilson } from './statistics.ts';
import { TRANSFER_BYTES } from './transfer.ts';

const text = v.pipe(v.string(), v.maxLength(4096));
const number = v.pipe(v.number(), v.finite());
const count = v.pipe(number, v.integer(), v.minValue(0));
const orNull = <T extends v.GenericSchema>(schema: T) => v.nullable(schema);

export const Program = v.object({ name: text, version: text, build: text });
export const Host = v.object({
  host: text,
  kernel: text,
  kernelBuild: text,
  model: orNull(text),
  cpu: orNull(text),
  node: text,
});
export const Adapter = v.object({
  moniker: text,
  address: orNull(text),
  bus: orNull(text),
  usb: orNull(text),
  product: orNull(text),
  driver: orNull(text),
  profile: text,
  channel: orNull(v.picklist(['user', 'raw'])),
  controller: orNull(
    v.object({
      version: count,
      revision: count,
      lmpVersion: count,
      manufacturer: count,
      lmpSubversion: count,
    }),
  ),
});
const Side = v.object({
  host: Host,
  adapter: Adapter,
  /** How its process was started: `this process`, `child process`, or `ssh user@host`. */
  over: text,
});

const Radio = v.object({
  intervalMs: number,
  supervisionMs: number,
  mtu: orNull(count),
  packetBytes: orNull(count),
});

const Failure = v.object({
  phase: v.picklist(['start', ...PHASE_IDS]),
  status: text,
  reason: text,
  /** Names in the directory of what was kept. */
  files: v.array(text),
});

const Run = v.object({
  number: count,
  startedAt: text,
  ok: v.boolean(),
  /** Milliseconds of each phase that was gone through. */
  phases: v.record(v.picklist(PHASE_IDS), number),
  /** LE Create Connection commands until there was a link with subscription, or until it was given up; null before. */
  tries: orNull(count),
  triesAgain: orNull(count),
  /** Median dBm of the PNE's advertisements as the gateway's controller heard them. */
  rssi: orNull(number),
  heard: count,
  radio: orNull(Radio),
  failure: orNull(Failure),
});

const Report = v.object({
  report: v.literal('cpns-hil'),
  version: v.literal(1),
  program: Program,
  startedAt: text,
  tookMs: number,
  planned: count,
  ended: v.picklist(['complete', 'interrupted', 'stopped']),
  /** What stopped it. */
  because: orNull(text),
  gateway: Side,
  pnes: v.array(Side),
  /** How far off the PNE's clock may be read, at most, in milliseconds: half of the shortest round trip. */
  clockUncertaintyMs: number,
  /** Five links at once: how many PNEs there were, how many had a live link at one time; null when it was not tried. */
  links: orNull(v.object({ pnes: count, live: count })),
  runs: v.array(Run),
});

export type HilReport = v.InferOutput<typeof Report>;
export type RunRecord = HilReport['runs'][number];
export type SideRecord = HilReport['gateway'];

/** The file is no report. */
export class HilReportError extends Error {
  override readonly name = 'HilReportError';
}

/** Reads what {@link reportJson} wrote. @throws HilReportError saying what is wrong with it */
export function parseReport(json: string): HilReport {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    throw new HilReportError('not JSON');
  }
  const result = v.safeParse(Report, value);
  if (result.success) return result.output;
  const [issue] = result.issues;
  const path = v.getDotPath(issue);
  throw new HilReportError(`no report of \`cpns hil run --json\`${path ? ` (at ${path})` : ''}`);
}

export interface Figures {
  /** Runs that went through every phase. */
  readonly succeeded: number;
  readonly tried: number;
  readonly rate: Interval;
  readonly phases: Readonly<Record<PhaseId, Summary | null>>;
  readonly kilobytesPerSecond: { readonly toPne: Summary | null; readonly fromPne: Summary | null };
  readonly rssi: Summary | null;
  readonly bars: readonly Bar[];
  /** Every bar that could be tested is met, and nothing was cut short. */
  readonly accepted: boolean;
}

export const valuesOf = ({ runs }: Pick<HilReport, 'runs'>, phase: PhaseId): readonly number[] =>
  runs.flatMap(({ phases }) => phases[phase] ?? []);

export function figuresOf(report: HilReport): Figures {
  const { runs } = report;
  const succeeded = runs.filter(({ ok }) => ok).length;
  const rates = (phase: PhaseId) => summarise(valuesOf(report, phase).map((ms) => TRANSFER_BYTES / ms));
  const bars = barsOf(report);
  return {
    succeeded,
    tried: runs.length,
    rate: wilson(succeeded, runs.length),
    phases: Object.fromEntries(
      PHASE_IDS.map((id) => [id, summarise(valuesOf(report, id))]),
    ) as Figures['phases'],
    kilobytesPerSecond: { toPne: rates('to-pne'), fromPne: rates('from-pne') },
    rssi: summarise(runs.flatMap(({ rssi }) => rssi ?? [])),
    bars,
    accepted: report.ended === 'complete' && bars.every(({ verdict }) => verdict !== 'missed'),
  };
}

/** The report with its figures beside it, which a reader of it computes anew. */
export function reportWithFigures(report: HilReport): HilReport & { readonly figures: Figures } {
  return { ...report, figures: figuresOf(report) };
}
