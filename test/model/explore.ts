/**
 * Goes through every state that can be reached, nearest first, so that what goes wrong is found on a shortest path; then
 * looks back from the legal ends over the moves that need no fault: a state from which none can be reached is one from
 * which the parties never come together again, though nothing goes wrong any more.
 */
import { endOf, MENDED_BY_INVITING } from './ends.ts';
import { Crash, Gate, type GatePlan } from './gate.ts';
import { Graph, Numbers } from './graph.ts';
import { keyOfWorld } from './key.ts';
import { type Bounds, crash, type Move, movesOf } from './moves.ts';
import { checkSafety, violate } from './safety.ts';
import type { Scene } from './scene.ts';
import { copyWorld, firstWorld, memoryDisks, type World } from './world.ts';

export interface Limits extends Bounds {
  readonly faults: number;
  /** How often a person may say no. */
  readonly noes: number;
  /** Give up behind so many states; nothing is claimed then. */
  readonly maxStates: number;
}

export interface Finding {
  readonly what: string;
  /** The moves that lead there, in order. */
  readonly path: readonly string[];
}

export interface Report {
  readonly complete: boolean;
  readonly states: number;
  readonly transitions: number;
  /** Moves on the longest of the shortest paths. */
  readonly depth: number;
  readonly elapsedMs: number;
  /** States in which nothing more has to happen, by their end. */
  readonly ends: Readonly<Record<string, number>>;
  /** Ends that are none only because no further attempt is allowed here, by what is missing. */
  readonly cut: Readonly<Record<string, number>>;
  readonly finding: Finding | undefined;
}

/** A world that one move leads to. */
export interface Successor {
  readonly label: string;
  readonly world: World;
  readonly isFree: boolean;
}

/** Everything one move may lead to: its own end, and the acting party dead or refused by its disk on the way. */
export async function* successorsOf(world: World, move: Move, isResting: boolean): AsyncGenerator<Successor> {
  const cost = costOf(move, isResting);
  if (cost > world.faults) return;
  const straight = await make(world, move, cost, {});
  yield { label: move.label, world: straight.world, isFree: cost === 0 };
  if (cost + 1 > world.faults || !move.by) return;
  for (let done = 1; done < straight.gate.effects; done++) {
    const { world: next } = await make(world, move, cost + 1, { crashAfter: done });
    yield { label: `${move.label}: ${move.by} is killed after effect ${done}`, world: next, isFree: false };
  }
  for (let write = 1; write <= straight.gate.writes; write++) {
    const { world: next } = await make(world, move, cost + 1, { refuseWrite: write });
    yield { label: `${move.label}: the disk refuses write ${write}`, world: next, isFree: false };
  }
}

function costOf({ kind }: Move, isResting: boolean): number {
  if (kind === 'fault') return 1;
  return (kind === 'late' || kind === 'later') && !isResting ? 1 : 0;
}

async function make(
  world: World,
  move: Move,
  cost: number,
  plan: GatePlan,
): Promise<{ world: World; gate: Gate }> {
  const gate = new Gate(plan);
  const next = copyWorld(world, gate);
  next.faults -= cost;
  try {
    await move.run(next);
  } catch (error) {
    // A write that is refused in a handler of the channel: the frame is not acknowledged and comes again.
    if (plan.refuseWrite === undefined && !(error instanceof Crash))
      violate(next, `a machine threw: ${error instanceof Error ? error.message : error}`);
  }
  if (gate.dead && move.by) {
    next.gate = new Gate();
    const alive = copyWorld(next, next.gate);
    crash(alive, move.by);
    checkSafety(world, alive);
    return { world: alive, gate };
  }
  checkSafety(world, next);
  return { world: next, gate };
}

/** What the moves of a state say of it. */
export function outlook(moves: readonly Move[]): { readonly isResting: boolean; readonly isFinal: boolean } {
  const has = (kind: Move['kind']) => moves.some((move) => move.kind === kind);
  const isResting = !has('must');
  return { isResting, isFinal: isResting && !has('late') && !has('later') };
}

