/**
 * Parties with one rule broken each, to see that the exploration finds it: actions of the real machines are wrapped in
 * place for as long as a search runs, and put back. What each breaks is a rule of docs/protocol.md §12 or §13.
 */
import type { Bytes } from '../../src/base/bytes.ts';
import { GATEWAY_MACHINE } from '../../src/establishment/gateway.ts';
import { HOME_GATEWAY_MACHINE } from '../../src/establishment/home-gateway.ts';
import type { Step } from '../../src/establishment/machine.ts';
import { PNE_MACHINE } from '../../src/establishment/pne.ts';
import { SERVER_MACHINE } from '../../src/establishment/server.ts';
import type { ServerChange } from '../../src/establishment/server-types.ts';
import { PneConfirmResponsePayload } from '../../src/messages/confirmation.ts';
import { PnSetupNotify } from '../../src/messages/setup.ts';
import { MemoryServerDisk } from './disk-server.ts';
import type { Limits } from './explore.ts';
import { IN_TIME } from './scene.ts';

type AnyOutput = { readonly kind: string } & Readonly<Record<string, unknown>>;
type AnyStep = Step<string, AnyOutput>;
// biome-ignore lint/suspicious/noExplicitAny: a mutant takes any machine's memory and input
type AnyAction = (data: any, input: any, state: any, nowMs: number) => AnyStep;

export interface Mutant {
  readonly what: string;
  /** One of these must be found. */
  readonly finds: RegExp;
  /** For each PNE its home. */
  readonly homeOf: readonly number[];
  readonly limits: Pick<Limits, 'faults' | 'attempts' | 'noes'>;
  /** @returns how to mend it again */
  readonly apply: () => () => void;
}

type Definition = { readonly actions: object };

/** Wraps one action of a machine. */
function wrapped(
  definition: Definition,
  action: string,
  wrap: (original: AnyAction) => AnyAction,
): () => void {
  const actions = definition.actions as Record<string, AnyAction>;
  const original = actions[action];
  if (!original) throw new TypeError(`no action ${action}`);
  actions[action] = wrap(original);
  return () => {
    actions[action] = original;
  };
}

const outputs = (
  definition: Definition,
  action: string,
  change: (outputs: readonly AnyOutput[]) => AnyOutput[],
) =>
  wrapped(definition, action, (original) => (...given) => {
    const step = original(...given);
    return { to: step.to, outputs: change(step.outputs) };
  });

/** What `kind` does, last of all. */
const last = (kind: string) => (all: readonly AnyOutput[]) => [
  ...all.filter((output) => output.kind !== kind),
  ...all.filter((output) => output.kind === kind),
];

const both =
  (...mutants: readonly (() => () => void)[]) =>
  () => {
    const mends = mutants.map((apply) => apply());
    return () => {
      for (const mend of mends) mend();
    };
  };

const ONE = [0];
const SMALL = { faults: 1, attempts: 1, noes: 0 };

