/**
 * What an establishment costs on the air: bytes and segments of each message, and connection events against the same
 * segments exchanged raw through noble and bleno, in the same run, on the paced virtual radio.
 * Operator with home gateway, initiating gateway and PNE are processes of their own; the radio is in this one.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TraceEvent } from '../../src/nodes/trace.ts';
import { type Air, openAir } from './air.ts';
import { Child, medianOf, pause } from './child.ts';
import {
  eventsOf,
  PHASES,
  type Spent,
  STEPS,
  type StepMessages,
  stepMessages,
  turnsOf,
} from './connection-events.ts';
import type { EstablishmentOrders } from './establishment-party.ts';
import { RadioTap } from './radio-tap.ts';
import type { BenchRow, BenchSection } from './report.ts';
import type { TappedLink, TappedMessage } from './tapped-link.ts';

export interface EstablishmentOptions {
  /** Runs that count, 1 or more; default 12. */
  readonly runs?: number;
  readonly intervalMs?: number;
  readonly packetsPerEvent?: number;
  /** Counts runs in which the radio missed an event as well; for tests of the bench itself. */
  readonly keepSpoilt?: boolean;
  /** On adapters of this kernel, see air.ts. */
  readonly kernel?: boolean;
  readonly onProgress?: (line: string) => void;
}

export interface EstablishmentRun {
  /** Whether gateway and PNE did it for the first time since they started. */
  readonly first: boolean;
  readonly establishment: Spent;
  readonly raw: Spent;
  readonly trace: readonly TraceEvent[];
  readonly messages: StepMessages;
}

const MAX_SEGMENTS = 7;
const MAX_RATIO = 1.2;
const STEP_LIMIT_MS = 20_000;
const QUIET_MS = 150;
const HOME = { user: 'Alice', label: 'Hall' };
const INITIATING = { user: 'Bob', label: 'Kitchen' };

type Party = Child<EstablishmentOrders>;

/** The processes, and what they trace. */
class Stage {
  readonly dir = mkdtempSync(join(tmpdir(), 'cpns-bench-'));
  readonly trace: TraceEvent[] = [];
  readonly #homeAir: Air;
  readonly #air: Air;
  readonly #tap: RadioTap;
  readonly operator = this.#party('operator');
  readonly gateway = this.#party('gateway');
  readonly pne = this.#party('pne');
  #url = '';
  #runs = 0;

  /**
   * @param homeAir where PNEs enrol at home; nothing is measured on it
   * @param air where they are established
   */
  constructor(homeAir: Air, air: Air) {
    this.#homeAir = homeAir;
    this.#air = air;
    this.#tap = new RadioTap(air.radio);
  }

