/**
 * What a PNE refuses, check by check in the documented order (docs/protocol.md §13): steps 1, 5, 13, 15, server keys and
 * freshness. Each wrong input is right in everything that is checked before; where two things are wrong, the earlier
 * check speaks. Nothing is persisted or signed on the way.
 */
import assert from 'node:assert/strict';
import { type Bytes, concat } from '../../src/base/bytes.ts';
import { GatewayId, JoinId, type PnId } from '../../src/base/ids.ts';
import type { Status } from '../../src/base/statuses.ts';
import { PnSetupResponse, unpadPnSetupResponse } from '../../src/messages/setup.ts';
import { CAPABILITY, GARBAGE, NOW, OTHER_PN, PRIMITIVES, STRANGER } from './bench.ts';
import { type PneBench, pneAt } from './pne-bench.ts';
import { summary } from './table-check.ts';

/** The COSE_Sign1 with its last byte, which is the signature's, turned over. */
const spoilt = (sign1: Bytes): Bytes => {
  const out = sign1.slice();
  out[out.length - 1] = (out.at(-1) ?? 0) ^ 1;
  return out;
};
/** One byte of trailing garbage. */
const longer = (body: Bytes): Bytes => concat(body, Uint8Array.of(0));

type Make = (bench: PneBench) => Bytes;

/** The status a PNE declines with in step 2. */
function declinedWith(
  make: Make,
  options: ConstructorParameters<typeof PneBench>[0] = {},
): Status | undefined {
  const bench = pneAt('awaiting-setup-request', options);
  bench.feed({ kind: 'PnSetupRequest', body: make(bench) });
  const [sent, ...more] = bench.last;
  assert.deepEqual(summary(bench.last), ['send PnSetupResponse']);
  assert.equal(more.length, 0);
  assert.equal(bench.machine.state, 'declined');
  if (sent?.kind !== 'send') return undefined;
  assert.equal(sent.body.length, 226, 'a decline looks like a join');
  return PnSetupResponse.decode(unpadPnSetupResponse(sent.body)).status;
}

/** The status the link is closed with; nothing else may be carried out. */
function closedWith(bench: PneBench, kind: Parameters<PneBench['message']>[0], body: Bytes): string {
  const pending = bench.disk.pending.size;
  bench.feed(bench.message(kind, body));
  assert.equal(bench.machine.state, 'closed');
  assert.equal(bench.disk.pending.size, pending, 'a bad message changes nothing on disk');
  const [only, ...more] = summary(bench.last);
  assert.deepEqual(more, []);
  return only ?? '';
}

const strangeCredential: Make = ({ table }) => table.operator.credential(table.gateway, { by: STRANGER });
const withCredential =
  (over: Parameters<PneBench['table']['operator']['credential']>[1]): Make =>
  ({ table }) =>
    table.setupRequest({ credential: table.operator.credential(table.gateway, over) });

