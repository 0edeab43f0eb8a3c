/** The link at work: records, lanes, limits, keep-alive, ends, misuse, and every violation with its status (§3). */
import assert from 'node:assert/strict';
import { fromHex } from '../../src/base/bytes.ts';
import type { Status } from '../../src/base/statuses.ts';
import { parseSegment } from '../../src/link/segment.ts';
import { padPnSetupResponse, unpadPnSetupResponse } from '../../src/messages/setup.ts';
import { pattern, segment } from './helpers.ts';
import { countPayloads, type End, Pair, PRIMITIVES, RMS } from './pair.ts';

const PRK2 = new Uint8Array(32).fill(9);

/** The segments of one message, taken off the wire. */
function segmentsOf(pair: Pair, end: End, type: number, bytes: number, lane: 0 | 1 = 0): Uint8Array[] {
  end.link.send(type, pattern(bytes), lane);
  end.pump(pair.nowMs);
  return end.wire.splice(0);
}

function assertClosed(end: End, nowMs: number, status: Status): void {
  const before = end.sent.length;
  end.pump(nowMs);
  assert.deepEqual(end.events.at(-1), { kind: 'closed', status, by: 'us' });
  assert.equal(end.link.closed, true);
  assert.equal(end.sent.length, before, 'nothing is sent after a violation');
  assert.equal(end.messages().length, 0, 'no plaintext comes out');
  assert.equal(end.link.deadlineAt, undefined);
}

describe('link messages', () => {
  for (const bytes of [0, 1, 226, 227, 1024, 16_384, 65_518])
    it(`of ${bytes} bytes cross both ways at once`, () => {
      const pair = Pair.open({ segmentBytes: [244, 244] });
      for (const end of [pair.central, pair.peripheral]) end.link.send(64, pattern(bytes), 1);
      pair.settle();
      for (const end of [pair.central, pair.peripheral]) {
        assert.deepEqual(end.messages(), [{ kind: 'message', type: 64, lane: 1, body: pattern(bytes) }]);
        assert.deepEqual(end.events.map(({ kind }) => kind).sort(), ['drained', 'message', 'opened']);
      }
    });

  it('of the control lane overtake a long one of the data lane', () => {
    const pair = Pair.open({ credits: [4, 4] });
    pair.central.link.send(64, pattern(5000), 1);
    pair.central.pump(pair.nowMs);
    pair.central.link.send(15, pattern(20));
    pair.settle();
    assert.deepEqual(
      pair.peripheral.messages().map(({ type }) => type),
      [15, 64],
    );
  });

  it('keep their bytes when the sender reuses its array', () => {
    const pair = Pair.open();
    const body = pattern(300);
    pair.central.link.send(64, body, 1);
    body.fill(0);
    pair.settle();
    assert.deepEqual(pair.peripheral.messages()[0]?.body, pattern(300));
  });

  it('are padded to whole segments on request', () => {
    const pair = Pair.open();
    const body = fromHex('a10010');
    pair.peripheral.link.send(2, body, 0, { padTo: padPnSetupResponse(body).length });
    pair.settle();
    assert.equal(pair.peripheral.sent.at(-1)?.length, 244);
    const [message] = pair.central.messages();
    assert.ok(message);
    assert.equal(message.body.length, 226);
    assert.deepEqual(unpadPnSetupResponse(message.body), body);
  });

  it('tell when a lane has drained, once', () => {
    const pair = Pair.open();
    pair.central.link.send(64, pattern(10), 1);
    pair.central.link.send(64, pattern(2000), 1);
    assert.equal(pair.central.link.queuedBytes(1), 10 + 2000 + 34);
    pair.settle();
    assert.equal(pair.central.link.queuedBytes(1), 0);
    assert.deepEqual(pair.central.events.slice(1), [{ kind: 'drained', lane: 1 }]);
  });
});

