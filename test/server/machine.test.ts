/** The server machine alone: every state × every input, then each refusal with what it leaves behind. */
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { PnId } from '../../src/base/ids.ts';
import type { Status } from '../../src/base/statuses.ts';
import {
  SERVER_TABLE,
  type ServerInputKind,
  type ServerState,
} from '../../src/establishment/server-table.ts';
import type {
  AuthenticationResponseInput,
  PnFacts,
  RegistrationRequestInput,
  ServerInput,
} from '../../src/establishment/server-types.ts';
import { verifyOutcome } from '../../src/establishment/server-words.ts';
import { sayNo } from '../support/join.ts';
import { START_SECONDS, seededSigner } from '../support/virtual-world-operator.ts';
import { flipped, MachineKit, NOW } from './machine-kit.ts';

type From = ServerState | 'refused unsigned';
/** Where each input leads, and the kinds of the outputs there; absent: a defect of ours, which throws. */
const MATRIX: Readonly<Record<From, Partial<Record<ServerInputKind, readonly [ServerState, string]>>>> = {
  new: {
    registrationRequest: ['signing-challenge', 'sign'],
    authenticationResponse: ['new', 'reply unknown-transaction'],
    confirmAnswer: ['new', 'reply unknown-transaction'],
  },
  'signing-challenge': { signed: ['challenged', 'commit challenged, reply challenge'] },
  challenged: {
    registrationRequest: ['challenged', 'reply challenge'],
    authenticationResponse: ['verified', 'commit verified, reply state, waiting'],
    confirmAnswer: ['challenged', 'reply unknown-transaction'],
    superseded: ['challenged', ''],
    deadline: ['challenged', ''],
  },
  verified: {
    registrationRequest: ['verified', 'reply challenge'],
    authenticationResponse: ['verified', 'reply state'],
    confirmAnswer: ['signing-inventory', 'sign'],
    confirmDelivered: ['verified', 'waiting'],
    superseded: ['signing-refusal', 'sign'],
    deadline: ['verified', ''],
  },
  'signing-inventory': { signed: ['registered', 'commit registered, reply accepted'] },
  'signing-refusal': { signed: ['refused', 'commit refused'] },
  registered: {
    registrationRequest: ['registered', 'reply challenge'],
    authenticationResponse: ['registered', 'reply state'],
    confirmAnswer: ['registered', 'reply accepted'],
    confirmDelivered: ['registered', ''],
    superseded: ['registered', ''],
    deadline: ['registered', ''],
  },
  refused: {
    registrationRequest: ['refused', 'reply challenge'],
    authenticationResponse: ['refused', 'reply state'],
    confirmAnswer: ['refused', 'reply deadline-passed'],
    confirmDelivered: ['refused', ''],
    superseded: ['refused', ''],
    deadline: ['refused', ''],
  },
  'refused unsigned': {
    registrationRequest: ['refused', 'reply challenge'],
    authenticationResponse: ['signing-refusal', 'sign'],
    confirmAnswer: ['refused', 'reply unknown-transaction'],
    confirmDelivered: ['refused', ''],
    superseded: ['refused', ''],
    deadline: ['refused', ''],
  },
};

const KINDS: readonly ServerInputKind[] = [
  'registrationRequest',
  'authenticationResponse',
  'confirmAnswer',
  'confirmDelivered',
  'superseded',
  'deadline',
  'signed',
];

function inputOf(kit: MachineKit, kind: ServerInputKind): ServerInput {
  switch (kind) {
    case 'registrationRequest':
      return kit.request();
    case 'authenticationResponse':
      return kit.response();
    case 'confirmAnswer':
      return kit.answer();
    case 'confirmDelivered':
      return { kind };
    case 'superseded':
    case 'deadline':
      return { kind, now: NOW + 20 };
    case 'signed': {
      const signature = kit.operator.server.sign(Uint8Array.of(1));
      return { kind, signatures: [signature, signature], kid: kit.operator.kid };
    }
  }
}

const word = (output: ReturnType<MachineKit['machine']['handle']>[number]): string => {
  if (output.kind === 'commit') return `commit ${output.change.to}`;
  if (output.kind !== 'reply') return output.kind;
  const { reply } = output;
  return `reply ${reply.kind === 'rejected' ? reply.status : reply.kind}`;
};

