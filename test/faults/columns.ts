/**
 * The columns of the fault matrix: what goes wrong, and how it is brought about at the exact instant that a row's points
 * name. Owns the faults; processes and radio are world.ts's. A cell that can't be is `na` with its reason.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Prng } from '../../src/base/prng.ts';
import type { LifePlan } from './party.ts';
import { type OwnFault, PARTIES, type Party, type Trap } from './plan.ts';
import { STALLED_CONFIRM_SECONDS, type StepRow } from './steps.ts';
import type { World } from './world.ts';

/** How one cell goes. */
export interface Script {
  readonly plans: { readonly [P in Party]?: LifePlan };
  /** Lines for the server's configuration. */
  readonly serverConfig?: string;
  /** Waits for the instant, does it, and settles when faults have stopped and the killed are started again. */
  readonly strike: (world: World, prng: Prng) => Promise<void>;
  /** Longest that strike takes of itself, milliseconds; most of it nobody works. */
  readonly lastsMs: number;
}

export interface NotApplicable {
  readonly na: string;
}

export interface Column {
  readonly id: string;
  readonly title: string;
  readonly script: (row: StepRow) => Script | NotApplicable;
}

/** A killed process is started again within this time. */
const DOWN_MS = 300;
const DISK_FULL_MS = 2_000;
const HOUR_MS = 3_600_000;
/** Over a deadline, so that its owner has acted on it. */
const MARGIN_MS = 1_500;
/** An operator looks at the clock of a server that does not trust it. */
const OPERATOR_MS = 1_000;
const LOOK_MS = 10;

/** Keeps nothing alive: a cell that was interrupted is not waited for. */
const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms).unref());

function trapAt(row: StepRow, when: Trap['when']): Pick<Script, 'plans'> {
  const point = row.points[when];
  if (!point) throw new Error(`step ${row.step} has no ${when}`);
  return { plans: { [row.handler]: { trap: { point, when } } } };
}

/** Stops the handler, does something, and lets it go on when it still can. */
function atTrap(
  row: StepRow,
  when: Trap['when'],
  act: (world: World, prng: Prng) => Promise<void> | void,
  then: (world: World, prng: Prng) => Promise<void> = async () => {},
  lastsMs = 0,
): Script {
  return {
    ...trapAt(row, when),
    lastsMs,
    strike: async (world, prng) => {
      const handler = world.parties[row.handler];
      await handler.stopped;
      await act(world, prng);
      handler.tell('go');
      await then(world, prng);
    },
  };
}

function kill(party: Party, when: 'before' | 'after'): Column {
  return {
    id: `kill-${party}-${when}`,
    title: `${party} killed ${when}`,
    script: (row) => killed(row, party, when),
  };
}

function killed(row: StepRow, party: Party, when: Trap['when']): Script {
  const back = async (world: World, prng: Prng) => {
    await sleep(prng.next() * DOWN_MS);
    await world.restart(party);
  };
  return atTrap(row, when, (world) => world.kill(party), back, DOWN_MS);
}

const killBetween: Column = {
  id: 'kill-between',
  title: 'handler killed between its write and what follows',
  script: (row) =>
    row.points.between
      ? killed(row, row.handler, 'between')
      : { na: 'its handler writes nothing of its own, or nothing else' },
};

const dropLink: Column = {
  id: 'link',
  title: 'link dropped',
  script: (row) =>
    atTrap(row, 'before', (world) => {
      if (!world.dropLink()) throw new Error('there was no link to drop');
    }),
};

/** A fault that a process makes by itself. */
function byItself(party: Party, fault: OwnFault): Script {
  return {
    plans: { [party]: { fault } },
    lastsMs: 0,
    strike: (world) => world.parties[party].done,
  };
}

function reset(when: 'before' | 'after'): Column {
  return {
    id: `reset-${when}`,
    title: `connection reset ${when} it acted`,
    script: (row) => {
      const { way, handler } = row;
      if (way?.over === 'request')
        return byItself('server', { kind: 'reset-request', route: way.route, when });
      if (way?.over === 'channel') return byItself('server', { kind: 'reset-frame', frame: way.frame, when });
      // No HTTPS message is under way: whatever connections there are go.
      if (handler !== 'server') return atTrap(row, when, (world) => world.parties.server.resetConnections());
      return {
        ...trapAt(row, when),
        lastsMs: 0,
        strike: async (world) => {
          await world.parties.server.stopped;
          world.parties.server.tell('reset');
          await world.parties.server.done;
        },
      };
    },
  };
}