describe('link epochs', () => {
  it('change with the next message; epoch 0 is read until the first of epoch 1', () => {
    const pair = Pair.open();
    const { central, peripheral } = pair;
    central.link.send(5, pattern(3));
    central.link.advance(PRK2);
    central.link.send(13, pattern(4));
    peripheral.link.advance(PRK2);
    pair.settle();
    assert.deepEqual(
      peripheral.messages().map(({ type }) => type),
      [5, 13],
    );
    assert.deepEqual(
      central.sent.slice(-2).map((bytes) => parseSegment(bytes).epoch),
      [0, 1],
    );
  });

  it('do not go back', () => {
    const pair = Pair.open();
    const old = segmentsOf(pair, pair.central, 1, 10);
    const next = segmentsOf(pair, pair.central, 1, 10);
    for (const end of [pair.central, pair.peripheral]) end.link.advance(PRK2);
    const traffic = segmentsOf(pair, pair.central, 1, 10);
    for (const [i, bytes] of [old, traffic, next].flat().entries()) {
      bytes[0] = ((bytes[0] ?? 0) & 0xf8) | ((i + 1) & 7);
      pair.peripheral.link.receive(bytes, pair.nowMs);
    }
    pair.peripheral.events.push(...pair.peripheral.link.takeEvents());
    assert.deepEqual(pair.peripheral.events.at(-1), { kind: 'closed', status: 'record-failed', by: 'us' });
    assert.equal(pair.peripheral.messages().length, 2);
  });

  it('advance only in an establishment, once', () => {
    const pair = Pair.open();
    pair.central.link.advance(PRK2);
    assert.throws(() => pair.central.link.advance(PRK2), TypeError);
    assert.throws(() => new Pair().central.link.advance(PRK2), TypeError);
    const resumed = Pair.open({ request: { kind: 'resume', rms: RMS } });
    assert.throws(() => resumed.central.link.advance(PRK2), TypeError);
  });
});

