/**
 * The PNE's table, cell by cell: each state × each kind of input, with what is carried out and in which order; deadlines;
 * and that nothing is left pending where nothing was signed (docs/protocol.md §6, §8, §10, §12).
 */
import assert from 'node:assert/strict';
import type { Status } from '../../src/base/statuses.ts';
import { AUTHENTICATED_LIMIT, LIVE_LIMIT } from '../../src/establishment/limits.ts';
import { PNE_MACHINE } from '../../src/establishment/pne.ts';
import { PNE_DEADLINES, type PneInputKind, type PneState } from '../../src/establishment/pne-table.ts';
import type { PneInput } from '../../src/establishment/pne-types.ts';
import { Abort, Waiting } from '../../src/messages/setup.ts';
import { GARBAGE, NOW } from './bench.ts';
import { type PneBench, pneAt, stepOf } from './pne-bench.ts';
import { checkTable, type Row, summary } from './table-check.ts';

type PneRow = Row<PneBench, PneState, PneInput>;

const STATES = Object.keys(PNE_DEADLINES).concat('member') as PneState[];
const KINDS: readonly PneInputKind[] = [
  'opened',
  'PnSetupRequest',
  'AuthenticationChallenge',
  'PnSetupNotify',
  'PnInventoryUpdate',
  'Resume',
  'Freshness',
  'ServerKeys',
  'Waiting',
  'Abort',
  'Data',
  'decided',
  'signed',
  'failed',
  'timeout',
  'linkClosed',
  'stop',
];
const AUTHENTICATED = `limit ${AUTHENTICATED_LIMIT}`;
const LIVE = `limit ${LIVE_LIMIT}`;
const abort = (status: Exclude<Status, 'ok'>): PneInput => ({
  kind: 'Abort',
  body: Abort.encode({ status }),
});
const waiting = (): PneInput => ({ kind: 'Waiting', body: Waiting.encode({ status: 'awaiting-user' }) });

/** What ends a link, in every state; in `signing` the pending join goes with it. */
function ends(at: PneState): PneRow[] {
  const forget = at === 'signing' ? ['forgetPending'] : [];
  // A PNE that said no ends with its own word, however the link ends.
  const named = (close: string) => (at === 'declined' ? 'close declined' : close);
  const row = (on: PneInput['kind'], input: () => PneInput, close: string, when?: string): PneRow => ({
    ...{ at, on, input, to: 'closed', says: [...forget, close] },
    ...(when !== undefined && { when }),
  });
  return [
    row('Abort', () => abort('busy'), 'close busy'),
    row('Abort', () => ({ kind: 'Abort', body: GARBAGE }), 'close malformed', 'malformed'),
    row('failed', () => ({ kind: 'failed', status: 'cannot-persist' }), 'close cannot-persist, abort'),
    ...(at === 'member' ? [] : [row('timeout', () => ({ kind: 'timeout' }), named('close timeout, abort'))]),
    row('linkClosed', () => ({ kind: 'linkClosed', status: 'link-lost' }), named('close link-lost')),
    row(
      'stop',
      () => ({ kind: 'stop' }),
      at === 'signing' ? 'close shutting-down' : 'close shutting-down, abort',
    ),
  ];
}

const pendingOutcome = (at: PneState): PneRow[] => [
  {
    ...{ at, on: 'PnSetupNotify', when: 'registered', to: 'member' },
    input: ({ table }) => ({ kind: 'PnSetupNotify', body: table.notify() }),
    says: ['persistMember', 'send Ack', LIVE, 'joined'],
  },
  {
    ...{ at, on: 'PnSetupNotify', when: 'refused', to: 'closed' },
    input: ({ table }) => ({ kind: 'PnSetupNotify', body: table.notifyRefused('user-refused') }),
    says: ['forgetPending', 'send Ack', 'refused', 'close user-refused'],
  },
  { at, on: 'Waiting', input: waiting, to: at, says: [] },
];

const freshness = (at: PneState): PneRow[] => [
  {
    ...{ at, on: 'Freshness', to: at, says: ['persistFloor'] },
    input: ({ table }) => ({ kind: 'Freshness', body: table.freshness() }),
  },
  {
    ...{ at, on: 'Freshness', when: 'revoked', to: 'closed', says: ['close revoked-gateway, abort'] },
    input: ({ table }) => ({ kind: 'Freshness', body: table.freshness({ status: 'revoked-gateway' }) }),
  },
];

