/**
 * What the link layer costs: real noble and bleno in two processes over the paced virtual radio, raw segments against
 * the link with its records, in the same run. Figures are medians of whole runs.
 * Alone: `npx tsx scripts/bench/link-throughput.ts [--json] [--runs 3] [--packets 3,6,12]`.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { BackEnd, VirtualRadio } from '../../src/bluetooth/open.ts';
import { DEFAULT_CREDITS } from '../../src/link/link-types.ts';
import { openAir } from './air.ts';
import type { Answer, Order } from './link-party.ts';

export interface LinkThroughputOptions {
  /** Whole runs per radio, 1 or more; figures are medians. Default 3. */
  readonly runs?: number;
  /** Packets per connection event of each radio to measure on. Default 3, 6 and 12. */
  readonly packetsPerEvent?: readonly number[];
  /** Connection interval, ms. Default 7.5. */
  readonly intervalMs?: number;
  /** About how long each flow lasts, ms. Default 1,500. */
  readonly flowMs?: number;
  /** On adapters of this kernel, see air.ts. */
  readonly kernel?: boolean;
  /** Of both sides. Default: `abandonware`. */
  readonly backEnd?: BackEnd | undefined;
  /** First credits of both sides. Default: the link's. */
  readonly credits?: number;
  readonly onProgress?: (line: string) => void;
}

export interface LinkThroughputRow {
  readonly packetsPerEvent: number;
  /** What was measured, with its unit. */
  readonly what: string;
  /** Which way data went; `-` for a round trip. */
  readonly direction: 'up' | 'down' | '-';
  readonly median: number;
  readonly least: number;
  readonly most: number;
  readonly runs: number;
  /** What is aimed at, and whether the median meets it. */
  readonly target?: string;
  readonly met?: boolean;
}

type Side = 'central' | 'peripheral';
type Direction = 'up' | 'down';

const SEGMENT_BYTES = 244;
const KIB = 1024;
const DIRECTIONS = ['up', 'down'] as const;
const SIZES = [1, 4, 16] as const;
const RATIO_TARGETS = { 1: 0.8, 4: 0.94, 16: 0.97 } as const;
const ROUNDS = 60;
const ASK_BYTES = 180;
const SETTLE_MS = 60;
/** Flows whose CPU time is taken are run so often in each run. */
const CPU_REPEATS = 3;
const IDLE_MS = 1000;
/** Messages of 16 KiB through links in memory. */
const WARM_UP = 150;
const STEP_DEADLINE_MS = 60_000;

/** One process of link-party.ts. */
class Party {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<
    number,
    { resolve: (answer: Answer) => void; reject: (error: Error) => void }
  >();
  #ids = 0;

  constructor(role: Side, moniker: string, backEnd: BackEnd) {
    const file = fileURLToPath(
      new URL(`./link-party${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url),
    );
    this.#child = fork(file, [role, moniker, backEnd], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.#child.on('message', (message: Answer & { readonly id?: number }) => {
      const failed = message.error === undefined ? undefined : new Error(`${role}: ${message.error}`);
      if (message.id === undefined) this.#failAll(failed ?? new Error(`${role} said nothing of use`));
      else if (failed) this.#waiting.get(message.id)?.reject(failed);
      else this.#waiting.get(message.id)?.resolve(message);
      if (message.id !== undefined) this.#waiting.delete(message.id);
    });
    this.#child.on('exit', () => this.#failAll(new Error(`the ${role} ended`)));
  }

  tell(order: Order): Promise<Answer> {
    const id = ++this.#ids;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${order.do} took too long`)), STEP_DEADLINE_MS);
      const settled =
        <T>(then: (value: T) => void) =>
        (value: T) => {
          clearTimeout(timer);
          then(value);
        };
      this.#waiting.set(id, { resolve: settled(resolve), reject: settled(reject) });
      this.#child.send({ ...order, id });
    });
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || !this.#child.connected) return;
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.tell({ do: 'stop' }).catch(() => {});
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 3000);
    await ended;
    clearTimeout(timer);
  }

  #failAll(error: Error): void {
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Figures of one run, by `what|direction`. */
type Figures = Map<string, number>;

class Run {
  readonly figures: Figures = new Map();
  readonly #radio: VirtualRadio;
  readonly #parties: Readonly<Record<Side, Party>>;
  readonly #bytesPerMs: number;
  readonly #flowMs: number;
  readonly #credits: number;

