/**
 * The two Bluetooth back-ends beside each other, by turns in one run: connecting, both flows, CPU, memory and several
 * centrals. The flows are those of link-throughput.ts.
 */
import { fileURLToPath } from 'node:url';
import { BACK_ENDS, type BackEnd, openVirtualRadio } from '../../src/bluetooth/open.ts';
import type { orders } from './back-end-party.ts';
import { Child, medianOf } from './child.ts';
import { runLinkThroughput } from './link-throughput.ts';
import { type BenchRow, type BenchSection, figure } from './report.ts';

export interface BackEndOptions {
  /** Runs of each back-end. Default 5. */
  readonly runs?: number;
  /** About how long each flow lasts, ms. Default 1,500. */
  readonly flowMs?: number;
  readonly onProgress?: (line: string) => void;
}

const INTERVAL_MS = 7.5;
const PACKETS_PER_EVENT = 6;
const SEGMENTS_PER_MS = PACKETS_PER_EVENT / INTERVAL_MS;
const CONNECTS = 10;
const CENTRALS = 3;
const SEVERAL_MS = 2000;
/** Of the link's flows: how they are called there and here. */
const FLOWS: Readonly<Record<string, string>> = {
  'raw 244-byte segments, kB/s|up': 'raw segments up, kB/s',
  'raw 244-byte segments, kB/s|down': 'raw segments down, kB/s',
  '16 KiB messages, ratio to raw|up': '16 KiB messages up, ratio to raw',
  '16 KiB messages, ratio to raw|down': '16 KiB messages down, ratio to raw',
  'CPU per 16 KiB at the central, µs|up': 'CPU per 16 KiB up at the central, µs',
  'CPU per 16 KiB at the peripheral, µs|up': 'CPU per 16 KiB up at the peripheral, µs',
  'CPU per 16 KiB at the central, µs|down': 'CPU per 16 KiB down at the central, µs',
  'CPU per 16 KiB at the peripheral, µs|down': 'CPU per 16 KiB down at the peripheral, µs',
};

type Figures = Map<string, number[]>;
type Party = Child<typeof orders>;

export async function benchBackEnds(options: BackEndOptions = {}): Promise<BenchSection> {
  const { runs = 5, flowMs = 1500, onProgress } = options;
  const figures: Record<BackEnd, Figures> = { abandonware: new Map(), stoprocent: new Map() };
  for (let run = 0; run < runs; run++) {
    // By turns and each first as often, so that neither has the quieter machine.
    for (const backEnd of run % 2 === 0 ? BACK_ENDS : BACK_ENDS.toReversed()) {
      onProgress?.(`${backEnd}, run ${run + 1} of ${runs}`);
      const add = (what: string, value: number): void => {
        const values = figures[backEnd].get(what) ?? [];
        figures[backEnd].set(what, values);
        values.push(value);
      };
      await connecting(backEnd, add);
      await severalCentrals(backEnd, add);
      const rows = await runLinkThroughput({
        ...{ runs: 1, packetsPerEvent: [PACKETS_PER_EVENT], intervalMs: INTERVAL_MS, flowMs, backEnd },
      });
      for (const { what, direction, median } of rows) {
        const name = FLOWS[`${what}|${direction}`];
        if (name !== undefined) add(name, median);
      }
    }
  }
  return sectionOf(figures);
}

type Add = (what: string, value: number) => void;

async function withParties(count: number, use: (moniker: string, parties: Party[]) => Promise<void>) {
  const radio = await openVirtualRadio({
    ...{ intervalMs: INTERVAL_MS, packetsPerEvent: PACKETS_PER_EVENT, aclBufferCount: 2 * PACKETS_PER_EVENT },
  });
  const suffix = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
  const file = fileURLToPath(new URL(`./back-end-party${suffix}`, import.meta.url));
  const parties = Array.from(
    { length: count },
    (_, i) =>
      new Child<typeof orders>(file, i === 0 ? 'peripheral' : `central ${i}`, undefined, ['--expose-gc']),
  );
  try {
    await use(radio.moniker, parties);
  } finally {
    await Promise.all(parties.map((party) => party.stop()));
    await radio.close();
  }
}

async function connecting(backEnd: BackEnd, add: Add): Promise<void> {
  await withParties(2, async (moniker, [peripheral, central]) => {
    if (peripheral === undefined || central === undefined) return;
    await peripheral.ask('openPeripheral', { moniker, backEnd });
    await central.ask('openCentral', { moniker, backEnd });
    const times: number[] = [];
    for (let i = 0; i < CONNECTS; i++) {
      times.push(await central.ask('connect'));
      if (i < CONNECTS - 1) await central.ask('hangUp');
    }
    add('connect to an open link, ms (median of 10)', medianOf(times));
    add('connect to an open link, ms (longest of 10)', Math.max(...times));
    const mib = (bytes: number) => bytes / 2 ** 20;
    add('memory of library and one link at the central, MiB', mib(await central.ask('resident')));
    add('memory of library and one link at the peripheral, MiB', mib(await peripheral.ask('resident')));
  });
}

/** As many centrals as the back-end takes of three; what each of them gets, together. */
async function severalCentrals(backEnd: BackEnd, add: Add): Promise<void> {
  await withParties(1 + CENTRALS, async (moniker, [peripheral, ...centrals]) => {
    if (peripheral === undefined) return;
    const links = await peripheral.ask('openPeripheral', { moniker, backEnd, maxLinks: CENTRALS });
    const linked = centrals.slice(0, links);
    for (const central of linked) {
      await central.ask('openCentral', { moniker, backEnd });
      await central.ask('connect');
    }
    const segments = Math.ceil(SEVERAL_MS * SEGMENTS_PER_MS);
    const receiving = linked.map((central) => central.ask('receive', segments));
    await peripheral.ask('sendToAll', { segments, perMs: SEGMENTS_PER_MS });
    const rates = await Promise.all(receiving);
    add('centrals linked at once, of 3', rates.length);
    add(
      'raw segments down to all of them, kB/s',
      rates.reduce((sum, rate) => sum + rate, 0),
    );
    add('raw segments down, the slowest of them, kB/s', Math.min(...rates));
  });
}

function sectionOf(figures: Readonly<Record<BackEnd, Figures>>): BenchSection {
  const names = [...figures.abandonware.keys()];
  const rows = BACK_ENDS.flatMap((backEnd) =>
    names.map((name): BenchRow => {
      const values = figures[backEnd].get(name) ?? [];
      return {
        ...{ what: `${name}, ${backEnd}`, unit: '', value: medianOf(values), runs: values.length },
        ...{ least: Math.min(...values), most: Math.max(...values) },
      };
    }),
  );
  const cell = (what: string): string => {
    const row = rows.find((each) => each.what === what);
    if (row === undefined) return '';
    return `${figure(row.value)} (${figure(row.least ?? row.value)} – ${figure(row.most ?? row.value)})`;
  };
  return {
    name: 'back-ends',
    title: 'The two Bluetooth back-ends',
    notes: [
      `Connection interval ${INTERVAL_MS} ms, ${PACKETS_PER_EVENT} packets per event for each link, both ends of the same back-end, by turns in one run. In brackets least and most of the runs.`,
      'Memory is resident size after a collection, less what the process held before it loaded the library.',
      'Flows and CPU are those of the section on the link; the virtual radio gives each link its own events, a real one shares its time among them.',
    ],
    table: {
      heads: ['what', ...BACK_ENDS],
      lines: names.map((name) => [name, ...BACK_ENDS.map((backEnd) => cell(`${name}, ${backEnd}`))]),
    },
    rows,
    rowsInTable: true,
  };
}
