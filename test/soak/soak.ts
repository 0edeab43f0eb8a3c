/**
 * The soak: a town that is used and disturbed for minutes, in bursts with quiet spans between them. In a quiet span nothing
 * goes wrong any more, so everybody has to converge (protocol-core §8) within a stated time, data has to come through both
 * ways, and memory is looked at. The safety rules hold at every instant. Owns the course of a run and what is a finding.
 */
import { mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Defect } from '../faults/plan.ts';
import type { ServerView } from '../faults/state-view.ts';
import { makeTemplate, Town } from '../faults/town.ts';
import { DISTURBANCES } from './disturbances.ts';
import { describeGrowth, growthOf } from './growth.ts';
import { Ledger } from './ledger.ts';
import {
  answerQuestions,
  audit,
  OPERATIONS,
  OWNER_ALLOWS,
  OWNER_REFUSES,
  sendDown,
  sendUp,
} from './operations.ts';
import { interruption, pause, until } from './pace.ts';
import type { Finding, Quiet, SoakReport, Tally } from './report.ts';
import { HARNESS, Sampler } from './sampler.ts';
import { Dice, type Resident, Site } from './site.ts';

export interface SoakOptions {
  readonly minutes: number;
  /** 1 to 5. */
  readonly pnes: number;
  readonly seed: number;
  readonly defect?: { readonly role: string; readonly kind: Defect } | undefined;
  /** Where state and logs are kept when something was found. */
  readonly keep: string;
  readonly signal: AbortSignal;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  readonly onFinding?: ((finding: Finding) => void) | undefined;
}

export interface Progress {
  readonly phase: string;
  readonly atMs: number;
  readonly operations: number;
  readonly faults: number;
  readonly findings: number;
}

/**
 * From the end of the faults until everybody has converged. The longest waits that may stand in the way: a link whose peer
 * is gone (32 s of supervision), a gateway's back-off (10 s for those it knows), the server's and the channel's (30 s).
 */
export const CONVERGE_MS = 120_000;
/** Until data that was lost with a link has been sent again. */
const DATA_MS = 60_000;
const RESEND_MS = 5_000;
const BURST_MS = [10_000, 25_000] as const;
const CALM_MS = 2_000;
/** Between two operations, and two faults, of a burst: five PNEs on one core have time to breathe. */
const OPERATION_MS = [300, 2_700] as const;
const FAULT_MS = [500, 4_500] as const;
const TICK_MS = 500;
const SAMPLE_MS = 2_000;
/** Samples of a process's curve over a run. */
const SAMPLES = 600;

export async function runSoak(options: SoakOptions): Promise<SoakReport> {
  const work = mkdtempSync(join(tmpdir(), 'cpns-soak-'));
  const forget = () => rmSync(work, { recursive: true, force: true });
  process.on('exit', forget);
  try {
    const root = join(work, 't');
    mkdirSync(root);
    const template = await makeTemplate(root, options.pnes);
    const run = new Run(options);
    const report = await run.play(template, join(work, 'w'));
    if (report.findings.length > 0) keep(join(work, 'w'), options.keep);
    return report;
  } finally {
    forget();
    process.off('exit', forget);
  }
}

function keep(from: string, to: string): void {
  rmSync(to, { recursive: true, force: true });
  mkdirSync(join(to, '..'), { recursive: true });
  try {
    renameSync(from, to);
  } catch {
    // Another file system: the findings say what went wrong.
  }
}

/** Faults end more questions to an owner in an hour than a user would bear in a day. */
const PATIENT_SERVER =
  '[limits]\nvain_questions_per_user = 10000\nvain_questions_per_user_and_gateway = 10000\n';

class Run {
  readonly #options: SoakOptions;
  readonly #dice: Dice;
  readonly #startedAt = new Date();
  readonly #startedMs = performance.now();
  readonly #findings: Finding[] = [];
  readonly #quiets: Quiet[] = [];
  readonly #operations = new Map<string, Tally>();
  readonly #faults = new Map<string, Tally>();
  readonly #operationsAtMs: number[] = [];
  readonly #faultsAtMs: number[] = [];
  /** Operations and faults under way. */
  readonly #tasks = new Set<Promise<void>>();
  readonly #interrupted: Promise<void>;
  readonly #ledger = new Ledger((what) => this.#find('safety', what));
  #phase = 'joining';