  #party(name: string): Party {
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const file = fileURLToPath(new URL(`./establishment-party.${extension}`, import.meta.url));
    return new Child<EstablishmentOrders>(file, name, (note) => this.trace.push(note as TraceEvent));
  }

  get #serverDir(): string {
    return join(this.dir, 'server');
  }

  async open(): Promise<void> {
    this.#url = await this.operator.ask('startServer', { stateDir: this.#serverDir });
    await this.#openGateway(this.operator, HOME, 'home', this.#homeAir);
  }

  async #openGateway(party: Party, who: typeof HOME, name: string, air: Air): Promise<void> {
    const token = await this.operator.ask('token', { stateDir: this.#serverDir, ...who });
    const invite = who !== HOME;
    await party.ask('openGateway', {
      stateDir: join(this.dir, name),
      moniker: await air.moniker('gateway'),
      url: this.#url,
      token,
      invite,
    });
  }

  /** A new gateway with a new PN, a new PNE, enrolled, joined; then the same segments raw. */
  async run(): Promise<EstablishmentRun> {
    const n = ++this.#runs;
    const stateDir = join(this.dir, `pne-${n}`);
    const code = await this.pne.ask('openPne', {
      stateDir,
      moniker: await this.#homeAir.moniker('pne'),
      enrol: true,
    });
    await this.operator.ask('pair', { code });
    await this.pne.ask('closePne');
    this.trace.length = 0;
    this.#tap.clear();
    await this.pne.ask('openPne', { stateDir, moniker: await this.#air.moniker('pne'), enrol: false });
    await this.#openGateway(
      this.gateway,
      { ...INITIATING, label: `Kitchen ${n}` },
      `gateway-${n}`,
      this.#air,
    );
    await this.#until('PnSetupNotify acknowledged', () =>
      this.trace.some(({ name, from }) => name === 'Ack' && from === 'pne'),
    );
    await pause(QUIET_MS);
    const trace = [...this.trace];
    const messages = stepMessages(this.#tap.links, trace);
    const establishment = eventsOf(messages);
    await this.pne.ask('closePne');
    await this.gateway.ask('closeGateway');
    return { first: n === 1, establishment, raw: await this.#raw(messages), trace, messages };
  }

  async #raw(messages: StepMessages): Promise<Spent> {
    const turns = turnsOf(messages);
    const [pne, gateway] = [await this.#air.moniker('pne'), await this.#air.moniker('gateway')];
    this.#tap.clear();
    const peripheral = this.pne.ask('rawPeripheral', { moniker: pne, turns });
    await Promise.all([peripheral, this.gateway.ask('rawCentral', { moniker: gateway, turns })]);
    // The same messages in the same order, so each has the same place.
    const link = this.#tap.links.find(({ messages: { length } }) => length >= turns.length);
    if (!link) throw new Error('no raw exchange on the radio');
    return eventsOf(sameMessages(messages, link));
  }

  async #until(what: string, holds: () => boolean): Promise<void> {
    const endAt = performance.now() + STEP_LIMIT_MS;
    while (!holds()) {
      if (performance.now() > endAt) throw new Error(`${what}: not within ${STEP_LIMIT_MS} ms`);
      await pause(20);
    }
  }

  async close(): Promise<void> {
    await Promise.all([this.pne.stop(), this.gateway.stop()]);
    await this.operator.stop();
    rmSync(this.dir, { recursive: true, force: true });
  }
}

function sameMessages(recorded: StepMessages, link: TappedLink): StepMessages {
  const [openP, openG, ...rest] = link.messages;
  const steps = new Map(STEPS.map((step, i) => [step, rest[i]] as const));
  const messageOf = (step: (typeof STEPS)[number]) => {
    const message = steps.get(step);
    if (message?.bytes !== recorded.of(step).bytes)
      throw new Error(`raw step ${step} is not what was recorded`);
    return message;
  };
  if (!openP || !openG) throw new Error('no OPEN in the raw exchange');
  return { link, openP, openG, ack: undefined, of: messageOf };
}

/** @throws Error when an establishment fails, or when the machine is too busy to hold the radio's pace */
export async function measureEstablishment(options: EstablishmentOptions = {}): Promise<EstablishmentRun[]> {
  const {
    runs = 12,
    intervalMs = 7.5,
    packetsPerEvent = 6,
    keepSpoilt = false,
    kernel = false,
    onProgress = () => {},
  } = options;
  const homeAir = await openAir({}, kernel);
  const air = await openAir({ intervalMs, packetsPerEvent, aclBufferCount: 2 * packetsPerEvent }, kernel);
  const stage = new Stage(homeAir, air);
  const counted: EstablishmentRun[] = [];
  try {
    await stage.open();
    const attempts = 3 * runs + 2;
    for (let attempt = 1; attempt <= attempts && counted.length < runs; attempt++) {
      const run = await stage.run();
      const missed = keepSpoilt ? 0 : run.establishment.missed + run.raw.missed;
      if (missed > 0) onProgress(`attempt ${attempt} discarded: the radio missed ${missed} events`);
      else counted.push(run);
      const { elapsed } = run.establishment;
      if (missed === 0)
        onProgress(`run ${counted.length} of ${runs}: ${elapsed} events, raw ${run.raw.elapsed}`);
    }
  } finally {
    await stage.close();
    await Promise.all([air.close(), homeAir.close()]);
  }
  if (counted.length < runs) throw new Error(`only ${counted.length} of ${runs} runs without missed events`);
  return counted;
}

export async function benchEstablishment(options: EstablishmentOptions = {}): Promise<BenchSection> {
  return establishmentSection(await measureEstablishment(options), options);
}

export function establishmentSection(
  runs: readonly EstablishmentRun[],
  { intervalMs = 7.5, packetsPerEvent = 6 }: EstablishmentOptions = {},
): BenchSection {
  const segments = runs.map(({ messages }) =>
    STEPS.reduce((sum, step) => sum + messages.of(step).segments.length, 0),
  );
  const most = Math.max(...segments);
  const row = (what: string, unit: string, values: readonly number[]): BenchRow => ({
    ...{ what, unit, value: medianOf(values), runs: values.length },
    ...{ least: Math.min(...values), most: Math.max(...values) },
  });
  const ratio = row(
    'connection events, ratio to raw',
    '',
    runs.map(({ establishment, raw }) => establishment.elapsed / raw.elapsed),
  );
  const spent = (of: (spent: Spent) => number) => [
    runs.map(({ establishment }) => of(establishment)),
    runs.map(({ raw }) => of(raw)),
  ];
  const pair = (what: string, unit: string, of: (spent: Spent) => number): BenchRow[] => {
    const [ours = [], raw = []] = spent(of);
    return [row(what, unit, ours), row(`${what}, raw`, unit, raw)];
  };
  const first = runs.filter((run) => run.first);
  const segmentRow = row('segments of steps 1, 2, 5, 6 and 13', '', segments);
  return {
    name: 'establishment',
    title: 'Establishment on Bluetooth',
    notes: [
      `PNE with a 60-byte capability, a PNE ID and no contents; connection interval ${intervalMs} ms, ${packetsPerEvent} packets per event; operator with home gateway, initiating gateway, PNE and radio are four processes.`,
      'Connection events, as counted at the radio: from the event after a gateway handed over the first segment of step 1 to the one in which the last segment of step 2 crossed; likewise 5 to 6; likewise 13 alone. So all that the PNE computes, decides (its user is a policy) and commits counts; the time between 2 and 5 and between 6 and 13, in which the gateway works and waits for the server, does not.',
      'Raw: the very same segments (bare grants left out), in the same turns, through the same noble and bleno, an answer sent as soon as the last segment of its request arrived, the sender’s pauses where the gateway waits.',
      'In flight: the same without what the PNE takes between a request and the hand-over of its answer.',
      'Runs in which the radio’s process was too busy to hold an event are discarded and repeated.',
    ],
    table: messageTable(runs[0]),
    rows: [
      { ...segmentRow, target: `≤ ${MAX_SEGMENTS}`, met: most <= MAX_SEGMENTS },
      ...pair('connection events of steps 1, 2, 5, 6 and 13', '', ({ elapsed }) => elapsed),
      { ...ratio, target: `≤ ${MAX_RATIO}`, met: ratio.value <= MAX_RATIO },
      ...first.map(({ establishment }) =>
        row('connection events, first establishment of fresh processes', '', [establishment.elapsed]),
      ),
      ...pair('connection events in flight', '', ({ inFlight }) => inFlight),
      ...pair('connection events with a segment (Waiting included)', '', ({ used }) => used),
      ...pair('segments that only grant credits', '', ({ bare }) => bare),
      ...pair('time of what is counted', 'ms', ({ ms }) => ms),
      ...PHASES.flatMap(([phase, what]) => {
        const [ours, raw] = pair(`phase ${phase}: ${what}`, 'ms', ({ phasesMs }) => phasesMs[phase]);
        // Played raw, there is no server.
        const onAir = phase !== 'challenge' && phase !== 'confirmation';
        return [ours, ...(onAir ? [raw] : [])].filter((row) => row !== undefined);
      }),
      row(
        'from link to member',
        'ms',
        runs.map(({ establishment }) => establishment.phasesMs.all),
      ),
      ...pair('time at the PNE, step 1 arrived to step 2 handed over', 'ms', ({ answerMs }) => answerMs[0]),
      ...pair('time at the PNE, step 5 arrived to step 6 handed over', 'ms', ({ answerMs }) => answerMs[1]),
    ],
  };
}

/** Steps in order, of one run: on Bluetooth as the radio carried them, elsewhere as traced. */
function messageTable(run: EstablishmentRun | undefined): NonNullable<BenchSection['table']> {
  const heads = ['step', 'message', 'from', 'to', 'via', 'bytes', 'segments', 'bytes of each segment'];
  if (!run) return { heads, lines: [] };
  const { trace, messages } = run;
  const onAir = (message: TappedMessage) => [
    String(message.bytes),
    String(message.segments.length),
    message.segments.map(({ bytes }) => bytes.length).join(' + '),
  ];
  const steps = new Map<number, TraceEvent>();
  for (const event of trace)
    if (event.step !== undefined && !steps.has(event.step)) steps.set(event.step, event);
  const lines = [...steps]
    .sort(([a], [b]) => a - b)
    .map(([step, { name, from, to, via, bytes }]) => {
      const own = STEPS.find((known) => known === step);
      const size = own ? onAir(messages.of(own)) : [String(bytes), '', ''];
      return [String(step), name, from, to, via, ...size];
    });
  const opens = [
    ['0', 'Open', 'pne', 'gateway', 'ble', ...onAir(messages.openP)],
    ['0', 'Open', 'gateway', 'pne', 'ble', ...onAir(messages.openG)],
  ];
  lines.splice(1, 0, ...opens);
  if (messages.ack) lines.push(['14', 'Ack', 'pne', 'gateway', 'ble', ...onAir(messages.ack)]);
  return { heads, lines };
}
