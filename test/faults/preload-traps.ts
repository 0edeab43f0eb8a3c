/**
 * Where a process under test stops: at one input of one machine, at one message it hands to the link, or at one method.
 * Wraps prototypes of the product's classes, so that the product needs no hook. Outputs of a machine are watched through
 * their iterator: the drivers take the next one when the one before was carried out and awaited, which is the very place.
 */
import { Machine } from '../../src/establishment/machine.ts';
import { HomeGatewayNode } from '../../src/nodes/gateway/home-gateway.ts';
import { Registrations } from '../../src/nodes/gateway/registrations.ts';
import { NetworkStore } from '../../src/store/gateway-networks.ts';
import type { Point, ToProcess, Trap, TrappedMethod, When } from './plan.ts';
import { stop } from './preload-wire.ts';

/** Outputs that are one durable write. */
const DURABLE: ReadonlySet<string> = new Set([
  'commit',
  'persistPending',
  'persistMember',
  'persistJoin',
  'persistAcknowledged',
  'saveAnswer',
  'settle',
]);

interface AnyOutput {
  readonly kind: string;
  readonly message?: unknown;
}
type Handle = (this: AnyMachine, input: { readonly kind: string }, nowMs: number) => readonly AnyOutput[];
interface AnyMachine {
  readonly definition: { readonly name: string };
  readonly state: string;
  readonly data: unknown;
}

/** What the others want to know of every machine's outputs, just before each is carried out. */
export type OutputWatcher = (machine: AnyMachine, output: AnyOutput) => void;

const METHODS: Readonly<Record<TrappedMethod, { readonly prototype: object }>> = {
  onConfirmRequest: HomeGatewayNode,
  onRegistrationResponse: Registrations,
  saveInventory: NetworkStore,
};

/** Once a trap has closed it is gone. */
class Once {
  readonly #trap: Trap;
  readonly #obey: (word: ToProcess) => void;
  #closed = false;

  constructor(trap: Trap, obey: (word: ToProcess) => void) {
    this.#trap = trap;
    this.#obey = obey;
  }

  /** Which point it waits at; nothing once it closed. */
  get point(): Point | undefined {
    return this.#closed ? undefined : this.#trap.point;
  }

  reach(when: When): void {
    if (this.#closed || this.#trap.when !== when) return;
    this.#closed = true;
    this.#obey(stop(when));
  }

  /** The point is behind: what was sent leaves first, when the point says so. */
  reachAfter(point: Point): void {
    const turn = 'turn' in point && point.turn === true;
    // Two turns: the link's flush is a microtask, the socket's write happens in the poll phase that follows.
    if (turn) setImmediate(() => setImmediate(() => this.reach('after')));
    else this.reach('after');
  }
}

export function installTraps(
  trap: Trap | undefined,
  obey: (word: ToProcess) => void,
  onOutput: OutputWatcher,
): void {
  const once = trap && new Once(trap, obey);
  const prototype = Machine.prototype as unknown as { handle: Handle };
  const original = prototype.handle;
  prototype.handle = function handle(input, nowMs) {
    const at = matching(once, this, input.kind);
    if (at) once?.reach('before');
    const outputs = original.call(this, input, nowMs);
    return watched(this, outputs, once, at, onOutput);
  };
  if (once && trap && 'method' in trap.point) wrapMethod(once, trap.point);
}

function matching(once: Once | undefined, machine: AnyMachine, input: string): Point | undefined {
  const point = once?.point;
  if (!point || !('input' in point) || point.input !== input) return undefined;
  return point.machine === machine.definition.name && point.state === machine.state ? point : undefined;
}

function watched(
  machine: AnyMachine,
  outputs: readonly AnyOutput[],
  once: Once | undefined,
  at: Point | undefined,
  onOutput: OutputWatcher,
): readonly AnyOutput[] {
  const list = [...outputs];
  function* carriedOut(): Generator<AnyOutput> {
    let written = false;
    for (const output of outputs) {
      if (at && written) once?.reach('between');
      const point = once?.point;
      if (point && 'sends' in point && sends(machine, output, point)) once?.reach('before');
      onOutput(machine, output);
      written = DURABLE.has(output.kind);
      yield output;
    }
    if (at && written) once?.reach('between');
    if (at) once?.reachAfter(at);
  }
  Object.defineProperty(list, Symbol.iterator, { value: carriedOut });
  return list;
}

function sends(machine: AnyMachine, output: AnyOutput, point: Extract<Point, { sends: string }>): boolean {
  return (
    machine.definition.name === point.machine && output.kind === 'send' && output.message === point.sends
  );
}

function wrapMethod(once: Once, point: Extract<Point, { method: TrappedMethod }>): void {
  const prototype = METHODS[point.method].prototype as Record<string, (...args: unknown[]) => unknown>;
  const original = prototype[point.method];
  if (!original) throw new Error(`no method ${point.method}`);
  prototype[point.method] = function wrapped(...args) {
    once.reach('before');
    const result = original.apply(this, args);
    once.reachAfter(point);
    return result;
  };
}