describe('server machine: every state × input', () => {
  for (const [from, row] of Object.entries(MATRIX)) {
    for (const kind of KINDS) {
      const cell = row[kind];
      it(`${from} × ${kind} → ${cell ? cell[0] : 'a defect'}`, () => {
        const kit = MachineKit.at(from as From);
        const input = inputOf(kit, kind);
        if (!cell) {
          assert.throws(() => kit.machine.handle(input, 0), /^Error: server: /);
          return;
        }
        const outputs = kit.machine.handle(input, 0);
        assert.equal(kit.machine.state, cell[0]);
        assert.equal(outputs.map(word).join(', '), cell[1]);
      });
    }
  }

  it('has no cell that the matrix does not know', () => {
    for (const [state, row] of Object.entries(SERVER_TABLE))
      assert.deepEqual(Object.keys(row).sort(), Object.keys(MATRIX[state as ServerState]).sort());
  });
});

describe('server machine: refusals at step 3 leave nothing', () => {
  const other = (kit: MachineKit): PnFacts => ({
    pnId: kit.join.pnId,
    gatewayId: kit.facts(kit.gw1, 1).gatewayId,
    ...{ version: 1, nextHandle: 2, members: [] },
  });
  const cases: readonly [Status, (kit: MachineKit) => Partial<RegistrationRequestInput>][] = [
    ['credential-invalid', (kit) => ({ gateway: kit.facts(kit.gw1, 1) })],
    ['transcript-mismatch', (kit) => ({ txn: flipped(kit.join.txn, 3) as typeof kit.join.txn })],
    ['quota-exceeded', () => ({ openCount: 16 })],
    ['backing-off', () => ({ backoffUntil: NOW + 30 })],
    ['pn-id-collision', (kit) => ({ pn: other(kit) })],
    ['credential-expired', () => ({ now: START_SECONDS + 8 * 86_400 })],
  ];
  for (const [status, change] of cases)
    it(status, () => {
      const kit = new MachineKit();
      const { reply, outputs } = kit.feed(kit.request(change(kit)));
      assert.ok(reply?.kind === 'rejected');
      assert.equal(reply.status, status);
      assert.equal(outputs.length, 1);
      if (status === 'backing-off') assert.equal(reply.retryAfterSeconds, 30);
    });

  const spoilt: readonly [Status, ConstructorParameters<typeof MachineKit>[0]][] = [
    ['no-capability-given', { gatewayCapability: new Uint8Array(0) }],
    ['transcript-mismatch', { linkKind: 'enrol' }],
  ];
  for (const [status, options] of spoilt)
    it(`${status}: ${JSON.stringify(options)}`, () => {
      const kit = new MachineKit(options);
      const { reply, outputs } = kit.feed(kit.request());
      assert.ok(reply?.kind === 'rejected');
      assert.equal(reply.status, status);
      assert.equal(outputs.length, 1);
    });
});