describe('PNE: checks of step 1, in order', () => {
  it('malformed: no CBOR, another structure, trailing bytes, a credential that is none', () => {
    for (const make of [
      () => GARBAGE,
      ({ table }: PneBench) => longer(table.setupRequest()),
      ({ table }: PneBench) => table.setupRequest().slice(0, -1),
      ({ table }: PneBench) => table.setupRequest({ credential: GARBAGE }),
    ]) {
      const bench = pneAt('awaiting-setup-request');
      assert.equal(closedWith(bench, 'PnSetupRequest', make(bench)), 'close malformed, abort');
    }
  });
  it('credential-unknown-key: signed with a kid that is not pinned', () => {
    assert.equal(
      declinedWith((bench) => bench.table.setupRequest({ credential: strangeCredential(bench) })),
      'credential-unknown-key',
    );
  });
  it('credential-expired: by the floor, and the floor runs with the monotonic clock', () => {
    assert.equal(declinedWith(withCredential({ expiresAt: NOW - 1 })), 'credential-expired');
    const later = (bench: PneBench) => {
      bench.nowMs += 2_000;
      return withCredential({ expiresAt: NOW + 1 })(bench);
    };
    assert.equal(declinedWith(later), 'credential-expired');
    const last = pneAt('awaiting-setup-request');
    last.feed({ kind: 'PnSetupRequest', body: withCredential({ expiresAt: NOW })(last) });
    assert.equal(last.machine.state, 'deciding', 'the last second still counts');
  });
  it('credential-invalid: its signature, or a gatewayId that is not of its key', () => {
    const bad: Make = ({ table }) => table.setupRequest({ credential: spoilt(table.credential) });
    assert.equal(declinedWith(bad), 'credential-invalid');
    assert.equal(
      declinedWith(withCredential({ gatewayId: GatewayId(new Uint8Array(8)) })),
      'credential-invalid',
    );
  });
  it('setup-request-invalid: its signature, another key, another th1', () => {
    assert.equal(
      declinedWith(({ table }) => spoilt(table.setupRequest())),
      'setup-request-invalid',
    );
    assert.equal(
      declinedWith(({ table }) => table.setupRequest({ by: STRANGER })),
      'setup-request-invalid',
    );
    assert.equal(
      declinedWith(({ table }) => table.setupRequest({ th1: new Uint8Array(32) })),
      'setup-request-invalid',
    );
  });
  it('policy comes last: a PNE that is full says so only to a gateway that proved itself', () => {
    const joins = (count: number, state: 'pending' | 'member') => (table: PneBench['table']) =>
      Array.from({ length: count }, () => table.knownJoin({ state, pnId: OTHER_PN }));
    const good: Make = ({ table }) => table.setupRequest();
    assert.equal(declinedWith(good, { identity: { homeAddress: undefined } }), 'not-enrolled');
    assert.equal(declinedWith(good, { joins: joins(4, 'pending') }), 'busy');
    assert.equal(declinedWith(good, { joins: joins(8, 'member') }), 'too-many-memberships');
    assert.equal(
      declinedWith(({ table }) => spoilt(table.setupRequest()), { joins: joins(8, 'member') }),
      'setup-request-invalid',
    );
  });
  it('one gateway has three places for pending joins, and leaves the others to others', () => {
    const pending = (count: number, gatewayId?: GatewayId) => (table: PneBench['table']) =>
      Array.from({ length: count }, () => ({
        ...table.knownJoin({ state: 'pending', pnId: OTHER_PN }),
        ...(gatewayId && { gatewayId }),
      }));
    const good: Make = ({ table }) => table.setupRequest();
    assert.equal(declinedWith(good, { joins: pending(3) }), 'busy');
    for (const joins of [pending(2), pending(3, GatewayId(new Uint8Array(8)))]) {
      const bench = pneAt('awaiting-setup-request', { joins });
      bench.feed({ kind: 'PnSetupRequest', body: good(bench) });
      assert.equal(bench.machine.state, 'deciding');
    }
    assert.equal(declinedWith(good, { joins: pending(4, GatewayId(new Uint8Array(8))) }), 'busy');
  });
  it('earlier checks speak first', () => {
    const both =
      (labels: Parameters<PneBench['table']['operator']['credential']>[1]): Make =>
      ({ table }) =>
        spoilt(table.setupRequest({ credential: spoilt(table.operator.credential(table.gateway, labels)) }));
    assert.equal(declinedWith(both({ by: STRANGER, expiresAt: 0 })), 'credential-unknown-key');
    assert.equal(declinedWith(both({ expiresAt: 0 })), 'credential-expired');
    assert.equal(declinedWith(both({})), 'credential-invalid');
  });
  it('a refresh is welcome even when full: the same PN and the same gateway, both', () => {
    const full = (over: { pnId?: PnId; gatewayId?: GatewayId }) =>
      pneAt('awaiting-setup-request', {
        joins: (table) => Array.from({ length: 8 }, () => table.knownJoin(over)),
      });
    const refreshed = full({});
    refreshed.feed({ kind: 'PnSetupRequest', body: refreshed.table.setupRequest() });
    const [asked] = refreshed.last;
    assert.ok(asked?.kind === 'ask' && asked.question.refresh);
    for (const over of [{ pnId: OTHER_PN }, { gatewayId: GatewayId(new Uint8Array(8)) }]) {
      const bench = full(over);
      bench.feed({ kind: 'PnSetupRequest', body: bench.table.setupRequest() });
      assert.equal(bench.machine.state, 'declined');
    }
  });
});