const stall: Column = {
  id: 'stall',
  title: 'handler stalled beyond the deadline',
  script: (row) => {
    const lastsMs = row.stall.deadlineMs + MARGIN_MS;
    const script = atTrap(
      row,
      'before',
      async (world) => {
        const handler = world.parties[row.handler];
        handler.signal('SIGSTOP');
        await sleep(lastsMs);
        handler.signal('SIGCONT');
      },
      undefined,
      lastsMs,
    );
    if (row.stall.waits !== 'server') return script;
    return { ...script, serverConfig: `[limits]\nconfirm_online_seconds = ${STALLED_CONFIRM_SECONDS}\n` };
  },
};

const twiceOnTheWay: Column = {
  id: 'twice-sent',
  title: 'delivered twice',
  script: ({ way }) => {
    if (way?.over === 'ble') {
      return {
        plans: { [way.sender]: { trap: { point: way.sends, when: 'before' } } },
        lastsMs: 0,
        strike: async (world) => {
          const sender = world.parties[way.sender];
          await sender.stopped;
          world.radio.setFaults({ repeatValues: 1 });
          sender.tell('go');
          while ((world.radio.radio.dice.faults.repeatValues ?? 0) > 0) await sleep(LOOK_MS);
        },
      };
    }
    if (way?.over === 'channel') return byItself('server', { kind: 'frame-twice', frame: way.frame });
    if (way?.over === 'request') {
      const client = way.route === 'confirmation' ? 'gw1' : 'gw2';
      return byItself(client, { kind: 'request-twice', route: way.route });
    }
    return { na: way ? 'one answer to one request: HTTP has no second' : 'no single message carries it' };
  },
};

const twiceHandled: Column = {
  id: 'twice-handled',
  title: 'handed to the machine twice',
  script: ({ way, handler }) =>
    way && 'fed' in way
      ? byItself(handler, { kind: 'input-twice', machine: way.fed[0], input: way.fed[1] })
      : { na: 'the column before hands it over twice' },
};

const restartServer: Column = {
  id: 'server-restart',
  title: 'server restarted',
  script: (row) => {
    if (row.handler !== 'server') {
      return atTrap(
        row,
        'before',
        (world) => world.terminate('server'),
        (world) => world.restart('server'),
      );
    }
    return {
      ...trapAt(row, 'before'),
      lastsMs: 0,
      strike: async (world) => {
        await world.parties.server.stopped;
        const ended = world.terminate('server');
        world.parties.server.tell('go');
        await ended;
        await world.restart('server');
      },
    };
  },
};

const fullDisk: Column = {
  id: 'disk-full',
  title: "handler's disk full",
  script: (row) => atTrap(row, 'before', ...diskFullFor(row.handler), DISK_FULL_MS),
};

/** Where a handler writes more than once, its disk may also fill up between the first write and the last. */
const fullDiskLater: Column = {
  id: 'disk-full-later',
  title: "handler's disk full before its last write",
  script: (row) => {
    const { before, between } = row.points;
    if (!between || isDeepStrictEqual(between, before))
      return { na: 'its handler writes nothing, or the column before is that instant' };
    const points = { ...row.points, before: between };
    return atTrap({ ...row, points }, 'before', ...diskFullFor(row.handler), DISK_FULL_MS);
  },
};

/** What is done while the handler stands, and what afterwards. */
function diskFullFor(party: Party): [(world: World) => void, (world: World) => Promise<void>] {
  return [
    (world) => world.parties[party].setDiskFull(true),
    async (world) => {
      await sleep(DISK_FULL_MS);
      world.parties[party].setDiskFull(false);
    },
  ];
}

function clock(party: Party, hours: 1 | -1): Column {
  const offsetMs = hours * HOUR_MS;
  return {
    id: `clock-${party}${hours > 0 ? '+' : '-'}1h`,
    title: `${party}'s clock ${hours > 0 ? '+' : '−'}1 h`,
    script: (row) =>
      atTrap(
        row,
        'before',
        (world) => world.parties[party].setClock(offsetMs),
        async (world) => {
          if (party !== 'server' || hours > 0) return;
          // The server signs nothing under such a clock until it is told (docs/protocol.md §4.3).
          await sleep(OPERATOR_MS);
          world.acceptServerClock(offsetMs);
        },
        OPERATOR_MS,
      ),
  };
}

export const COLUMNS: readonly Column[] = [
  ...PARTIES.flatMap((party) => [kill(party, 'before'), kill(party, 'after')]),
  killBetween,
  dropLink,
  reset('before'),
  reset('after'),
  stall,
  twiceOnTheWay,
  twiceHandled,
  restartServer,
  fullDisk,
  fullDiskLater,
  ...PARTIES.flatMap((party) => [clock(party, 1), clock(party, -1)]),
];
