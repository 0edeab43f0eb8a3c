/**
 * One cell of the fault matrix: a world, one fault in it, and the judgement. Owns what counts as passed: the fault did
 * happen, no safety rule was broken at any instant of the journal, no process ended by itself, and within the deadline
 * after the fault all disks show a legal outcome.
 */
import { rmSync } from 'node:fs';
import { Prng } from '../../src/base/prng.ts';
import type { Column, Script } from './columns.ts';
import type { ReportedCell } from './matrix-report.ts';
import { judge, OUTCOMES, type Outcome, type OutcomeKind } from './outcome.ts';
import type { LifePlan } from './party.ts';
import { type Defect, PARTIES, type Party, ROLES } from './plan.ts';
import { checkJournal, describeViolation, type JournalEntry } from './safety.ts';
import { type GatewayView, type PartyView, type PneView, readState, type ServerView } from './state-view.ts';
import type { StepRow } from './steps.ts';
import type { Template } from './town.ts';
import { World } from './world.ts';

export interface CellOptions {
  readonly template: Template;
  readonly row: StepRow;
  readonly column: Column;
  readonly seed: number;
  /** Where state, logs and journal of this cell are; removed when it passes. */
  readonly directory: string;
  /** Milliseconds from the end of the fault to the outcome. */
  readonly convergeMs: number;
  readonly defect?: { readonly party: Party; readonly kind: Defect } | undefined;
  readonly signal: AbortSignal;
}

/** Longest until the point of a row is reached in a world that starts; a machine under load is slow. */
const REACH_MS = 30_000;
const LOOK_MS = 50;
/** Everybody can reach everybody, so a registered PNE has heard of it at the deadline. */
const FINAL: ReadonlySet<OutcomeKind> = new Set(['member', 'nothing', 'signed-unheard']);

export async function runCell(options: CellOptions): Promise<ReportedCell> {
  const { row, column, seed, directory } = options;
  const startedMs = performance.now();
  const script = column.script(row);
  const name = { step: row.step, fault: column.id, seed };
  if ('na' in script) return { ...name, verdict: 'na', detail: script.na, tookMs: 0 };
  const found = await attempt(options, script);
  const { faults, outcome, convergedMs } = found;
  const verdict = faults.length === 0 ? 'passed' : 'failed';
  if (verdict === 'passed') rmSync(directory, { recursive: true, force: true });
  return {
    ...name,
    verdict,
    ...(outcome && { outcome: outcome.kind }),
    detail: faults.length > 0 ? faults.join('; ') : (outcome?.detail ?? ''),
    tookMs: Math.round(performance.now() - startedMs),
    ...(convergedMs !== undefined && { convergedMs: Math.round(convergedMs) }),
  };
}

/** A world that does not even start says nothing of a fault: on a machine that is too busy, one more is tried. */
async function attempt(options: CellOptions, script: Script): Promise<Found> {
  for (let tries = 1; ; tries++) {
    try {
      return await play(options, script);
    } catch (error) {
      if (error instanceof StartError && tries === 1 && !options.signal.aborted) {
        rmSync(options.directory, { recursive: true, force: true });
        continue;
      }
      const what = error instanceof Error ? error.message : String(error);
      return { faults: [what], outcome: undefined, convergedMs: undefined };
    }
  }
}

class StartError extends Error {}

interface Found {
  readonly faults: readonly string[];
  readonly outcome: Outcome | undefined;
  readonly convergedMs: number | undefined;
}

async function play(options: CellOptions, script: Script): Promise<Found> {
  const { template, directory, seed, convergeMs, defect, signal } = options;
  const entries: JournalEntry[] = [];
  const views = new Map<string, PartyView>();
  const faults: string[] = [];
  const world = await World.open({
    template,
    root: directory,
    ...(script.serverConfig !== undefined && { serverConfig: script.serverConfig }),
    onEntry: (entry) => {
      entries.push(entry);
      if (entry.view) views.set(entry.party, entry.view);
    },
    onDeath: (party, how) => faults.push(`${party} ended by itself: ${how}`),
  });
  const interrupted = onAbort(signal);
  let convergedMs: number | undefined;
  try {
    const started = world.start(withDefect(script.plans, defect)).catch((error: Error) => {
      throw new StartError(error.message);
    });
    const striking = started.then(() => script.strike(world, new Prng(seed)));
    const reached = await within(Promise.race([striking, interrupted]), REACH_MS + script.lastsMs);
    if (!reached) faults.push('the point of the fault was not reached');
    const struckMs = performance.now();
    for (;;) {
      const sinceMs = performance.now() - struckMs;
      if (outcomeOf(world, entries, (party) => views.get(party))?.kind === 'member') {
        convergedMs = sinceMs;
        break;
      }
      if (sinceMs > convergeMs || faults.length > 0 || signal.aborted) break;
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  } finally {
    await world.end();
  }
  const outcome = outcomeOf(world, entries, (party) => readState(ROLES[party], world.stateDir(party)));
  if (signal.aborted) faults.push('interrupted');
  else if (!outcome) faults.push('somebody has no state');
  else if (!FINAL.has(outcome.kind))
    faults.push(`${OUTCOMES[outcome.kind]} ${convergeMs / 1000} s after the fault: ${outcome.detail}`);
  for (const violation of checkJournal(entries)) faults.push(describeViolation(violation));
  return { faults, outcome, convergedMs };
}

function outcomeOf(
  world: World,
  entries: readonly JournalEntry[],
  viewOf: (party: Party) => PartyView | undefined,
): Outcome | undefined {
  const [pne, gw2, server, gw1] = PARTIES.map(viewOf);
  if (!pne || !gw2 || !server || !gw1) return undefined;
  const join = entries.findLast(({ signed }) => signed !== undefined)?.signed;
  return judge({
    server: server as ServerView,
    gw2: gw2 as GatewayView,
    gw1: gw1 as GatewayView,
    pne: pne as PneView,
    told: { ...world.told, join },
  });
}

function withDefect(plans: Script['plans'], defect: CellOptions['defect']): { [P in Party]?: LifePlan } {
  return defect ? { ...plans, [defect.party]: { ...plans[defect.party], defect: defect.kind } } : plans;
}

/** @returns whether the work was done in time; what it throws is thrown */
async function within(work: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), ms);
  });
  try {
    return (await Promise.race([work, late])) !== 'late';
  } finally {
    clearTimeout(timer);
  }
}

function onAbort(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