describe('PNE: checks of step 5, in order', () => {
  const wrong: readonly (readonly [string, Make, string])[] = [
    ['no CBOR', () => GARBAGE, 'malformed'],
    ['trailing bytes', ({ table }) => longer(table.makeChallenge()), 'malformed'],
    ['signature spoilt', ({ table }) => spoilt(table.makeChallenge()), 'challenge-invalid'],
    ['another th2', ({ table }) => table.makeChallenge({ th2: new Uint8Array(32) }), 'challenge-invalid'],
    ['another key, with its kid', ({ table }) => table.makeChallenge({ by: STRANGER }), 'challenge-invalid'],
    ['the gateway itself', ({ table }) => table.makeChallenge({ by: table.gateway }), 'challenge-invalid'],
    [
      'the credential ran out since step 1',
      ({ table }) => table.makeChallenge({ serverTime: NOW + 8 * 86_400 }),
      'credential-expired',
    ],
  ];
  for (const [what, make, status] of wrong)
    it(`${what}: ${status}`, () => {
      const bench = pneAt('awaiting-challenge');
      assert.equal(closedWith(bench, 'AuthenticationChallenge', make(bench)), `close ${status}, abort`);
      assert.equal(bench.disk.signed, 0);
    });
  it('a challenge of another session, replayed: challenge-invalid', () => {
    const first = pneAt('signing');
    const second = pneAt('awaiting-challenge');
    assert.equal(
      closedWith(second, 'AuthenticationChallenge', first.table.challenge),
      'close challenge-invalid, abort',
    );
  });
  it('the floor rises before the pending join is written, and never falls', () => {
    for (const [serverTime, floor] of [
      [NOW + 60, NOW + 60],
      [NOW - 60, NOW],
    ] as const) {
      const bench = pneAt('awaiting-challenge');
      bench.feed({ kind: 'AuthenticationChallenge', body: bench.table.makeChallenge({ serverTime }) });
      const [persist] = bench.last;
      assert.ok(persist?.kind === 'persistPending');
      assert.equal(persist.floor.serverTime, floor);
    }
  });
  it('when the pending join can not be written, nothing is signed or sent', () => {
    const bench = pneAt('signing');
    bench.feed({ kind: 'failed', status: 'cannot-persist' });
    assert.deepEqual(summary(bench.last), ['forgetPending', 'close cannot-persist, abort']);
    assert.equal(bench.disk.signed, 0);
    assert.equal(bench.disk.pending.size, 0);
  });
});

describe('PNE: checks of step 13 and of updates, in order', () => {
  type Inventory = NonNullable<Parameters<PneBench['table']['inventory']>[0]>;
  const wrong: readonly (readonly [string, (bench: PneBench) => Inventory])[] = [
    ['signed by another key', () => ({ by: STRANGER })],
    ['another PN', () => ({ pnId: OTHER_PN })],
    ['another gateway', () => ({ gatewayId: GatewayId(new Uint8Array(8)) })],
    [
      'own join missing',
      ({ table }) => ({ member: { joinId: table.txn as unknown as typeof table.joinId } }),
    ],
    ['own capability changed', () => ({ member: { capability: CAPABILITY.slice(1) } })],
  ];
  for (const [what, make] of wrong) {
    it(`${what}: inventory-invalid at step 13`, () => {
      for (const state of ['awaiting-notify', 'resuming'] as const) {
        const bench = pneAt(state);
        const body = bench.table.notify(bench.table.inventory(make(bench)));
        assert.equal(closedWith(bench, 'PnSetupNotify', body), 'close inventory-invalid, abort');
      }
    });
    it(`${what}: inventory-invalid in an update`, () => {
      const bench = pneAt('member');
      const body = bench.table.notify(bench.table.inventory({ version: 2, ...make(bench) }));
      assert.equal(closedWith(bench, 'PnInventoryUpdate', body), 'close inventory-invalid, abort');
    });
  }
  it('a lower version: inventory-invalid; the same one again is harmless', () => {
    const bench = pneAt('opening').resuming({ version: 3 });
    bench.feed(bench.resume());
    bench.feed(bench.message('PnInventoryUpdate', bench.table.notify(bench.table.inventory({ version: 3 }))));
    assert.equal(bench.machine.state, 'member');
    const body = bench.table.notify(bench.table.inventory({ version: 2 }));
    assert.equal(closedWith(bench, 'PnInventoryUpdate', body), 'close inventory-invalid, abort');
  });
  it('signature spoilt, or no inventory at all', () => {
    const bench = pneAt('awaiting-notify');
    assert.equal(
      closedWith(bench, 'PnSetupNotify', bench.table.notify(spoilt(bench.table.inventory()))),
      'close inventory-invalid, abort',
    );
    for (const body of [GARBAGE, bench.table.notify(GARBAGE)])
      assert.equal(closedWith(pneAt('awaiting-notify'), 'PnSetupNotify', body), 'close malformed, abort');
  });
  it('an outcome for another th3, of another key, that says yes, or something else than step 13', () => {
    const notRegistered = (make: (bench: PneBench) => Bytes) => {
      const bench = pneAt('awaiting-notify');
      const body = bench.table.notifyRefused('user-refused', make(bench));
      assert.equal(closedWith(bench, 'PnSetupNotify', body), 'close outcome-invalid, abort');
      assert.equal(bench.disk.pending.size, 1, 'what was signed stays pending');
    };
    notRegistered(({ table }) => table.outcome('user-refused', { th3: new Uint8Array(32) }));
    notRegistered(({ table }) => table.outcome('user-refused', { by: STRANGER }));
    notRegistered(({ table }) => table.outcome('ok'));
    notRegistered(({ table }) => table.outcome('not-owned'));
    notRegistered(({ table }) => spoilt(table.outcome('user-refused')));
  });
});