  constructor(
    radio: VirtualRadio,
    parties: Readonly<Record<Side, Party>>,
    bytesPerMs: number,
    flowMs: number,
    credits: number,
  ) {
    this.#radio = radio;
    this.#parties = parties;
    this.#bytesPerMs = bytesPerMs;
    this.#flowMs = flowMs;
    this.#credits = credits;
  }

  async measure(): Promise<void> {
    await this.#both({ do: 'connect' }, { do: 'connect' });
    // Both layers are measured on compiled code: the libraries warm up in the first flows, the link before them.
    await this.#both({ do: 'warm-up', messages: WARM_UP }, { do: 'warm-up', messages: WARM_UP });
    const idle = await this.#idle();
    for (const direction of DIRECTIONS) await this.#rawFlow(direction, idle);
    const sequential = await this.#sequential();
    this.#set('sequential write-with-response, kB/s', 'up', sequential);
    await this.#rounds('raw');
    await this.#both(
      { do: 'link-open', credits: this.#credits },
      { do: 'link-open', credits: this.#credits },
    );
    for (const direction of DIRECTIONS) await this.#linkFlow(direction, 16 * KIB, idle);
    for (const direction of DIRECTIONS) {
      const { raw, link } = await this.#compare(direction, idle);
      this.#set('raw 244-byte segments, kB/s', direction, raw.rate);
      for (const size of [1, 4] as const) {
        const flow = await this.#linkFlow(direction, size * KIB, idle);
        this.#set(`${size} KiB messages, ratio to raw`, direction, flow.rate / raw.rate);
      }
      this.#set('16 KiB messages, ratio to raw', direction, link.rate / raw.rate);
      this.#cpu(direction, link, raw);
      if (direction === 'up')
        this.#set('16 KiB messages over sequential write-with-response, times', 'up', link.rate / sequential);
    }
    await this.#rounds('link');
  }

  /** Raw and 16 KiB messages by turns, so that neither runs on warmer code than the other. */
  async #compare(direction: Direction, idle: Cpu): Promise<{ readonly raw: Flow; readonly link: Flow }> {
    const raws: Flow[] = [];
    const links: Flow[] = [];
    for (let i = 0; i < CPU_REPEATS; i++) {
      raws.push(await this.#rawFlow(direction, idle));
      links.push(await this.#linkFlow(direction, 16 * KIB, idle));
    }
    return { raw: best(raws), link: best(links) };
  }

  #rawFlow(direction: Direction, idle: Cpu): Promise<Flow> {
    const segments = Math.ceil((this.#flowMs * this.#bytesPerMs) / SEGMENT_BYTES);
    const perMs = this.#bytesPerMs / SEGMENT_BYTES;
    return this.#flow(
      direction,
      { do: 'raw-send', segments, bytes: SEGMENT_BYTES, perMs },
      { do: 'raw-receive', segments },
      segments * SEGMENT_BYTES,
      idle,
    );
  }

  #linkFlow(direction: Direction, bytes: number, idle: Cpu): Promise<Flow> {
    const messages = Math.ceil((this.#flowMs * this.#bytesPerMs) / bytes);
    return this.#flow(
      direction,
      { do: 'link-send', messages, bytes },
      { do: 'link-receive', messages },
      messages * bytes,
      idle,
    );
  }

  async #flow(direction: Direction, send: Order, receive: Order, bytes: number, idle: Cpu): Promise<Flow> {
    const [sender, receiver] = ends(direction);
    await pause(SETTLE_MS);
    const before = await this.#cpuNow();
    const startedAt = performance.now();
    const received = this.#parties[receiver].tell(receive);
    await this.#parties[sender].tell(send);
    const { ms = 0 } = await received;
    const after = await this.#cpuNow();
    const tookMs = performance.now() - startedAt;
    const cpu = (side: Side) => after[side] - before[side] - idle[side] * tookMs;
    return { rate: bytes / ms, bytes, senderUs: cpu(sender), receiverUs: cpu(receiver) };
  }

  #cpu(direction: Direction, link: Flow, raw: Flow): void {
    const [sender, receiver] = ends(direction);
    for (const [side, cost] of [
      [sender, (flow: Flow) => flow.senderUs],
      [receiver, (flow: Flow) => flow.receiverUs],
    ] as const) {
      const [linkUs, rawUs] = [link, raw].map((flow) => (cost(flow) / flow.bytes) * 16 * KIB) as [
        number,
        number,
      ];
      this.#set(`CPU per 16 KiB at the ${side}, µs`, direction, linkUs);
      this.#set(`CPU per 16 KiB at the ${side}, raw + AES-GCM, µs`, direction, rawUs);
      this.#set(`CPU per 16 KiB at the ${side}, ratio to raw + AES-GCM`, direction, linkUs / rawUs);
    }
  }