export async function explore(
  scene: Scene,
  limits: Limits,
  onProgress: (states: number, depth: number, waiting: number) => void = () => {},
): Promise<Report> {
  const startedMs = performance.now();
  const search = new Search(scene, limits);
  const finding = await search.run(onProgress);
  const complete = search.complete && !finding;
  return {
    complete,
    states: search.states,
    transitions: search.transitions,
    depth: search.depth,
    ends: search.ends,
    cut: search.cut,
    finding: finding ?? (complete ? search.astray() : undefined),
    elapsedMs: performance.now() - startedMs,
  };
}

class Search {
  readonly #limits: Limits;
  readonly #first: World;
  readonly #numbers = new Map<string, number>();
  readonly #parents = new Numbers();
  readonly #labels = new Numbers();
  readonly #labelNumbers = new Map<string, number>();
  readonly #free = new Graph();
  readonly #targets: number[] = [];
  readonly ends: Record<string, number> = {};
  transitions = 0;
  depth = 0;
  readonly cut: Record<string, number> = {};
  complete = true;

  constructor(scene: Scene, limits: Limits) {
    this.#limits = limits;
    this.#first = firstWorld(scene, memoryDisks(scene), limits.faults, limits.noes);
    this.#enter(keyOfWorld(this.#first), -1, '');
  }

  get states(): number {
    return this.#numbers.size;
  }

  async run(
    onProgress: (states: number, depth: number, waiting: number) => void,
  ): Promise<Finding | undefined> {
    let level: [number, World][] = [[0, this.#first]];
    for (; level.length > 0; this.depth++) {
      onProgress(this.states, this.depth, level.length);
      const next: [number, World][] = [];
      for (let index = 0; index < level.length; index++) {
        const entry = level[index];
        if (!entry) continue;
        // What was looked at may go: the next level is all that is needed.
        level[index] = undefined as unknown as [number, World];
        const finding = await this.#expand(entry, next);
        if (finding) return finding;
        if (this.states > this.#limits.maxStates) {
          this.complete = false;
          return undefined;
        }
      }
      if (next.length === 0) break;
      level = next;
    }
    return undefined;
  }

  async #expand([number, world]: [number, World], next: [number, World][]): Promise<Finding | undefined> {
    const moves = movesOf(world, this.#limits);
    const { isResting, isFinal } = outlook(moves);
    if (isFinal) {
      const why = this.#end(
        number,
        world,
        moves.some(({ kind }) => kind === 'may'),
      );
      if (why) return { what: `no legal end: ${why}`, path: this.#path(number) };
    }
    for (const move of moves)
      for await (const successor of successorsOf(world, move, isResting)) {
        this.transitions++;
        const key = keyOfWorld(successor.world);
        const known = this.#numbers.get(key);
        const to = known ?? this.#enter(key, number, successor.label);
        if (successor.isFree && to !== number) this.#free.add(number, to);
        if (known !== undefined) continue;
        const { violation } = successor.world;
        if (violation) return { what: violation, path: this.#path(to) };
        next.push([to, successor.world]);
      }
    return undefined;
  }

  /** @returns why it is no end, where nobody can do anything about it */
  #end(number: number, world: World, mayGoOn: boolean): string | undefined {
    const end = endOf(world);
    if (end.kind !== 'illegal') this.ends[end.kind] = (this.ends[end.kind] ?? 0) + 1;
    else if (mayGoOn) return undefined;
    else if (MENDED_BY_INVITING.has(end.why)) this.cut[end.why] = (this.cut[end.why] ?? 0) + 1;
    else return end.why;
    this.#targets.push(number);
    return undefined;
  }

  #enter(key: string, parent: number, label: string): number {
    const number = this.#numbers.size;
    this.#numbers.set(key, number);
    this.#parents.push(parent);
    const known = this.#labelNumbers.get(label) ?? this.#labelNumbers.size;
    this.#labelNumbers.set(label, known);
    this.#labels.push(known);
    return number;
  }

  #path(to: number): string[] {
    const labels = [...this.#labelNumbers.keys()];
    const path: string[] = [];
    for (let at = to; at > 0; at = this.#parents.at(at)) path.push(labels[this.#labels.at(at)] ?? '');
    return path.reverse();
  }

  /** The nearest state from which no end is reached without a fault. */
  astray(): Finding | undefined {
    const lost = this.#free.firstAstray(this.states, this.#targets);
    if (lost === undefined) return undefined;
    return { what: 'no legal end can be reached from here without a fault', path: this.#path(lost) };
  }
}
