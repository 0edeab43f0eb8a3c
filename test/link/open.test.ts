/** Opening a link: what both sides agree on, every refusal and its Reject, the deadline (docs/protocol.md §5.1, §8). */
import assert from 'node:assert/strict';
import { concat, fromHex, toHex } from '../../src/base/bytes.ts';
import type { Status } from '../../src/base/statuses.ts';
import { Link } from '../../src/link/link.ts';
import { LINK_KINDS, type OpenRequest } from '../../src/link/open.ts';
import { parseSegment } from '../../src/link/segment.ts';
import { type CborValue, decodeCbor, encodeCbor } from '../../src/messages/cbor.ts';
import { Reject } from '../../src/messages/link.ts';
import { derivePrk1, transcript1 } from '../../src/security/key-schedule.ts';
import { segment } from './helpers.ts';
import { ACCEPT_ALL, Pair, PRIMITIVES, RMS, SECRET, SESSION } from './pair.ts';

const REQUESTS: readonly OpenRequest[] = [
  { kind: 'establish' },
  { kind: 'enrol', secret: SECRET },
  { kind: 'resume', rms: RMS },
];

type Edit = (open: Map<number | string, CborValue>) => void;

/** A peripheral PNE's OPEN, changed, as one segment; and one of a central gateway. */
function openSegment(
  edit: Edit,
  side: 'central' | 'peripheral',
  bare: { body?: Uint8Array } = {},
): Uint8Array {
  const fields = new Map<number | string, CborValue>([
    [1, [1]],
    [2, [1]],
    [3, side === 'central' ? 2 : 1],
    [4, 244],
    [5, 32],
    [6, PRIMITIVES.generateEphemeral().x],
  ]);
  if (side === 'central') fields.set(7, 1);
  edit(fields);
  const payload = concat(Uint8Array.of(0), bare.body ?? encodeCbor(fields));
  return segment({ start: true, end: true, payload });
}

describe('link opening', () => {
  for (const peripheral of ['pne', 'gateway'] as const)
    for (const request of REQUESTS)
      it(`agrees for ${request.kind} with the ${peripheral} as the peripheral`, () => {
        const pair = new Pair({ peripheral, request });
        pair.settle();
        const [opened, same] = [pair.central.event('opened'), pair.peripheral.event('opened')];
        assert.ok(opened && same);
        const { sessionRef: _, ...rest } = opened;
        const { sessionRef, ...others } = same;
        assert.deepEqual(rest, others);
        assert.equal(sessionRef, request.kind === 'resume' ? SESSION.ref : undefined);
        assert.equal(opened.linkKind, request.kind);
        assert.equal((decodeCbor(opened.openG) as Map<number, CborValue>).get(3), 2);
        assert.equal((decodeCbor(opened.openP) as Map<number, CborValue>).get(3), 1);
        assert.deepEqual(
          opened.th1,
          transcript1(PRIMITIVES, LINK_KINDS[request.kind], opened.openG, opened.openP),
        );
        pair.central.link.send(1, Uint8Array.of(1));
        pair.peripheral.link.send(2, Uint8Array.of(2));
        pair.settle();
        assert.deepEqual(
          [pair.central, pair.peripheral].map((end) => end.messages().map(({ type }) => type)),
          [[2], [1]],
        );
        const epoch = request.kind === 'resume' ? 1 : 0;
        for (const end of [pair.central, pair.peripheral])
          assert.equal(parseSegment(end.sent[1] ?? new Uint8Array()).epoch, epoch);
      });

  it('mixes the secret of its kind into PRK1', () => {
    const ephemeral = PRIMITIVES.generateEphemeral();
    const link = new Link(
      {
        side: 'central',
        role: 'gateway',
        transportSegmentBytes: 244,
        credits: 32,
        primitives: PRIMITIVES,
        ephemeral,
        request: { kind: 'enrol', secret: SECRET },
      },
      0,
    );
    const peer = PRIMITIVES.generateEphemeral();
    link.receive(
      openSegment((fields) => fields.set(6, peer.x), 'peripheral'),
      0,
    );
    const [opened] = link.takeEvents();
    assert.ok(opened?.kind === 'opened');
    assert.deepEqual(
      opened.prk1,
      derivePrk1(PRIMITIVES, opened.th1, concat(peer.agree(ephemeral.x), SECRET)),
    );
  });

  it('works in segments of 20 bytes, and settles on the smaller size', () => {
    const pair = new Pair({ segmentBytes: [20, 185] });
    pair.settle();
    assert.ok(pair.peripheral.event('opened'));
    assert.equal(pair.central.link.segmentBytes, 20);
    assert.equal(pair.peripheral.link.segmentBytes, 20);
  });

  it('fails on a record when the secrets differ', () => {
    const pair = Pair.open({
      request: { kind: 'enrol', secret: SECRET },
      accept: { ...ACCEPT_ALL, enrolSecret: new Uint8Array(12) },
    });
    pair.central.link.send(20, new Uint8Array(40));
    pair.settle();
    assert.deepEqual(pair.peripheral.event('closed'), { kind: 'closed', status: 'record-failed', by: 'us' });
    assert.equal(pair.peripheral.messages().length, 0);
  });

  it('does not mind a keep-alive or a grant before OPEN', () => {
    const pair = new Pair();
    pair.central.link.receive(fromHex('0800'), pair.nowMs);
    pair.central.link.receive(fromHex('0805'), pair.nowMs);
    pair.settle();
    assert.ok(pair.central.event('opened'));
  });
});