  async #sequential(): Promise<number> {
    const { ms = 0 } = await this.#parties.central.tell({ do: 'write-with-response', rounds: ROUNDS });
    return (ROUNDS * SEGMENT_BYTES) / ms;
  }

  /** Requests and responses of 180 bytes, one after the other: connection events of a round, from the radio's counters. */
  async #rounds(layer: 'raw' | 'link'): Promise<void> {
    await pause(SETTLE_MS);
    await this.#parties.peripheral.tell({ do: `${layer}-echo` });
    const before = this.#events();
    await this.#parties.central.tell({ do: `${layer}-ask`, rounds: ROUNDS, bytes: ASK_BYTES });
    const after = this.#events();
    this.#set(`180/180 bytes ${layer}, connection events used`, '-', (after.used - before.used) / ROUNDS);
    this.#set(
      `180/180 bytes ${layer}, connection events elapsed`,
      '-',
      (after.elapsed - before.elapsed) / ROUNDS,
    );
  }

  #events(): { readonly used: number; readonly elapsed: number } {
    const link = this.#radio.counters().links.find(({ open }) => open);
    if (!link) throw new Error('the radio link is gone');
    return { used: link.toPeripheral.eventsUsed + link.toCentral.eventsUsed, elapsed: link.eventsElapsed };
  }

  /** µs of CPU per ms, of processes that do nothing but hold the link: the quietest of three spells. */
  async #idle(): Promise<Cpu> {
    const idle = { central: Number.POSITIVE_INFINITY, peripheral: Number.POSITIVE_INFINITY };
    for (let i = 0; i < 3; i++) {
      const before = await this.#cpuNow();
      const startedAt = performance.now();
      await pause(IDLE_MS);
      const after = await this.#cpuNow();
      const ms = performance.now() - startedAt;
      for (const side of ['central', 'peripheral'] as const)
        idle[side] = Math.min(idle[side], (after[side] - before[side]) / ms);
    }
    return idle;
  }

  async #cpuNow(): Promise<Cpu> {
    const [central, peripheral] = await this.#both({ do: 'cpu' }, { do: 'cpu' });
    return { central: central.cpuUs ?? 0, peripheral: peripheral.cpuUs ?? 0 };
  }

  #both(ofPeripheral: Order, ofCentral: Order): Promise<[central: Answer, peripheral: Answer]> {
    // The peripheral first: it sends OPEN as soon as it is driven, and advertises before anybody scans.
    const peripheral = this.#parties.peripheral.tell(ofPeripheral);
    return Promise.all([this.#parties.central.tell(ofCentral), peripheral]);
  }

  #set(what: string, direction: Direction | '-', value: number): void {
    this.figures.set(`${what}|${direction}`, value);
  }
}

type Cpu = Readonly<Record<Side, number>>;

interface Flow {
  /** Bytes per ms, so kB/s. */
  readonly rate: number;
  readonly bytes: number;
  readonly senderUs: number;
  readonly receiverUs: number;
}

/** The median rate, and of the CPU times the least: compilers, collectors and neighbours can only add to them. */
function best(flows: readonly Flow[]): Flow {
  const rates = flows.map(({ rate }) => rate).sort((a, b) => a - b);
  return {
    rate: rates[rates.length >> 1] ?? Number.NaN,
    bytes: flows[0]?.bytes ?? 0,
    senderUs: Math.min(...flows.map(({ senderUs }) => senderUs)),
    receiverUs: Math.min(...flows.map(({ receiverUs }) => receiverUs)),
  };
}

const ends = (direction: Direction): readonly [sender: Side, receiver: Side] =>
  direction === 'up' ? ['central', 'peripheral'] : ['peripheral', 'central'];