describe('server machine: refusals behind step 7 are signed', () => {
  const assertRefused = (kit: MachineKit, status: Status, toHome: boolean) => {
    assert.equal(kit.row?.state, 'refused');
    assert.equal(kit.row.status, status);
    assert.ok(kit.row.outcome);
    const { primitives, operator } = kit;
    const outcome = verifyOutcome(primitives, operator.pinned(), kit.row.th3, kit.row.outcome);
    assert.equal(outcome.status, status);
    const change = kit.changes.at(-1);
    assert.ok(change?.to === 'refused');
    const told = change.outbox.map(({ kind }) => kind);
    assert.deepEqual(told, ['pn-registration-response', ...(toHome ? ['join-outcome'] : [])]);
  };

  const atStep7: readonly [Status, (kit: MachineKit) => Partial<AuthenticationResponseInput>][] = [
    ['challenge-stale', () => ({ now: NOW + 61 })],
    ['unknown-pne', () => ({ pne: undefined })],
    ['response-invalid', (kit) => ({ response: flipped(kit.answered().response, 70) })],
    ['malformed', () => ({ response: Uint8Array.of(0xff) })],
    ['revoked-pne', (kit) => ({ pne: { ...kit.pneFacts(), standing: 'revoked-pne' } })],
    ['revoked-user', (kit) => ({ pne: { ...kit.pneFacts(), standing: 'revoked-user' } })],
    ['home-address-mismatch', (kit) => ({ pne: { ...kit.pneFacts(), home: kit.facts(kit.gw2, 2) } })],
    ['backing-off', () => ({ backoffUntil: NOW + 100 })],
    ['quota-exceeded', () => ({ pendingOfUser: 10 })],
    [
      'revoked-gateway',
      (kit) => ({
        pne: { ...kit.pneFacts(), home: { ...kit.facts(kit.gw1, 1), standing: 'revoked-gateway' } },
      }),
    ],
  ];
  for (const [status, change] of atStep7)
    it(`step 7: ${status}`, () => {
      const kit = MachineKit.at('challenged');
      const { reply } = kit.feed(kit.response(change(kit)));
      assert.ok(reply?.kind === 'state' && reply.state.state === 'refused');
      assertRefused(kit, status, false);
    });

  it('step 7: setup-request-invalid', () => {
    const kit = new MachineKit();
    const setupSigner = seededSigner(kit.primitives);
    const spoilt = new MachineKit({ setupSigner });
    spoilt.feed(spoilt.request());
    spoilt.feed(spoilt.response());
    assertRefused(spoilt, 'setup-request-invalid', false);
  });

  for (const homeAddress of ['nobody at home', '', '00112233445566778@op.example'])
    it(`step 7: home-address-malformed: "${homeAddress}"`, () => {
      const kit = new MachineKit({ homeAddress });
      kit.feed(kit.request());
      kit.feed(kit.response());
      assertRefused(kit, 'home-address-malformed', false);
    });

  it('a late step 7 on an expired challenge gets its outcome, once', () => {
    const kit = MachineKit.at('refused unsigned');
    kit.feed(kit.response({ now: NOW + 70 }));
    assertRefused(kit, 'challenge-stale', false);
    const first = kit.row?.outcome;
    const { reply } = kit.feed(kit.response({ now: NOW + 80 }));
    assert.ok(reply?.kind === 'state');
    assert.deepEqual(reply.state.outcome, first);
  });

  const noes: readonly [Status, boolean, boolean, Status][] = [
    ['not-owned', false, false, 'not-owned'],
    ['not-chargeable', true, false, 'not-chargeable'],
    ['user-refused', true, false, 'user-refused'],
    // Reasons that a home gateway can't have are replaced by what its answers say.
    ['clock-implausible', false, true, 'not-owned'],
    ['internal', true, false, 'not-chargeable'],
  ];
  for (const [reason, yours, chargeable, status] of noes)
    it(`step 9: ${reason}, ${yours}, ${chargeable} → ${status}`, () => {
      const kit = MachineKit.at('verified');
      assert.ok(kit.row);
      const answer = sayNo(kit.gw1, kit.row.th3, { yours, chargeable, reason });
      const { reply } = kit.feed(kit.answer({ answer }));
      assert.equal(reply?.kind, 'accepted');
      assertRefused(kit, status, true);
      const change = kit.changes.at(-1);
      assert.ok(change?.to === 'refused' && change.backOff);
    });

  it('step 9: a wrong signature, another gateway: nothing changes', () => {
    const kit = MachineKit.at('verified');
    const wrong = kit.feed(kit.answer({ answer: flipped(kit.answer().answer, 60) }));
    assert.ok(wrong.reply?.kind === 'rejected');
    assert.ok(['answer-invalid', 'malformed'].includes(wrong.reply.status));
    const foreign = kit.feed(kit.answer({ caller: kit.facts(kit.gw2, 2) }));
    assert.ok(foreign.reply?.kind === 'rejected' && foreign.reply.status === 'unknown-transaction');
    assert.equal(kit.row?.state, 'verified');
  });

  it('step 9 after the deadline: deadline-passed to GW1, confirmation-timeout to the others', () => {
    const kit = MachineKit.at('verified');
    const { reply } = kit.feed(kit.answer({ now: NOW + 5 + 601 }));
    assert.ok(reply?.kind === 'rejected' && reply.status === 'deadline-passed');
    assertRefused(kit, 'confirmation-timeout', true);
  });

  it('a deadline that passes: by whether the question was delivered', () => {
    for (const delivered of [false, true]) {
      const kit = MachineKit.at('verified');
      assert.ok(kit.row);
      kit.row = { ...kit.row, delivered };
      kit.feed({ kind: 'deadline', now: NOW + 5 + 601 });
      assertRefused(kit, delivered ? 'confirmation-timeout' : 'home-gateway-unreachable', true);
    }
  });

  it('a yes for what may no longer be: the refusal is signed', () => {
    const kit = MachineKit.at('verified');
    kit.feed(kit.answer({ pne: { ...kit.pneFacts(), standing: 'revoked-pne' } }));
    assertRefused(kit, 'revoked-pne', true);
    const moved = MachineKit.at('verified');
    moved.feed(moved.answer({ pne: { ...moved.pneFacts(), home: moved.facts(moved.gw2, 2) } }));
    assertRefused(moved, 'not-owned', true);
    const taken = MachineKit.at('verified');
    const gatewayId = taken.facts(taken.gw1, 1).gatewayId;
    const pn = { pnId: PnId(taken.join.pnId), gatewayId, version: 1, nextHandle: 2, members: [] };
    taken.feed(taken.answer({ pn }));
    assertRefused(taken, 'pn-id-collision', true);
  });
});

