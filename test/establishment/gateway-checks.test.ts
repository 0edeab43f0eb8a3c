/**
 * What the initiating gateway refuses, what it relays untouched, and what it tells a PNE that comes back
 * (docs/protocol.md §6, §8, §13).
 */
import assert from 'node:assert/strict';
import type { GatewayInput } from '../../src/establishment/gateway-types.ts';
import { PnRegistrationRequest } from '../../src/messages/registration.ts';
import { GARBAGE, STRANGER } from './bench.ts';
import { type GatewayBench, gatewayAt, resumingWith } from './gateway-bench.ts';
import { summary } from './table-check.ts';

describe('gateway: what it refuses and what it relays', () => {
  const closedWith = (bench: GatewayBench, input: GatewayInput): string | undefined => {
    const [only, ...more] = summary(bench.feed(input));
    assert.equal(bench.machine.state, 'closed');
    assert.deepEqual(more, []);
    return only;
  };

  it('step 2: no CBOR, non-zero padding, a byte short, an unknown status', () => {
    const padded = (change: (body: Uint8Array) => Uint8Array) => {
      const bench = gatewayAt('awaiting-setup-response');
      const body = change(bench.table.setupResponse());
      assert.equal(closedWith(bench, bench.message('PnSetupResponse', body)), 'close malformed, abort');
    };
    padded(() => GARBAGE);
    padded((body) => body.fill(1, -1));
    padded((body) => body.fill(0xf6, body.findLastIndex((byte) => byte !== 0) + 1).subarray(0, -1));
    padded((body) => body.slice(0, 20));
    padded((body) => body.fill(0, 1, 2));
  });

  it('step 4: spoilt, of another key, for another th2, no COSE', () => {
    const challenged = (make: (bench: GatewayBench) => Uint8Array, status: string) => {
      const bench = gatewayAt('awaiting-challenge');
      assert.equal(
        closedWith(bench, { kind: 'challenged', challenge: make(bench) }),
        `close ${status}, abort`,
      );
    };
    challenged(({ table }) => table.makeChallenge().fill(0, -1), 'challenge-invalid');
    challenged(({ table }) => table.makeChallenge({ by: STRANGER }), 'challenge-invalid');
    challenged(({ table }) => table.makeChallenge({ by: table.gateway }), 'challenge-invalid');
    challenged(({ table }) => table.makeChallenge({ th2: table.th1 }), 'challenge-invalid');
    challenged(() => GARBAGE, 'malformed');
  });

  it('step 6 that is none goes nowhere: nothing on disk, nothing to the server', () => {
    for (const make of [
      () => GARBAGE,
      () => new Uint8Array(4_000).fill(0x60),
      ({ table }: GatewayBench) => table.response().slice(1),
      ({ table }: GatewayBench) => table.challenge,
    ]) {
      const bench = gatewayAt('awaiting-response');
      const body = make(bench);
      assert.match(
        closedWith(bench, bench.message('AuthenticationResponse', body)) ?? '',
        /^close (malformed|oversize), abort$/,
      );
    }
  });

  it('step 6 is relayed as it is, also when its signature is wrong: that is for the server to say', () => {
    const bench = gatewayAt('awaiting-response');
    const body = bench.table.response(STRANGER);
    const [persist, , respond] = bench.feed(bench.message('AuthenticationResponse', body));
    assert.ok(persist?.kind === 'persistJoin' && respond?.kind === 'respond');
    assert.equal(persist.response, body);
    assert.equal(respond.response, body);
  });

  it('the registration holds the exact bytes of both sides', () => {
    const bench = gatewayAt('awaiting-setup-response');
    const { table } = bench;
    const outputs = bench.feed(bench.message('PnSetupResponse', table.setupResponse()));
    const register = outputs.find((output) => output.kind === 'register');
    assert.ok(register?.kind === 'register');
    const { openG, openP, m1, m2 } = PnRegistrationRequest.decode(register.request);
    assert.deepEqual([openG, openP, m1, m2], [table.openG, table.openP, table.m1, table.m2]);
    assert.deepEqual(register.txn, table.txn);
  });

  it('an inventory of other members never stands for a join that is open or refused', () => {
    for (const [resume, says] of [
      [0, 'send Waiting'],
      ['not-owned', 'send PnSetupNotify'],
    ] as const) {
      const bench = resumingWith(resume);
      bench.feed(bench.updated(7));
      assert.deepEqual(summary(bench.feed(bench.resumed(0))), [says]);
      assert.equal(bench.machine.state, resume === 0 ? 'awaiting-outcome' : 'refusing');
    }
  });

  it('a join that is settled while its PNE comes back is told at once', () => {
    for (const [settle, state] of [
      [(bench: GatewayBench) => bench.settled(), 'notifying'],
      [(bench: GatewayBench) => bench.settled(bench.refused()), 'refusing'],
    ] as const) {
      const bench = resumingWith(0);
      bench.feed(settle(bench));
      bench.feed(bench.resumed(0));
      assert.equal(bench.machine.state, state);
    }
  });

  it('a malformed Ack or Resumed closes; no version is ever told twice or going back', () => {
    for (const state of ['notifying', 'refusing', 'updating'] as const) {
      const bench = gatewayAt(state);
      assert.equal(closedWith(bench, bench.message('Ack', GARBAGE)), 'close malformed, abort');
    }
    const resumed = gatewayAt('awaiting-resumed');
    assert.equal(closedWith(resumed, resumed.message('Resumed', GARBAGE)), 'close malformed, abort');
    const member = gatewayAt('member');
    member.feed(member.updated(4));
    member.feed(member.updated(3));
    member.feed(member.ack());
    assert.equal(member.machine.state, 'member');
    assert.deepEqual(summary(member.feed(member.updated(4))), []);
  });
});
