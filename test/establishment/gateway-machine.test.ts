/**
 * The initiating gateway's table, cell by cell, and its deadlines (docs/protocol.md §6, §8, §10, §12). Persist before
 * step 7: the order of the outputs is asserted.
 */
import assert from 'node:assert/strict';
import { GATEWAY_MACHINE } from '../../src/establishment/gateway.ts';
import {
  GATEWAY_DEADLINES,
  type GatewayInputKind,
  type GatewayState,
} from '../../src/establishment/gateway-table.ts';
import type { GatewayInput } from '../../src/establishment/gateway-types.ts';
import { AUTHENTICATED_LIMIT, LIVE_LIMIT } from '../../src/establishment/limits.ts';
import { Abort } from '../../src/messages/setup.ts';
import { GARBAGE, NOW } from './bench.ts';
import { awaitingStep2WithKeys, GatewayBench, gatewayAt, resumingWith, stepOf } from './gateway-bench.ts';
import { checkTable, type Row, summary } from './table-check.ts';

type GatewayRow = Row<GatewayBench, GatewayState, GatewayInput>;

const KINDS: readonly GatewayInputKind[] = [
  'opened',
  'signed',
  'PnSetupResponse',
  'AuthenticationResponse',
  'Ack',
  'Resumed',
  'Abort',
  'Data',
  'challenged',
  'refused',
  'settled',
  'waiting',
  'updated',
  'freshness',
  'failed',
  'timeout',
  'linkClosed',
  'stop',
];
const STATES = Object.keys(GATEWAY_MACHINE.table) as GatewayState[];
const LIVE = `limit ${LIVE_LIMIT}`;
const AUTHENTICATED = `limit ${AUTHENTICATED_LIMIT}`;
/** While one of these lasts the server may say anything about the PN or the join at any time. */
const WITH_JOIN: readonly GatewayState[] = [
  'awaiting-response',
  'awaiting-outcome',
  'notifying',
  'refusing',
  'awaiting-resumed',
  'member',
  'updating',
];

function ends(at: GatewayState): GatewayRow[] {
  const row = (
    on: GatewayInput['kind'],
    input: () => GatewayInput,
    says: string,
    when?: string,
  ): GatewayRow => ({
    ...{ at, on, input, to: 'closed', says: [says] },
    ...(when !== undefined && { when }),
  });
  const quiet = at === 'sending-keys';
  return [
    row('Abort', () => ({ kind: 'Abort', body: Abort.encode({ status: 'busy' }) }), 'close busy'),
    row('Abort', () => ({ kind: 'Abort', body: GARBAGE }), 'close malformed', 'malformed'),
    row('failed', () => ({ kind: 'failed', status: 'cannot-persist' }), 'close cannot-persist, abort'),
    ...(at === 'awaiting-outcome'
      ? []
      : [row('timeout', () => ({ kind: 'timeout' }), quiet ? 'close timeout' : 'close timeout, abort')]),
    row('linkClosed', () => ({ kind: 'linkClosed', status: 'link-lost' }), 'close link-lost'),
    row('stop', () => ({ kind: 'stop' }), 'close shutting-down, abort'),
  ];
}

/** The server's word in a state where it changes nothing at once. */
function passedOver(at: GatewayState, on: 'settled' | 'waiting' | 'updated', when?: string): GatewayRow {
  const input = (bench: GatewayBench): GatewayInput => {
    if (on === 'settled') return at === 'refusing' ? bench.settled(bench.refused()) : bench.settled();
    return on === 'updated' ? bench.updated(2) : { kind: 'waiting', status: 'awaiting-user' };
  };
  return { at, on, input, to: at, says: [], ...(when !== undefined && { when }) };
}

const freshness = (at: GatewayState): GatewayRow => ({
  ...{ at, on: 'freshness', to: at, says: ['send Freshness'] },
  input: ({ table }) => ({ kind: 'freshness', statement: table.freshness() }),
});

/** An Ack in a state that awaits one, when a newer inventory came meanwhile. */
function overtaken(state: 'notifying' | 'updating'): GatewayBench {
  const bench = gatewayAt(state);
  bench.feed(bench.updated(5));
  return bench;
}

