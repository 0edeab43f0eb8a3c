/**
 * The link's throughput as a section of the report: one line for each measure, a column for each radio. The measuring is
 * in link-throughput.ts.
 */
import { type LinkThroughputOptions, type LinkThroughputRow, runLinkThroughput } from './link-throughput.ts';
import { type BenchRow, type BenchSection, figure } from './report.ts';

const PACKETS = [3, 6, 12];

export async function benchLink(options: LinkThroughputOptions = {}): Promise<BenchSection> {
  return linkSection(
    await runLinkThroughput({ packetsPerEvent: PACKETS, ...options }),
    options.intervalMs ?? 7.5,
  );
}

export function linkSection(measured: readonly LinkThroughputRow[], intervalMs: number): BenchSection {
  const packets = [...new Set(measured.map(({ packetsPerEvent }) => packetsPerEvent))];
  const lines = new Map<string, string[]>();
  for (const row of measured) {
    const key = `${row.what}|${row.direction}`;
    const line = lines.get(key) ?? [row.what, row.direction, row.target ?? ''];
    lines.set(key, line);
    line[3 + packets.indexOf(row.packetsPerEvent)] = cell(row);
  }
  return {
    name: 'link',
    title: 'Link throughput',
    notes: [
      `Segments of 244 bytes, connection interval ${intervalMs} ms, record protection on; both ends and the radio are processes of their own. Up is central to peripheral.`,
      'Ratios are to a raw flood of write-without-response (up) or notifications (down) in the same run; CPU is that of the process, its idle CPU taken off, against the raw flood with AES-GCM of the same bytes.',
      'In brackets least and most of the runs.',
    ],
    table: {
      heads: ['what', 'way', 'target', ...packets.map((count) => `${count} packets per event`)],
      lines: [...lines.values()],
    },
    rows: measured.map(rowOf),
    rowsInTable: true,
  };
}

function cell({ median, least, most, met }: LinkThroughputRow): string {
  const verdict = met === undefined ? '' : met ? ', met' : ', **missed**';
  return `${figure(median)} (${figure(least)} – ${figure(most)})${verdict}`;
}

function rowOf({
  packetsPerEvent,
  what,
  direction,
  median,
  least,
  most,
  runs,
  ...verdict
}: LinkThroughputRow): BenchRow {
  const way = direction === '-' ? '' : `, ${direction}`;
  const { target, met } = verdict;
  return {
    ...{
      what: `${what}${way}, ${packetsPerEvent} packets per event`,
      unit: '',
      value: median,
      least,
      most,
      runs,
    },
    ...(target !== undefined && { target }),
    ...(met !== undefined && { met }),
  };
}