const update = (on: 'PnSetupNotify' | 'PnInventoryUpdate'): PneRow[] => [
  {
    ...{ at: 'member', on, to: 'member', says: ['persistMember', 'send Ack', LIVE, 'updated'] },
    input: ({ table }) => ({ kind: on, body: table.notify(table.inventory({ version: 2 })) }),
  },
  {
    ...{
      at: 'member',
      on,
      when: 'without this join',
      to: 'closed',
      says: ['close inventory-invalid, abort'],
    },
    input: ({ table }) => ({
      kind: on,
      body: table.notify(
        table.inventory({
          version: 2,
          member: { handle: 2, joinId: table.joinId.map((b) => b ^ 1) as typeof table.joinId },
        }),
      ),
    }),
  },
];

const newServerKeys = (at: 'resuming' | 'member'): readonly PneRow[] => [
  {
    ...{ at, on: 'ServerKeys', to: at, says: ['persistServerKeys'] },
    input: ({ table }) => ({ kind: 'ServerKeys', body: table.operator.serverKeysStatement(NOW) }),
  },
  {
    ...{ at, on: 'ServerKeys', when: 'not newer', to: 'closed', says: ['close credential-invalid, abort'] },
    input: ({ table }) => ({ kind: 'ServerKeys', body: table.operator.serverKeysStatement(0) }),
  },
];

const ROWS: readonly PneRow[] = [
  ...STATES.filter((state) => state !== 'closed').flatMap(ends),
  { at: 'opening', on: 'opened', input: stepOf, to: 'awaiting-setup-request', says: [] },
  {
    ...{ at: 'opening', on: 'opened', when: 'resumption', to: 'awaiting-resume', says: [AUTHENTICATED] },
    input: ({ table }) => ({ ...table.opened, join: table.knownJoin() }),
  },
  { at: 'awaiting-setup-request', on: 'PnSetupRequest', input: stepOf, to: 'deciding', says: ['ask'] },
  {
    ...{ at: 'awaiting-setup-request', on: 'PnSetupRequest', when: 'not enrolled', to: 'declined' },
    bench: () => pneAt('awaiting-setup-request', { identity: { homeAddress: undefined } }),
    input: stepOf,
    says: ['send PnSetupResponse'],
  },
  {
    ...{ at: 'awaiting-setup-request', on: 'PnSetupRequest', when: 'malformed', to: 'closed' },
    input: () => ({ kind: 'PnSetupRequest', body: GARBAGE }),
    says: ['close malformed, abort'],
  },
  {
    ...{ at: 'deciding', on: 'decided', when: 'yes', input: stepOf, to: 'awaiting-challenge' },
    says: ['send PnSetupResponse', AUTHENTICATED],
  },
  {
    ...{ at: 'deciding', on: 'decided', when: 'no', to: 'declined', says: ['send PnSetupResponse'] },
    input: () => ({ kind: 'decided', status: 'declined' }),
  },
  {
    ...{ at: 'declined', on: 'ServerKeys', to: 'closed', says: ['persistServerKeys', 'close ok'] },
    input: ({ table }) => ({ kind: 'ServerKeys', body: table.operator.serverKeysStatement(NOW) }),
  },
  {
    ...{ at: 'awaiting-challenge', on: 'AuthenticationChallenge', input: stepOf, to: 'signing' },
    says: ['persistPending', 'sign'],
  },
  {
    ...{
      at: 'awaiting-challenge',
      on: 'AuthenticationChallenge',
      when: 'not for this session',
      to: 'closed',
    },
    input: ({ table }) => ({
      kind: 'AuthenticationChallenge',
      body: table.makeChallenge({ th2: table.th1 }),
    }),
    says: ['close challenge-invalid, abort'],
  },
  {
    ...{ at: 'signing', on: 'signed', input: stepOf, to: 'awaiting-notify' },
    says: ['send AuthenticationResponse', 'advance'],
  },
  ...pendingOutcome('awaiting-notify'),
  ...pendingOutcome('resuming'),
  ...freshness('resuming'),
  ...freshness('member'),
  ...newServerKeys('resuming'),
  ...newServerKeys('member'),
  {
    ...{ at: 'awaiting-resume', on: 'Resume', to: 'member', says: ['send Resumed', LIVE, 'resumed'] },
    input: (bench) => bench.resume(),
  },
  {
    ...{ at: 'awaiting-resume', on: 'Resume', when: 'pending', to: 'resuming', says: ['send Resumed'] },
    bench: () => pneAt('opening').resuming({ state: 'pending', version: 0 }),
    input: (bench) => bench.resume(),
  },
  {
    ...{ at: 'awaiting-resume', on: 'Resume', when: 'another PN', to: 'closed' },
    input: (bench) => bench.resume(bench.table.joinId.slice(0, 8) as Parameters<PneBench['resume']>[0]),
    says: ['close unknown-session, abort'],
  },
  ...update('PnSetupNotify'),
  ...update('PnInventoryUpdate'),
  { at: 'member', on: 'Waiting', input: waiting, to: 'member', says: [] },
  {
    at: 'member',
    on: 'timeout',
    input: () => ({ kind: 'timeout' }),
    to: 'closed',
    says: ['close timeout, abort'],
  },
  { at: 'member', on: 'Data', input: () => ({ kind: 'Data', body: GARBAGE }), to: 'member', says: ['data'] },
];

