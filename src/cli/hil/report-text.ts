/**
 * The report of a hardware run as a person reads it in a terminal: bars, phases, failures, and what it was made on.
 */

import { PHASES } from '../../hil/phases.ts';
import type { HilReport, SideRecord } from '../../hil/report.ts';
import { figuresOf } from '../../hil/report.ts';
import type { Interval, Summary } from '../../hil/statistics.ts';
import { inert, table } from '../output.ts';

export const ms = (value: number | undefined): string => {
  if (value === undefined) return '-';
  return value < 10 ? value.toFixed(1) : String(Math.round(value));
};

export const percent = (share: number): string => `${(100 * share).toFixed(1).replace(/\.0$/, '')} %`;

export const range = ([low, high]: Interval): string => `${percent(low)} to ${percent(high)}`;

const cells = (summary: Summary | null, show: (value: number) => string): string[] =>
  summary === null
    ? ['0', '-', '-', '-', '-']
    : [String(summary.count), ...[summary.min, summary.median, summary.p95, summary.max].map(show)];

export function reportText(report: HilReport, kept: string | undefined): string {
  const figures = figuresOf(report);
  const { succeeded, tried, rate, phases, kilobytesPerSecond, rssi, bars } = figures;
  const kBps = (value: number): string => value.toFixed(1);
  const rows = [
    ...PHASES.map(({ id, title }) => [`${title}, ms`, ...cells(phases[id], ms)]),
    ['to the PNE, kB/s', ...cells(kilobytesPerSecond.toPne, kBps)],
    ['from the PNE, kB/s', ...cells(kilobytesPerSecond.fromPne, kBps)],
    ['advertisements heard at, dBm', ...cells(rssi, (value) => String(Math.round(value)))],
  ];
  const lines = [
    `${succeeded} of ${tried} runs went through every phase: ${tried > 0 ? percent(succeeded / tried) : '-'} (95 % interval ${range(rate)})`,
    ...(report.ended === 'complete' ? [] : [endedText(report)]),
    '',
    table(['phase', 'n', 'min', 'median', 'p95', 'max'], rows),
    '',
    table(
      ['bar', 'target', 'measured', 'verdict'],
      bars.map(({ what, target, measured, verdict }) => [what, target, measured, verdict]),
    ),
    ...failures(report, kept),
    '',
    ...sides(report),
  ];
  return lines.map((line) => line.split('\n').map(inert).join('\n')).join('\n');
}

export function endedText({ ended, because, runs, planned }: HilReport): string {
  const why = ended === 'interrupted' ? 'interrupted' : `stopped: ${because ?? 'unknown'}`;
  return `${why}, after ${runs.length} of ${planned} runs`;
}

function failures({ runs }: HilReport, kept: string | undefined): string[] {
  const failed = runs.flatMap(({ number, failure }) => (failure ? [{ number, ...failure }] : []));
  if (failed.length === 0) return [];
  const where = kept === undefined ? [] : [`kept in ${kept}`];
  return [
    '',
    ...failed.map(({ number, phase, reason, files }) =>
      [`run ${number} failed in ${phase}: ${reason}`, ...files.map((file) => `    ${file}`)].join('\n'),
    ),
    ...where,
  ];
}

function sides({ gateway, pnes, program, clockUncertaintyMs, startedAt, tookMs }: HilReport): string[] {
  const [first] = pnes;
  return [
    ...sideLines('gateway', gateway),
    ...pnes.flatMap((side, i) => sideLines(pnes.length > 1 ? `PNE ${i + 1}` : 'PNE', side)),
    `${program.name} ${program.version}, build ${program.build}; ${startedAt.slice(0, 19).replace('T', ' ')} UTC, ${Math.round(tookMs / 1000)} s`,
    ...(first ? [`instants of the PNE are known to ± ${clockUncertaintyMs.toFixed(2)} ms`] : []),
  ];
}

/** What is known of an adapter, in one line. */
export function adapterText({ adapter }: SideRecord): string {
  const { moniker, bus, usb, product, driver, address, controller, profile, channel } = adapter;
  const hci =
    controller &&
    `HCI version ${controller.version}, revision 0x${controller.revision.toString(16)}, manufacturer ${controller.manufacturer}, LMP subversion 0x${controller.lmpSubversion.toString(16)}`;
  const parts = [moniker, product, usb && `USB ${usb}`, bus !== null && `on ${bus}`, driver, address, hci];
  return [...parts, channel && `${channel} channel`, `profile ${profile}`].filter(Boolean).join(', ');
}

export function hostText({ host }: SideRecord): string {
  return [host.host, host.model, host.cpu, host.kernel, host.kernelBuild, `Node ${host.node}`]
    .filter(Boolean)
    .join(', ');
}

function sideLines(name: string, side: SideRecord): string[] {
  return [`${name}: ${adapterText(side)}`, `  ${side.over} on ${hostText(side)}`];
}