const ROWS: readonly GatewayRow[] = [
  ...STATES.filter((state) => state !== 'closed').flatMap(ends),
  { at: 'opening', on: 'opened', input: stepOf, to: 'signing', says: ['sign'] },
  {
    ...{ at: 'opening', on: 'opened', when: 'resumption', to: 'awaiting-resumed' },
    bench: () => new GatewayBench({ resume: 1 }),
    input: stepOf,
    says: ['send Resume', AUTHENTICATED],
  },
  {
    at: 'signing',
    on: 'signed',
    input: stepOf,
    to: 'awaiting-setup-response',
    says: ['send PnSetupRequest'],
  },
  {
    ...{ at: 'awaiting-setup-response', on: 'PnSetupResponse', when: 'join', to: 'awaiting-challenge' },
    input: stepOf,
    says: [AUTHENTICATED, 'provisional', 'register'],
  },
  {
    ...{ at: 'awaiting-setup-response', on: 'PnSetupResponse', when: 'decline', to: 'closed' },
    input: (bench) => bench.message('PnSetupResponse', bench.table.decline('declined')),
    says: ['close declined'],
  },
  {
    ...{ at: 'awaiting-setup-response', on: 'PnSetupResponse', when: 'unknown key', to: 'sending-keys' },
    bench: () => awaitingStep2WithKeys(),
    input: (bench) => bench.message('PnSetupResponse', bench.table.decline('credential-unknown-key')),
    says: ['send ServerKeys'],
  },
  {
    ...{ at: 'awaiting-challenge', on: 'challenged', input: stepOf, to: 'awaiting-response' },
    says: ['send AuthenticationChallenge'],
  },
  {
    ...{ at: 'awaiting-challenge', on: 'challenged', when: 'not for this session', to: 'closed' },
    input: ({ table }) => ({ kind: 'challenged', challenge: table.makeChallenge({ th2: table.th1 }) }),
    says: ['close challenge-invalid, abort'],
  },
  {
    ...{ at: 'awaiting-challenge', on: 'refused', to: 'closed', says: ['close pn-id-collision, abort'] },
    input: () => ({ kind: 'refused', status: 'pn-id-collision' }),
  },
  {
    ...{ at: 'awaiting-response', on: 'AuthenticationResponse', input: stepOf, to: 'awaiting-outcome' },
    says: ['persistJoin', 'advance', 'respond'],
  },
  {
    ...{ at: 'awaiting-response', on: 'AuthenticationResponse', when: 'malformed', to: 'closed' },
    input: (bench) => bench.message('AuthenticationResponse', GARBAGE),
    says: ['close malformed, abort'],
  },
  {
    ...{ at: 'awaiting-outcome', on: 'waiting', to: 'awaiting-outcome', says: [] },
    input: () => ({ kind: 'waiting', status: 'awaiting-home-gateway' }),
  },
  {
    ...{ at: 'awaiting-outcome', on: 'timeout', to: 'awaiting-outcome', says: ['send Waiting'] },
    input: () => ({ kind: 'timeout' }),
  },
  { at: 'awaiting-outcome', on: 'settled', input: stepOf, to: 'notifying', says: ['send PnSetupNotify'] },
  {
    ...{
      at: 'awaiting-outcome',
      on: 'settled',
      when: 'refused',
      to: 'refusing',
      says: ['send PnSetupNotify'],
    },
    input: (bench) => bench.settled(bench.refused()),
  },
  ...WITH_JOIN.filter((state) => state !== 'member').map((state) => passedOver(state, 'updated')),
  ...WITH_JOIN.filter((state) => state !== 'awaiting-outcome').map((state) => passedOver(state, 'waiting')),
  ...WITH_JOIN.filter((at) => at !== 'awaiting-outcome' && at !== 'awaiting-response').map((state) =>
    passedOver(state, 'settled', 'again'),
  ),
  ...(['awaiting-outcome', 'notifying', 'member', 'updating'] as const).map(freshness),
  {
    ...{ at: 'notifying', on: 'Ack', to: 'member', says: ['persistAcknowledged', LIVE, 'live'] },
    input: (bench) => bench.ack(),
  },
  {
    ...{ at: 'notifying', on: 'Ack', when: 'overtaken', bench: () => overtaken('notifying'), to: 'updating' },
    input: (bench) => bench.ack(),
    says: ['persistAcknowledged', 'send PnInventoryUpdate'],
  },
  {
    ...{ at: 'notifying', on: 'Ack', when: 'not written', to: 'closed', says: ['close cannot-persist'] },
    input: (bench) => bench.ack('cannot-persist'),
  },
  {
    ...{ at: 'refusing', on: 'Ack', to: 'closed', says: ['persistAcknowledged', 'close user-refused'] },
    input: (bench) => bench.ack(),
  },
  {
    ...{ at: 'awaiting-resumed', on: 'Resumed', when: 'up to date', to: 'member' },
    input: (bench) => bench.resumed(1),
    says: ['persistAcknowledged', 'fetchFreshness', LIVE, 'live'],
  },
  {
    ...{
      at: 'awaiting-resumed',
      on: 'Resumed',
      when: 'behind',
      bench: () => resumingWith(3),
      to: 'updating',
    },
    input: (bench) => bench.resumed(1),
    says: ['persistAcknowledged', 'fetchFreshness', 'send PnInventoryUpdate'],
  },
  {
    ...{ at: 'awaiting-resumed', on: 'Resumed', when: 'registered meanwhile', to: 'notifying' },
    input: (bench) => bench.resumed(0),
    says: ['send PnSetupNotify'],
  },
  {
    ...{ at: 'awaiting-resumed', on: 'Resumed', when: 'refused meanwhile', to: 'refusing' },
    bench: () => resumingWith('not-owned'),
    input: (bench) => bench.resumed(0),
    says: ['send PnSetupNotify'],
  },
  {
    ...{ at: 'awaiting-resumed', on: 'Resumed', when: 'still open', to: 'awaiting-outcome' },
    bench: () => resumingWith(0),
    input: (bench) => bench.resumed(0),
    says: ['send Waiting'],
  },
  {
    ...{ at: 'awaiting-resumed', on: 'Resumed', when: 'a no', to: 'closed', says: ['close busy, abort'] },
    input: (bench) => bench.resumed(0, 'busy'),
  },
  {
    ...{ at: 'awaiting-resumed', on: 'Resumed', when: 'registered meanwhile, older keys', to: 'notifying' },
    bench: () => resumingWith(1, true),
    input: (bench) => bench.resumed(0, 'ok', NOW - 1),
    says: ['send ServerKeys', 'send PnSetupNotify'],
  },
  {
    ...{ at: 'awaiting-resumed', on: 'Resumed', when: 'behind, the same keys', to: 'updating' },
    bench: () => resumingWith(3, true),
    input: (bench) => bench.resumed(1, 'ok', NOW),
    says: ['persistAcknowledged', 'fetchFreshness', 'send PnInventoryUpdate'],
  },
  { at: 'member', on: 'updated', input: stepOf, to: 'updating', says: ['send PnInventoryUpdate'] },
  {
    ...{ at: 'member', on: 'updated', when: 'older', to: 'member', says: [] },
    input: (bench) => bench.updated(1),
  },
  ...(['member', 'updating'] as const).map(
    (at): GatewayRow => ({
      at,
      on: 'Data',
      input: (b) => b.message('Data', GARBAGE),
      to: at,
      says: ['data'],
    }),
  ),
  { at: 'updating', on: 'Ack', input: (bench) => bench.ack(), to: 'member', says: [LIVE, 'live'] },
  {
    ...{ at: 'updating', on: 'Ack', when: 'overtaken', bench: () => overtaken('updating'), to: 'updating' },
    input: (bench) => bench.ack(),
    says: ['send PnInventoryUpdate'],
  },
  {
    ...{ at: 'updating', on: 'Ack', when: 'not written', to: 'closed', says: ['close cannot-persist'] },
    input: (bench) => bench.ack('cannot-persist'),
  },
];