describe('link opening is refused', () => {
  const alike: readonly (readonly [string, Edit, Status])[] = [
    ['no common version', (f) => f.set(1, [2, 3]), 'version-mismatch'],
    ['another suite first', (f) => f.set(2, [2, 1]), 'suite-mismatch'],
    ['the same role', (f) => f.set(3, f.get(3) === 1 ? 2 : 1), 'unexpected-message'],
    ['an ephemeral beyond p', (f) => f.set(6, new Uint8Array(32).fill(0xff)), 'malformed'],
    [
      'an ephemeral off the curve',
      (f) => f.set(6, concat(new Uint8Array(31), Uint8Array.of(1))),
      'malformed',
    ],
    ['segments below 20 bytes', (f) => f.set(4, 19), 'malformed'],
    ['no credits', (f) => f.set(5, 0), 'malformed'],
    ['an unknown key', (f) => f.set(9, 0), 'malformed'],
    ['kind on the wrong side', (f) => (f.has(7) ? f.delete(7) : f.set(7, 1)), 'malformed'],
    ['no versions', (f) => f.set(1, []), 'malformed'],
  ];
  const fromCentral: readonly (readonly [string, Edit, Status])[] = [
    ['rid with kind 1', (f) => f.set(8, new Uint8Array(8)), 'malformed'],
    ['kind 3 without rid', (f) => f.set(7, 3), 'malformed'],
    ['an unknown kind', (f) => f.set(7, 4), 'malformed'],
    ['an unknown session', (f) => f.set(7, 3).set(8, new Uint8Array(8)), 'unknown-session'],
  ];
  const cases = [
    ...alike.flatMap(([what, edit, status]) => [
      { what, edit, status, from: 'central' as const },
      { what, edit, status, from: 'peripheral' as const },
    ]),
    ...fromCentral.map(([what, edit, status]) => ({ what, edit, status, from: 'central' as const })),
  ];
  for (const { what, edit, status, from } of cases)
    it(`from the ${from}: ${what}`, () => {
      const pair = new Pair();
      const end = from === 'central' ? pair.peripheral : pair.central;
      end.pump(pair.nowMs);
      end.sent.length = 0;
      end.link.receive(openSegment(edit, from), pair.nowMs);
      assert.equal(end.link.closed, false, 'Reject goes out first');
      end.pump(pair.nowMs);
      assert.deepEqual(end.events, [{ kind: 'closed', status, by: 'us' }]);
      assert.equal(end.link.farewell, true);
      const [reject] = end.sent;
      assert.ok(reject && end.sent.length === 1);
      const { payload, ...header } = parseSegment(reject);
      assert.deepEqual([header.lane, header.epoch, header.start, header.end], [0, 0, true, true]);
      assert.equal(payload[0], 42);
      assert.equal(Reject.decode(payload.subarray(1)).status, status);
    });

  for (const [what, accept, request, status] of [
    ['establishment, when busy', { establish: false, sessions: [] }, { kind: 'establish' }, 'busy'],
    [
      'enrolment, without a code',
      { establish: true, sessions: [] },
      { kind: 'enrol', secret: SECRET },
      'enrolment-code-spent',
    ],
    [
      'resumption of a stranger',
      { establish: true, sessions: [] },
      { kind: 'resume', rms: RMS },
      'unknown-session',
    ],
  ] as const)
    it(`${what}, and both sides know`, () => {
      const pair = new Pair({ accept, request });
      pair.settle();
      assert.deepEqual(pair.peripheral.events, [{ kind: 'closed', status, by: 'us' }]);
      assert.deepEqual(pair.central.events.at(-1), { kind: 'closed', status, by: 'peer' });
    });

  it('by a Reject in the place of OPEN', () => {
    const pair = new Pair();
    const body = concat(Uint8Array.of(42), Reject.encode({ status: 'busy' }));
    pair.central.link.receive(segment({ start: true, end: true, payload: body }), pair.nowMs);
    assert.deepEqual(pair.central.link.takeEvents(), [{ kind: 'closed', status: 'busy', by: 'peer' }]);
    assert.equal(pair.central.link.nextSegment(pair.nowMs), undefined);
  });

  it('when the bytes of OPEN are no CBOR', () => {
    const pair = new Pair();
    pair.central.link.receive(
      openSegment(() => {}, 'peripheral', { body: fromHex('bf01') }),
      pair.nowMs,
    );
    pair.central.pump(pair.nowMs);
    assert.deepEqual(pair.central.event('closed'), { kind: 'closed', status: 'malformed', by: 'us' });
  });

  it('when OPEN does not come within 2 s', () => {
    const pair = new Pair();
    for (const end of [pair.central, pair.peripheral]) {
      end.pump(pair.nowMs);
      assert.equal(end.link.deadlineAt, pair.nowMs + 2000);
      end.link.handleTimeout(pair.nowMs + 1999);
      assert.equal(end.link.closed, false);
      end.link.handleTimeout(pair.nowMs + 2000);
      assert.deepEqual(end.link.takeEvents(), [{ kind: 'closed', status: 'timeout', by: 'us' }]);
      assert.equal(end.link.deadlineAt, undefined);
    }
  });

  it('by a link violation when something else comes first', () => {
    const others: readonly (readonly [Uint8Array, Status])[] = [
      [segment({ start: true, end: true, lane: 1, payload: 30 }), 'link-violation'],
      [segment({ start: true, end: true, epoch: 1, payload: 30 }), 'link-violation'],
      [segment({ start: true, end: true, payload: 129 }), 'link-violation'],
      [segment({ start: true, length: 129, payload: 30 }), 'link-violation'],
      [segment({ start: true, end: true, payload: Uint8Array.of(7, 0xa0) }), 'unexpected-message'],
      [segment({ start: true, end: true, payload: fromHex('2aa10100') }), 'malformed'],
    ];
    for (const [bytes, status] of others) {
      const { central, nowMs } = new Pair();
      central.link.receive(bytes, nowMs);
      assert.deepEqual(central.link.takeEvents(), [{ kind: 'closed', status, by: 'us' }], toHex(bytes));
      assert.equal(central.link.nextSegment(nowMs), undefined);
    }
  });
});