export const MUTANTS: readonly Mutant[] = [
  {
    what: 'a PNE sends step 6 before the pending join is on its disk',
    ...{ finds: /^S5/, homeOf: ONE, limits: SMALL },
    apply: () => {
      let kept: readonly AnyOutput[] = [];
      return both(
        () =>
          outputs(PNE_MACHINE, 'verifyChallenge', (all) => {
            kept = all.filter(({ kind }) => kind === 'persistPending');
            return all.filter(({ kind }) => kind !== 'persistPending');
          }),
        () => outputs(PNE_MACHINE, 'respond', (all) => [...all, ...kept]),
      )();
    },
  },
  {
    what: 'a PNE forgets its pending join with the link',
    ...{ finds: /^S5/, homeOf: ONE, limits: SMALL },
    apply: () =>
      wrapped(PNE_MACHINE, 'closeQuietly', (original) => (data, input, state, nowMs) => {
        const { to, outputs: all } = original(data, input, state, nowMs);
        const forget = { kind: 'forgetPending', th3: data.join?.th3 ?? new Uint8Array(32) };
        return { to, outputs: [forget, ...all] };
      }),
  },
  {
    what: 'a home gateway sends its answer before it is on its disk',
    ...{ finds: /^S[14]|alarm/, homeOf: ONE, limits: { faults: 1, attempts: 1, noes: 1 } },
    apply: () => outputs(HOME_GATEWAY_MACHINE, 'answer', last('saveAnswer')),
  },
  {
    what: 'the server takes a no for a yes',
    ...{ finds: /^S1/, homeOf: ONE, limits: { faults: 0, attempts: 1, noes: 1 } },
    apply: () =>
      wrapped(SERVER_MACHINE, 'decide', (original) => (data, input, state, nowMs) => {
        const { decode } = PneConfirmResponsePayload;
        const deaf = (bytes: Bytes) => ({ ...decode(bytes), reason: 'ok' as const });
        Object.assign(PneConfirmResponsePayload, { decode: deaf });
        try {
          return original(data, input, state, nowMs);
        } finally {
          Object.assign(PneConfirmResponsePayload, { decode });
        }
      }),
  },
  {
    what: 'the server takes a yes that comes after the deadline',
    ...{ finds: /after its deadline/, homeOf: ONE, limits: SMALL },
    apply: both(
      () =>
        wrapped(
          SERVER_MACHINE,
          'decide',
          (original) => (data, input, state, nowMs) =>
            original(data, { ...input, now: IN_TIME }, state, nowMs),
        ),
      () =>
        outputs(SERVER_MACHINE, 'commitRegistration', (all) =>
          all.map((output) =>
            output.kind === 'commit'
              ? { ...output, change: { ...(output['change'] as object), notAfter: Number.MAX_SAFE_INTEGER } }
              : output,
          ),
        ),
    ),
  },
  {
    what: 'the server commits a decision though the row has changed meanwhile',
    ...{ finds: /^S4/, homeOf: ONE, limits: { faults: 2, attempts: 1, noes: 0 } },
    apply: () => {
      const { commit } = MemoryServerDisk.prototype;
      MemoryServerDisk.prototype.commit = function (this: MemoryServerDisk, change: ServerChange, clock) {
        const row = change.to === 'registered' ? this.registration(change.key) : undefined;
        const forced = row && { ...change, from: row.state, notAfter: Number.MAX_SAFE_INTEGER };
        commit.call(this, (forced ?? change) as ServerChange, clock);
      };
      return () => {
        MemoryServerDisk.prototype.commit = commit;
      };
    },
  },
  {
    what: 'the server tells nobody of a refusal',
    ...{ finds: /no legal end|S5/, homeOf: ONE, limits: { faults: 0, attempts: 1, noes: 1 } },
    apply: () =>
      outputs(SERVER_MACHINE, 'commitRefusal', (all) =>
        all.map((output) =>
          output.kind === 'commit'
            ? { ...output, change: { ...(output['change'] as object), outbox: [] } }
            : output,
        ),
      ),
  },
  {
    what: 'the initiating gateway writes nothing down before step 7',
    ...{ finds: /no legal end/, homeOf: ONE, limits: { faults: 0, attempts: 1, noes: 0 } },
    apply: () =>
      outputs(GATEWAY_MACHINE, 'relayResponse', (all) => all.filter(({ kind }) => kind !== 'persistJoin')),
  },
  {
    what: 'gateway and PNE take any inventory of the network for the join’s own',
    ...{ finds: /^S2/, homeOf: [0, 1], limits: { faults: 0, attempts: 1, noes: 0 } },
    apply: both(
      () =>
        wrapped(GATEWAY_MACHINE, 'notify', (original) => (data, input, state, nowMs) => {
          const { inventory, version } = input;
          const settlement = input.settlement ?? { status: 'ok', inventory, version };
          return original(data, { kind: 'settled', settlement }, state, nowMs);
        }),
      () => {
        const row = GATEWAY_MACHINE.table['awaiting-outcome'];
        const { updated, settled } = row;
        Object.assign(row, { updated: settled });
        return () => Object.assign(row, { updated });
      },
      () =>
        wrapped(PNE_MACHINE, 'takeNotify', (original) => (data, input, state, nowMs) => {
          const notify = PnSetupNotify.decode(input.body);
          const step = original(data, input, state, nowMs);
          if (notify.status !== 'ok' || step.to === 'member') return step;
          const join = { ...data.join, state: 'member', version: 1 };
          return { to: 'member', outputs: [{ kind: 'persistMember', join, inventory: notify.inventory }] };
        }),
    ),
  },
];