  constructor(options: SoakOptions) {
    this.#options = options;
    this.#dice = new Dice(options.seed);
    this.#interrupted = interruption(options.signal);
    const named = (tallies: Map<string, Tally>, names: readonly string[]) => {
      for (const name of names) tallies.set(name, { name, done: 0, vain: 0 });
    };
    named(this.#operations, [...OPERATIONS.map(({ name }) => name), OWNER_ALLOWS, OWNER_REFUSES]);
    named(
      this.#faults,
      DISTURBANCES.map(({ name }) => name),
    );
  }

  async play(template: Parameters<typeof Town.open>[0]['template'], root: string): Promise<SoakReport> {
    const { signal, defect } = this.#options;
    // Made after the town; nobody in that talks before it is started.
    let site: Site | undefined;
    const town = await Town.open({
      serverConfig: PATIENT_SERVER,
      ...{ template, root, ownersAreAsked: true, errands: true, keepJournal: false },
      onEntry: (entry) => site?.take(entry),
      onLine: (name, line) => site?.hear(name, line),
      onDeath: (name, how) => this.#find('death', `${name} ended by itself: ${how}`),
    });
    site = new Site({
      ...{ town, ledger: this.#ledger, signal, defect },
      onFinding: (kind, what) => this.#find(kind, what),
    });
    const sampler = new Sampler(site, this.#startedMs);
    const everyMs = Math.max(SAMPLE_MS, (this.#options.minutes * 60_000) / SAMPLES);
    const sampling = setInterval(() => sampler.look(), everyMs);
    const stopDesk = this.#keepDesk(site);
    try {
      await Promise.race([town.start((name) => site?.planOf(name)), this.#interrupted]);
      await this.#course(site, sampler);
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      clearInterval(sampling);
      stopDesk();
      await town.end();
      await Promise.all(this.#tasks);
    }
    this.#ledger.check(true);
    return this.#report(site, sampler);
  }

  /** Quiet, burst, quiet, … until the time is up, which begins when everybody has joined. */
  async #course(site: Site, sampler: Sampler): Promise<void> {
    const { signal, minutes } = this.#options;
    await this.#quiet(site, sampler);
    const beganMs = performance.now();
    const [halfMs, endMs] = [beganMs + minutes * 30_000, beganMs + minutes * 60_000];
    while (!signal.aborted && performance.now() < endMs) {
      site.era = performance.now() < halfMs ? 0 : 1;
      const burstMs = this.#dice.between(...BURST_MS);
      await this.#burst(site, Math.min(performance.now() + burstMs, endMs));
      await this.#quiet(site, sampler);
    }
  }

  async #burst(site: Site, endMs: number): Promise<void> {
    this.#phase = 'faults';
    const { signal } = this.#options;
    const stream = async (between: readonly [number, number], begin: () => void, dice: Dice) => {
      while (performance.now() < endMs && (await pause(dice.between(...between), signal))) begin();
    };
    const [operations, faults] = [this.#dice.apart(), this.#dice.apart()];
    await Promise.all([
      stream(OPERATION_MS, () => this.#begin(site, operations, 'operation'), operations),
      stream(FAULT_MS, () => this.#begin(site, faults, 'fault'), faults),
    ]);
  }

  #begin(site: Site, dice: Dice, what: 'operation' | 'fault'): void {
    const [list, tallies, times] =
      what === 'operation'
        ? [OPERATIONS, this.#operations, this.#operationsAtMs]
        : [DISTURBANCES, this.#faults, this.#faultsAtMs];
    const { name, run } = dice.weigh(list);
    const task = run(site, dice.apart()).then(
      () => {
        this.#count(tallies, name);
      },
      () => {
        const tally = tallies.get(name);
        if (tally) tally.vain++;
      },
    );
    times.push(this.#nowMs());
    this.#tasks.add(task);
    void task.then(() => this.#tasks.delete(task));
  }

  /** Nothing goes wrong any more. */
  async #quiet(site: Site, sampler: Sampler): Promise<void> {
    const { signal } = this.#options;
    this.#phase = 'ending faults';
    await Promise.race([Promise.all(this.#tasks), this.#interrupted]);
    await this.#mend(site);
    this.#phase = 'converging';
    const startMs = performance.now();
    const atMs = this.#nowMs();
    const held = await until(() => site.residents.every((one) => settled(site, one)), CONVERGE_MS, signal);
    if (signal.aborted) return;
    const members = site.residents.filter((one) => site.outcomeOf(one)?.kind === 'member');
    const counts = { atMs, members: members.length, refused: site.residents.length - members.length };
    if (!held) {
      for (const resident of site.residents.filter((one) => !settled(site, one)))
        this.#find('convergence', this.#story(site, resident));
      this.#quiets.push(counts);
      return;
    }
    const convergedMs = Math.round(performance.now() - startMs);
    this.#phase = 'exchanging data';
    const dataMs = await this.#exchange(site, members);
    await audit(site).catch(() => {});
    this.#phase = 'quiet';
    await pause(CALM_MS, signal);
    if (signal.aborted) return;
    await sampler.lookDeep();
    this.#quiets.push({ ...counts, convergedMs, ...(dataMs !== undefined && { dataMs }) });
  }

  /** Whoever died by itself has been found; it goes on, so that the rest can be seen. */
  async #mend(site: Site): Promise<void> {
    for (const name of site.town.names)
      if (!site.town.process(name).alive && !this.#options.signal.aborted)
        await site.start(name).catch(() => {});
  }

  #story(site: Site, resident: Resident): string {
    const { kind, detail } = site.outcomeOf(resident) ?? { kind: 'nothing known', detail: '' };
    return `${resident.party} after ${CONVERGE_MS / 1000} s without faults: ${kind}, ${detail}`;
  }

  /** Data both ways at every member, sent again when a link was lost. @returns the longest it took */
  async #exchange(site: Site, members: readonly Resident[]): Promise<number | undefined> {
    const { signal } = this.#options;
    const startMs = performance.now();
    const through = async (listener: string, send: (bytes: number) => Promise<void>): Promise<boolean> => {
      const bytes = site.nextDatum();
      let sentMs = Number.NEGATIVE_INFINITY;
      return until(
        async () => {
          if (site.hasHeard(listener, bytes)) return true;
          if (performance.now() - sentMs < RESEND_MS) return false;
          // No link at this instant: it is being made.
          await send(bytes).then(
            () => {
              sentMs = performance.now();
            },
            () => {},
          );
          return false;
        },
        DATA_MS,
        signal,
        100,
      );
    };
    await Promise.all(
      members.map(async (resident) => {
        const [up, down] = await Promise.all([
          through(site.gateway, (bytes) => sendUp(site, resident, bytes)),
          through(resident.home.pne.name, (bytes) => sendDown(site, resident, bytes)),
        ]);
        if ((up && down) || signal.aborted) return;
        this.#find('data', `none came ${up ? 'to' : 'from'} ${resident.party} within ${DATA_MS / 1000} s`);
      }),
    );
    return signal.aborted ? undefined : Math.round(performance.now() - startMs);
  }

  /** What goes on all the time: owners answer, the journal is checked, somebody watches. @returns how it is ended */
  #keepDesk(site: Site): () => void {
    const dice = this.#dice.apart();
    let answering = false;
    const timer = setInterval(() => {
      this.#ledger.check();
      for (const resident of site.residents)
        if (resident.refused && site.outcomeOf(resident)?.kind === 'member') resident.refused = false;
      this.#options.onProgress?.({
        phase: this.#phase,
        atMs: this.#nowMs(),
        operations: this.#operationsAtMs.length,
        faults: this.#faultsAtMs.length,
        findings: this.#findings.length,
      });
      if (answering) return;
      answering = true;
      void answerQuestions(site, dice).then((done) => {
        answering = false;
        for (const name of done) {
          this.#operationsAtMs.push(this.#nowMs());
          this.#count(this.#operations, name);
        }
      });
    }, TICK_MS);
    return () => clearInterval(timer);
  }

  #count(tallies: Map<string, Tally>, name: string): void {
    const tally = tallies.get(name);
    if (tally) tally.done++;
  }

  #find(kind: Finding['kind'], what: string): void {
    const finding = { atMs: this.#nowMs(), kind, what };
    this.#findings.push(finding);
    this.#options.onFinding?.(finding);
  }

  #nowMs(): number {
    return Math.round(performance.now() - this.#startedMs);
  }

  #report(site: Site, sampler: Sampler): SoakReport {
    const { seed, minutes, pnes, signal } = this.#options;
    const curves = sampler.curves();
    const growth = curves.filter((curve) => curve.process !== HARNESS).flatMap(growthOf);
    for (const life of growth) if (life.verdict === 'grows') this.#find('growth', describeGrowth(life));
    const rows = (this.#ledger.view(site.server) as ServerView | undefined)?.registrations ?? [];
    const count = (state: string) => rows.filter((row) => row.state === state).length;
    return {
      ...{ seed, minutes, pnes, curves, growth },
      startedAt: this.#startedAt.toISOString(),
      tookMs: this.#nowMs(),
      platform: `Node ${process.versions.node}, ${process.platform} ${process.arch}`,
      interrupted: signal.aborted,
      operations: [...this.#operations.values()],
      faults: [...this.#faults.values()],
      operationsAtMs: this.#operationsAtMs,
      faultsAtMs: this.#faultsAtMs,
      quiets: this.#quiets,
      findings: this.#findings,
      joins: { signed: this.#ledger.signatures, registered: count('registered'), refused: count('refused') },
      journalEntries: this.#ledger.entries,
    };
  }
}

/** Converged: a member, or in nothing because the owner said no. */
function settled(site: Site, resident: Resident): boolean {
  const kind = site.outcomeOf(resident)?.kind;
  return kind === 'member' || (resident.refused && (kind === 'nothing' || kind === 'signed-unheard'));
}