describe('link violations', () => {
  /** What is done to an open pair before the peripheral looks at its last segment, and the status it closes with. */
  const cases: readonly (readonly [string, Status, (pair: Pair) => readonly Uint8Array[]])[] = [
    ['an empty segment', 'link-violation', () => [new Uint8Array(0)]],
    [
      'a segment of 245 bytes',
      'link-violation',
      () => [segment({ start: true, end: true, seq: 1, payload: 244 })],
    ],
    ['a header alone', 'link-violation', () => [fromHex('c1')]],
    ['a bare segment with a sequence number', 'link-violation', () => [fromHex('0900')]],
    [
      'a sequence number left out',
      'link-violation',
      (pair) => segmentsOf(pair, pair.central, 1, 900).toSpliced(1, 1),
    ],
    [
      'a segment twice',
      'link-violation',
      (pair) => segmentsOf(pair, pair.central, 1, 900).flatMap((one) => [one, one]),
    ],
    [
      'START within a message',
      'link-violation',
      () => [
        segment({ start: true, length: 90, payload: 20, seq: 1 }),
        segment({ start: true, length: 90, payload: 20, seq: 2 }),
      ],
    ],
    ['no START', 'link-violation', () => [segment({ end: true, payload: 20, seq: 1 })]],
    [
      'EPOCH changing within a message',
      'link-violation',
      () => [
        segment({ start: true, length: 40, payload: 20, seq: 1 }),
        segment({ end: true, epoch: 1, payload: 20, seq: 2 }),
      ],
    ],
    [
      'more payload than the length',
      'link-violation',
      () => [
        segment({ start: true, length: 30, payload: 20, seq: 1 }),
        segment({ end: true, payload: 11, seq: 2 }),
      ],
    ],
    [
      'less payload than the length',
      'link-violation',
      () => [
        segment({ start: true, length: 30, payload: 20, seq: 1 }),
        segment({ end: true, payload: 9, seq: 2 }),
      ],
    ],
    [
      'a length not above its own payload',
      'link-violation',
      () => [segment({ start: true, length: 20, payload: 20, seq: 1 })],
    ],
    [
      'a length beyond the limit',
      'link-violation',
      () => [segment({ start: true, length: 2049, payload: 20, seq: 1 })],
    ],
    ['more than 255 credits by grant', 'link-violation', () => [fromHex('08ff')]],
    [
      'a segment without credit',
      'link-violation',
      () =>
        Array.from({ length: 33 }, (_, i) =>
          segment({ start: i === 0, payload: 20, seq: (i + 1) & 7, ...(i === 0 && { length: 2000 }) }),
        ),
    ],
    [
      'a record too short for its tag in epoch 1',
      'link-violation',
      () => [segment({ start: true, end: true, epoch: 1, payload: 16, seq: 1 })],
    ],
    [
      'a plaintext message of the data lane',
      'link-violation',
      () => [segment({ start: true, end: true, lane: 1, payload: fromHex('2aa10112'), seq: 1 })],
    ],
    [
      'epoch 1 before its keys',
      'record-failed',
      () => [segment({ start: true, end: true, epoch: 1, payload: 17, seq: 1 })],
    ],
    [
      'plaintext other than Reject',
      'unexpected-message',
      () => [segment({ start: true, end: true, payload: fromHex('28a10110'), seq: 1 })],
    ],
    [
      'a Reject that is no CBOR',
      'malformed',
      () => [segment({ start: true, end: true, payload: fromHex('2aff'), seq: 1 })],
    ],
    [
      'a changed bit',
      'record-failed',
      (pair) => {
        const segments = segmentsOf(pair, pair.central, 1, 900);
        const middle = segments[2];
        if (middle) middle[100] = (middle[100] ?? 0) ^ 1;
        return segments;
      },
    ],
    [
      'a record of the other lane',
      'record-failed',
      (pair) => segmentsOf(pair, pair.central, 1, 30).map((one) => one.with(0, (one[0] ?? 0) | 0x20)),
    ],
    ['a record of this side, reflected', 'record-failed', (pair) => segmentsOf(pair, pair.peripheral, 1, 30)],
  ];
  for (const [what, status, make] of cases)
    it(`${what}: ${status}`, () => {
      const pair = new Pair();
      pair.settle();
      const segments = make(pair);
      for (const one of segments) {
        assert.equal(pair.peripheral.link.takeEvents().length, 0);
        pair.peripheral.link.receive(one, pair.nowMs);
        if (pair.peripheral.link.closed) break;
      }
      assertClosed(pair.peripheral, pair.nowMs, status);
    });

  it('a record repeated, with a lawful sequence number', () => {
    const pair = Pair.open();
    const [first] = segmentsOf(pair, pair.central, 1, 30);
    assert.ok(first);
    pair.peripheral.link.receive(first, pair.nowMs);
    pair.peripheral.link.receive(first.with(0, (first[0] ?? 0) + 1), pair.nowMs);
    assert.deepEqual(
      pair.peripheral.link.takeEvents().map((event) => (event.kind === 'closed' ? event.status : event.kind)),
      ['message', 'record-failed'],
    );
  });

  it('a Reject after a record', () => {
    const pair = Pair.open();
    for (const one of segmentsOf(pair, pair.central, 1, 30)) pair.peripheral.link.receive(one, pair.nowMs);
    const reject = segment({ start: true, end: true, payload: fromHex('2aa10112'), seq: 2 });
    pair.peripheral.link.receive(reject, pair.nowMs);
    const last = pair.peripheral.link.takeEvents().at(-1);
    assert.deepEqual(last, { kind: 'closed', status: 'link-violation', by: 'us' });
  });

  it('a segment longer than both agreed on', () => {
    const pair = Pair.open({ segmentBytes: [100, 244] });
    pair.central.link.receive(segment({ start: true, end: true, payload: 100, seq: 1 }), pair.nowMs);
    assertClosed(pair.central, pair.nowMs, 'link-violation');
  });

  it('are judged for the limit in force: raised by the owner, and by itself in a resumption', () => {
    const long = segment({ start: true, length: 8192, payload: 20, seq: 1 });
    const raised = new Pair();
    raised.settle();
    raised.peripheral.link.setReceiveLimit(8192);
    raised.peripheral.link.receive(long, raised.nowMs);
    assert.equal(raised.peripheral.link.closed, false);

    const resumed = new Pair({ request: { kind: 'resume', rms: RMS } });
    resumed.settle();
    const long1 = (seq: number) =>
      segment({ start: true, length: 8192, payload: 20, epoch: 1, lane: 1, seq });
    for (const one of segmentsOf(resumed, resumed.central, 30, 13))
      resumed.peripheral.link.receive(one, resumed.nowMs);
    resumed.peripheral.link.receive(long1(2), resumed.nowMs);
    assert.equal(resumed.peripheral.link.closed, false);
    resumed.central.link.receive(long1(1), resumed.nowMs);
    assert.equal(resumed.central.link.closed, true);
  });
});