describe('PNE: server keys and freshness', () => {
  const expected = (state: 'declined' | 'member', kind: 'ServerKeys' | 'Freshness', make: Make) => {
    const bench = pneAt(state);
    return closedWith(bench, kind, make(bench));
  };
  it('server keys: not of the root, not newer, malformed', () => {
    const keys =
      (issuedAt: number, by?: typeof STRANGER): Make =>
      ({ table: { operator } }) =>
        operator.serverKeysStatement(issuedAt, [operator.server], by);
    assert.equal(expected('declined', 'ServerKeys', keys(NOW, STRANGER)), 'close credential-invalid, abort');
    assert.equal(expected('declined', 'ServerKeys', keys(0)), 'close credential-invalid, abort');
    assert.equal(
      expected('declined', 'ServerKeys', () => GARBAGE),
      'close malformed, abort',
    );
  });
  it('freshness: a word told again, or kept back, is as old as it is, but no older than the link', () => {
    const bench = pneAt('member');
    const hour = 3600;
    const ageOf = (serverTime: number, afterSeconds: number): number | undefined => {
      bench.nowMs += afterSeconds * 1000;
      bench.feed(bench.message('Freshness', bench.table.freshness({ serverTime })));
      const [output] = bench.last;
      return output?.kind === 'persistFloor' ? output.ageSeconds : undefined;
    };
    assert.equal(ageOf(NOW + hour, 0), 0);
    assert.equal(ageOf(NOW + hour, 23 * hour), 23 * hour, 'told again, it puts nothing off');
    assert.equal(ageOf(NOW + 2 * hour, 0), 22 * hour, 'kept back, it counts from when it was said');
    assert.equal(ageOf(NOW + 24 * hour, 0), 0);
    // Of a server whose clock had been ahead and was put right: the word is over this link, so no older than it.
    assert.equal(ageOf(NOW + 1000 * hour, 0), 0);
    assert.equal(ageOf(NOW + 25 * hour, hour), 24 * hour);
  });
  it('freshness: another th1, another membership, another key, malformed', () => {
    const fresh =
      (wrong: Parameters<PneBench['table']['freshness']>[0]): Make =>
      ({ table }) =>
        table.freshness(wrong);
    assert.equal(
      expected('member', 'Freshness', fresh({ th1: new Uint8Array(32) })),
      'close outcome-invalid, abort',
    );
    const another = JoinId(new Uint8Array(16));
    assert.equal(expected('member', 'Freshness', fresh({ joinId: another })), 'close outcome-invalid, abort');
    assert.equal(expected('member', 'Freshness', fresh({ by: STRANGER })), 'close outcome-invalid, abort');
    assert.equal(
      expected('member', 'Freshness', () => GARBAGE),
      'close malformed, abort',
    );
  });
  it('the identity key signs only what binds th3', () => {
    const bench = pneAt('signing');
    assert.ok(
      PRIMITIVES.verifyEs256(
        bench.table.pne.publicKey,
        signedMessage(bench),
        bench.table.pne.sign(signedMessage(bench)),
      ),
    );
    const text = Buffer.from(signedMessage(bench)).toString('latin1');
    assert.ok(text.includes('cpns1/response'));
    assert.ok(text.includes(Buffer.from(bench.table.th3).toString('latin1')));
  });
});

function signedMessage(bench: PneBench): Bytes {
  const asked = bench.last.find((output) => output.kind === 'sign');
  assert.ok(asked?.kind === 'sign');
  return asked.message;
}