describe('server machine: an offline home gateway', () => {
  it('is given a day, and GW2 is told for whom it waits', () => {
    const kit = MachineKit.at('challenged');
    const { outputs } = kit.feed(kit.response({ homeOnline: false }));
    assert.equal(kit.row?.deadline, NOW + 5 + 86_400);
    assert.deepEqual(outputs.at(-1), { kind: 'waiting', status: 'awaiting-home-gateway' });
  });
});

describe('server machine: a refresh', () => {
  it('registers without a question, at the next version, with the same handle', () => {
    const first = MachineKit.at('registered');
    assert.ok(first.pn && first.row);
    const kit = new MachineKit({ pnId: first.join.pnId });
    kit.pn = first.pn;
    kit.feed(kit.request());
    const { gatewayId } = kit.facts(kit.gw1, 1);
    const earlierYes = { joinId: first.row.joinId, homeGatewayId: gatewayId };
    const { reply } = kit.feed(kit.response({ earlierYes, pn: first.pn }));
    assert.ok(reply?.kind === 'state' && reply.state.state === 'registered');
    const change = kit.changes.at(-1);
    assert.ok(change?.to === 'registered');
    assert.equal(change.evidence.version, 2);
    assert.equal(change.member.handle, 1);
    assert.deepEqual(change.evidence.confirmation, { earlierJoin: first.row.joinId });
    assert.deepEqual(
      change.outbox.map(({ kind }) => kind),
      ['pn-registration-response'],
    );
  });

  it('is none when a later attempt has made the PNE a member: it has forgotten this one', () => {
    const first = MachineKit.at('registered');
    assert.ok(first.pn && first.row);
    const kit = new MachineKit({ pnId: first.join.pnId });
    kit.pn = first.pn;
    kit.feed(kit.request());
    const { gatewayId } = kit.facts(kit.gw1, 1);
    const earlierYes = { joinId: first.row.joinId, homeGatewayId: gatewayId };
    const { reply } = kit.feed(kit.response({ earlierYes, pn: first.pn, isOvertaken: true }));
    assert.ok(reply?.kind === 'state' && reply.state.state === 'refused');
    assert.equal(reply.state.status, 'superseded');
    assert.ok(reply.state.outcome);
  });

  it('asks again when the yes was of another home gateway', () => {
    const kit = MachineKit.at('challenged');
    const { gatewayId } = kit.facts(kit.gw2, 2);
    assert.ok(kit.row);
    kit.feed(kit.response({ earlierYes: { joinId: kit.row.joinId, homeGatewayId: gatewayId } }));
    assert.equal(kit.row.state, 'verified');
  });
});