describe('link ends', () => {
  it('by a Reject of the peer before its first record, however it was cut', () => {
    const pair = Pair.open();
    const { link } = pair.peripheral;
    link.receive(segment({ start: true, length: 4, payload: fromHex('2a'), seq: 1 }), pair.nowMs);
    link.receive(segment({ payload: fromHex('a101'), seq: 2 }), pair.nowMs);
    link.receive(segment({ end: true, payload: fromHex('12'), seq: 3 }), pair.nowMs);
    assert.deepEqual(link.takeEvents(), [{ kind: 'closed', status: 'busy', by: 'peer' }]);
  });

  it('at once on close, once, and is silent then', () => {
    const pair = Pair.open();
    const { link } = pair.central;
    link.send(64, pattern(5000), 1);
    link.close('shutting-down');
    link.close('busy');
    assert.deepEqual(link.takeEvents(), [{ kind: 'closed', status: 'shutting-down', by: 'us' }]);
    assert.equal(link.farewell, false);
    link.send(1, pattern(1));
    link.receive(fromHex('c1aa'), pair.nowMs);
    link.advance(PRK2);
    link.endOfBurst();
    link.handleTimeout(pair.nowMs + 99_999);
    assert.equal(link.nextSegment(pair.nowMs), undefined);
    assert.equal(link.takeEvents().length, 0);
    assert.equal(link.queuedBytes(1), 0);
    assert.equal(link.recordsLeft, 0);
  });

  it('after its last control message when asked to', () => {
    const pair = Pair.open();
    pair.central.link.send(64, pattern(5000), 1);
    pair.central.link.send(40, fromHex('a10110'));
    pair.central.link.closeAfterSending('declined', pair.nowMs);
    pair.settle();
    assert.deepEqual(pair.central.events.at(-1), { kind: 'closed', status: 'declined', by: 'us' });
    assert.equal(pair.central.link.farewell, true);
    assert.deepEqual(
      pair.peripheral.messages().map(({ type }) => type),
      [40],
    );
  });

  it('without its last message when no credit comes within a second', () => {
    const pair = Pair.open({ credits: [1, 1] });
    segmentsOf(pair, pair.central, 1, 10);
    pair.central.link.send(40, fromHex('a10110'));
    pair.central.link.closeAfterSending('declined', pair.nowMs);
    pair.central.pump(pair.nowMs);
    assert.equal(pair.central.link.closed, false);
    assert.equal(pair.central.link.deadlineAt, pair.nowMs + 1000);
    pair.central.link.handleTimeout(pair.nowMs + 1000);
    assert.deepEqual(pair.central.link.takeEvents().at(-1), { kind: 'closed', status: 'declined', by: 'us' });
  });

  it('erase their keys', () => {
    const keys: Uint8Array[] = [];
    const primitives = {
      ...PRIMITIVES,
      aeadSeal: (key: Uint8Array, nonce: Uint8Array, plaintext: Uint8Array) => {
        keys.push(key, nonce);
        return PRIMITIVES.aeadSeal(key, nonce, plaintext);
      },
      aeadOpen: (key: Uint8Array, nonce: Uint8Array, sealed: Uint8Array) => {
        keys.push(key, nonce);
        return PRIMITIVES.aeadOpen(key, nonce, sealed);
      },
    };
    const pair = Pair.open({ primitives });
    for (const end of [pair.central, pair.peripheral]) end.link.send(1, pattern(9));
    pair.settle();
    assert.equal(keys.length, 8);
    assert.ok(keys.every((key) => key.some((byte) => byte !== 0)));
    for (const end of [pair.central, pair.peripheral]) end.link.close('ok');
    assert.ok(keys.every((key) => key.every((byte) => byte === 0)));
  });

  it('when the keys are used up', () => {
    const pair = Pair.open({ recordLimit: 3 });
    for (let i = 0; i < 3; i++) pair.central.link.send(1, pattern(9), i === 1 ? 1 : 0);
    assert.equal(pair.central.link.recordsLeft, 0);
    pair.settle();
    assert.equal(pair.peripheral.messages().length, 3);
    pair.central.link.send(1, pattern(9));
    pair.settle();
    assert.deepEqual(pair.central.events.at(-1), { kind: 'closed', status: 'keys-exhausted', by: 'us' });
  });
});

describe('link keep-alive', () => {
  it('keeps two silent sides together with one bare segment per 10 s', () => {
    const pair = Pair.open();
    const before = [pair.central.sent.length, pair.peripheral.sent.length];
    pair.run(pair.nowMs + 95_000);
    for (const [i, end] of [pair.central, pair.peripheral].entries()) {
      assert.equal(end.link.closed, false);
      assert.deepEqual(end.sent.slice(before[i]), Array(9).fill(fromHex('0800')));
    }
  });

  it('gives up on a peer that was silent for 30 s', () => {
    const pair = Pair.open();
    const { link } = pair.central;
    const start = pair.nowMs;
    link.handleTimeout(start + 10_000);
    pair.central.pump(start + 10_000);
    link.handleTimeout(start + 29_999);
    assert.equal(link.closed, false);
    link.handleTimeout(start + 30_000);
    assert.deepEqual(link.takeEvents(), [{ kind: 'closed', status: 'peer-lost', by: 'us' }]);
  });

  it('carries what is owed', () => {
    const pair = Pair.open();
    pair.central.link.send(1, pattern(10));
    pair.settle();
    pair.run(pair.nowMs + 10_000);
    assert.deepEqual(pair.peripheral.sent.at(-1), fromHex('0801'));
  });
});