checkTable(GATEWAY_MACHINE, {
  enter: gatewayAt,
  rows: ROWS,
  kinds: KINDS,
  unexpected: 'unexpected-message',
  stray: (kind, bench): GatewayInput => {
    if (kind === 'opened') return bench.table.opened;
    if (kind === 'signed') return { kind, signature: new Uint8Array(64) };
    if (kind === 'challenged') return { kind, challenge: GARBAGE };
    if (kind === 'settled') return bench.settled();
    if (kind === 'updated') return bench.updated(2);
    if (kind === 'waiting') return { kind, status: 'awaiting-user' };
    if (kind === 'freshness') return { kind, statement: GARBAGE };
    if (kind === 'refused' || kind === 'failed' || kind === 'linkClosed') return { kind, status: 'internal' };
    if (kind === 'timeout' || kind === 'stop') return { kind };
    return { kind, body: GARBAGE };
  },
});

describe('gateway: newer server keys', () => {
  it('go ahead of the first thing they may have signed, once', () => {
    const bench = resumingWith(1, true);
    bench.feed(bench.resumed(1, 'ok', NOW - 1));
    const freshness: GatewayInput = { kind: 'freshness', statement: bench.table.freshness() };
    assert.deepEqual(summary(bench.feed(freshness)), ['send ServerKeys', 'send Freshness']);
    assert.deepEqual(summary(bench.feed(freshness)), ['send Freshness']);
    assert.deepEqual(summary(bench.feed(bench.updated(2))), ['send PnInventoryUpdate']);
  });

  it('are not sent to a PNE that does not say which it has', () => {
    const bench = resumingWith(1, true);
    bench.feed(bench.resumed(1));
    assert.deepEqual(summary(bench.feed(bench.updated(2))), ['send PnInventoryUpdate']);
  });
});

describe('gateway: deadlines', () => {
  for (const [state, afterMs] of Object.entries(GATEWAY_DEADLINES) as [GatewayState, number][])
    it(`${state}: ${afterMs} ms`, () => {
      const bench = gatewayAt(state);
      assert.equal(bench.machine.deadlineAt, bench.nowMs + afterMs);
      bench.nowMs += afterMs;
      const [says = ''] = summary(bench.feed({ kind: 'timeout' }));
      if (state === 'awaiting-outcome') {
        assert.equal(says, 'send Waiting');
        assert.equal(bench.machine.deadlineAt, bench.nowMs + afterMs, 'said again and again');
      } else {
        assert.ok(says.startsWith('close timeout'));
        assert.equal(bench.machine.deadlineAt, undefined);
      }
    });

  it('a member waits for ever', () => assert.equal(gatewayAt('member').machine.deadlineAt, undefined));
});