function targetOf(what: string): readonly [text: string, met: (value: number) => boolean] | undefined {
  const size = SIZES.find((kib) => what === `${kib} KiB messages, ratio to raw`);
  if (size !== undefined) return [`≥ ${RATIO_TARGETS[size]}`, (value) => value >= RATIO_TARGETS[size]];
  if (what.includes('over sequential')) return ['≥ 10', (value) => value >= 10];
  if (what.endsWith('ratio to raw + AES-GCM')) return ['≤ 1.5', (value) => value <= 1.5];
  if (what === '180/180 bytes link, connection events used') return ['2', (value) => value < 2.1];
  return undefined;
}

/** Measures on each radio in turn. @throws Error when a party fails or a step takes over a minute */
export async function runLinkThroughput(options: LinkThroughputOptions = {}): Promise<LinkThroughputRow[]> {
  const { runs = 3, packetsPerEvent = [3, 6, 12], intervalMs = 7.5, flowMs = 1500 } = options;
  const rows: LinkThroughputRow[] = [];
  for (const packets of packetsPerEvent) {
    const measured: Figures[] = [];
    for (let i = 0; i < runs; i++) {
      options.onProgress?.(`${packets} packets per event, run ${i + 1} of ${runs}`);
      measured.push(
        await oneRun(
          packets,
          intervalMs,
          flowMs,
          options.credits ?? DEFAULT_CREDITS,
          options.kernel ?? false,
          options.backEnd ?? 'abandonware',
        ),
      );
    }
    for (const key of measured[0]?.keys() ?? []) rows.push(rowOf(packets, key, measured));
  }
  return rows;
}

async function oneRun(
  packets: number,
  intervalMs: number,
  flowMs: number,
  credits: number,
  kernel: boolean,
  backEnd: BackEnd,
): Promise<Figures> {
  // As many controller buffers as two events empty: the radio, not the host interface, sets the pace.
  const air = await openAir({ intervalMs, packetsPerEvent: packets, aclBufferCount: 2 * packets }, kernel);
  const parties = {
    central: new Party('central', await air.moniker('central'), backEnd),
    peripheral: new Party('peripheral', await air.moniker('peripheral'), backEnd),
  };
  try {
    const run = new Run(air.radio, parties, (packets * SEGMENT_BYTES) / intervalMs, flowMs, credits);
    await run.measure();
    return run.figures;
  } finally {
    await Promise.all([parties.central.stop(), parties.peripheral.stop()]);
    await air.close();
  }
}

function rowOf(packetsPerEvent: number, key: string, measured: readonly Figures[]): LinkThroughputRow {
  const [what = '', direction = '-'] = key.split('|');
  const values = measured.map((figures) => figures.get(key) ?? Number.NaN).sort((a, b) => a - b);
  const median = values[(values.length - 1) >> 1] ?? Number.NaN;
  const target = targetOf(what);
  return {
    packetsPerEvent,
    what,
    direction: direction as Direction | '-',
    median,
    least: values[0] ?? Number.NaN,
    most: values.at(-1) ?? Number.NaN,
    runs: values.length,
    ...(target && { target: target[0], met: target[1](median) }),
  };
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      json: { type: 'boolean', default: false },
      runs: { type: 'string', default: '3' },
      packets: { type: 'string', default: '3,6,12' },
      credits: { type: 'string', default: String(DEFAULT_CREDITS) },
      flow: { type: 'string', default: '1500' },
    },
  });
  const rows = await runLinkThroughput({
    runs: Number(values.runs),
    packetsPerEvent: values.packets.split(',').map(Number),
    credits: Number(values.credits),
    flowMs: Number(values.flow),
    onProgress: (line) => process.stderr.write(`${line}\n`),
  });
  if (values.json) {
    console.log(JSON.stringify(rows, null, 2));
    return;
  }
  for (const { packetsPerEvent, what, direction, median, least, most, target, met } of rows) {
    const verdict = target === undefined ? '' : `  target ${target}: ${met ? 'met' : 'MISSED'}`;
    const figure = `${median.toFixed(3)} (${least.toFixed(3)}–${most.toFixed(3)})`;
    console.log(
      `${String(packetsPerEvent).padStart(2)}/event  ${direction.padEnd(4)}  ${what}: ${figure}${verdict}`,
    );
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