describe('link grants', () => {
  it('leave the one for a short message unsaid', () => {
    const pair = Pair.open();
    const before = pair.peripheral.sent.length;
    pair.central.link.send(1, pattern(180));
    pair.settle();
    assert.equal(pair.peripheral.sent.length, before);
    pair.peripheral.link.send(2, pattern(180));
    pair.settle();
    assert.equal(parseSegment(pair.peripheral.sent.at(-1) ?? new Uint8Array()).grant, 1);
  });

  it('come in a bare segment at the end of a burst that the window would not outlast three times', () => {
    for (const [burst, expected] of [
      [8, []],
      [9, [fromHex('0809')]],
      [12, [fromHex('080c')]],
    ] as const) {
      const pair = Pair.open();
      pair.central.link.send(64, pattern(5000), 1);
      pair.central.pump(pair.nowMs);
      pair.deliver(pair.central, burst);
      assert.deepEqual(pair.peripheral.wire, expected, `${burst}`);
    }
  });

  it('are given for narrow bursts together', () => {
    const pair = Pair.open();
    pair.central.link.send(64, pattern(5000), 1);
    pair.central.pump(pair.nowMs);
    for (let i = 0; i < 5; i++) {
      pair.deliver(pair.central, 3);
      assert.deepEqual(pair.peripheral.wire, []);
    }
    pair.deliver(pair.central, 3);
    assert.deepEqual(pair.peripheral.wire, [fromHex('0812')]);
  });

  it('come without the end of a burst when less than half of the window is left', () => {
    const pair = Pair.open();
    pair.central.link.send(64, pattern(5000), 1);
    pair.central.pump(pair.nowMs);
    for (let i = 1; i <= 17; i++) {
      assert.equal(pair.peripheral.link.nextSegment(pair.nowMs), undefined);
      pair.peripheral.link.receive(pair.central.wire.shift() ?? new Uint8Array(), pair.nowMs);
    }
    assert.deepEqual(pair.peripheral.link.nextSegment(pair.nowMs), fromHex('0811'));
  });

  it('never make the two directions wait for each other', () => {
    const pair = Pair.open({ credits: [1, 1], segmentBytes: [20, 20] });
    for (const end of [pair.central, pair.peripheral]) end.link.send(64, pattern(3000), 1);
    pair.settle();
    for (const end of [pair.central, pair.peripheral]) assert.equal(end.messages().length, 1);
    const { payloads, granted } = countPayloads(pair.central.sent);
    assert.ok(granted <= countPayloads(pair.peripheral.sent).payloads && payloads > 100);
  });
});

describe('link misuse is a TypeError', () => {
  const open = () => Pair.open().central.link;
  for (const [what, misuse] of [
    ['sending before it is open', () => new Pair().central.link.send(1, pattern(1))],
    ['OPEN as a record', () => open().send(0, pattern(1))],
    ['Reject as a record', () => open().send(42, pattern(1))],
    ['a type beyond a byte', () => open().send(256, pattern(1))],
    ['a body beyond 65,518 bytes', () => open().send(64, pattern(65_519), 1)],
    ['padding beyond 65,518 bytes', () => open().send(2, pattern(1), 0, { padTo: 65_519 })],
    [
      'a queue without room',
      () => {
        const { link } = Pair.open({ queueBytes: 70_000 }).central;
        link.send(64, pattern(40_000), 1);
        link.send(64, pattern(30_000), 1);
      },
    ],
    ['a receive limit of 16', () => open().setReceiveLimit(16)],
    ['a receive limit of 65,536', () => open().setReceiveLimit(65_536)],
    ['no credits', () => new Pair({ credits: [0, 1] })],
    ['256 credits', () => new Pair({ credits: [256, 1] })],
    ['a transport below 20 bytes', () => new Pair({ segmentBytes: [19, 244] })],
    ['a record limit beyond 2^23', () => new Pair({ recordLimit: 2 ** 23 + 1 })],
  ] as const)
    it(what, () => {
      assert.throws(misuse, TypeError);
    });
});