checkTable(PNE_MACHINE, {
  enter: pneAt,
  rows: ROWS,
  kinds: KINDS,
  unexpected: 'unexpected-message',
  stray: (kind, bench): PneInput => {
    if (kind === 'opened') return bench.table.opened;
    if (kind === 'decided') return { kind, status: 'ok' };
    if (kind === 'signed') return { kind, signature: new Uint8Array(64) };
    if (kind === 'failed' || kind === 'linkClosed') return { kind, status: 'internal' };
    if (kind === 'timeout' || kind === 'stop') return { kind };
    return { kind, body: GARBAGE };
  },
});

describe('PNE: deadlines', () => {
  for (const [state, afterMs] of Object.entries(PNE_DEADLINES) as [PneState, number][]) {
    it(`${state}: ${afterMs} ms, then timeout; pending only if it was signed`, () => {
      const bench = pneAt(state);
      assert.equal(bench.machine.deadlineAt, bench.nowMs + afterMs);
      bench.nowMs += afterMs;
      const close = state === 'declined' ? 'close declined' : 'close timeout, abort';
      assert.ok(summary(bench.feed({ kind: 'timeout' })).includes(close));
      assert.equal(bench.machine.state, 'closed');
      assert.equal(bench.machine.deadlineAt, undefined);
      assert.equal(bench.disk.pending.size, bench.disk.signed);
    });
  }

  it('a member waits for ever, and Waiting begins the wait for step 13 anew', () => {
    assert.equal(pneAt('member').machine.deadlineAt, undefined);
    for (const state of ['awaiting-notify', 'resuming'] as const) {
      const bench = pneAt(state);
      bench.nowMs += 59_000;
      bench.feed(waiting());
      assert.equal(bench.machine.deadlineAt, bench.nowMs + 60_000);
    }
  });

  it('an Abort, a lost link and a stop leave nothing pending before step 6, and the pending join after it', () => {
    const stops: readonly PneInput[] = [
      abort('busy'),
      { kind: 'linkClosed', status: 'link-lost' },
      { kind: 'stop' },
    ];
    for (const state of STATES.filter((each) => each !== 'closed' && each !== 'member'))
      for (const input of stops) {
        const bench = pneAt(state);
        bench.feed(input);
        assert.equal(bench.disk.pending.size, bench.disk.signed, `${state} × ${input.kind}`);
      }
  });

  it('so does a message that does not belong while step 6 is being signed', () => {
    for (const kind of ['Data', 'Waiting', 'PnSetupNotify', 'ServerKeys'] as const) {
      const bench = pneAt('signing');
      assert.deepEqual(summary(bench.feed({ kind, body: GARBAGE })), [
        'forgetPending',
        'close unexpected-message, abort',
      ]);
      assert.equal(bench.disk.pending.size, 0, kind);
    }
  });
});
