/** The home gateway's machine: its judgement of evidence, and every state × input of its table. */
import assert from 'node:assert/strict';
import { equal } from '../../../src/base/bytes.ts';
import {
  claimedThumbprint,
  HOME_GATEWAY_MACHINE,
  type HomeGatewayInput,
  type HomeGatewayOutput,
  type HomeGatewaySession,
  verifyRequest,
} from '../../../src/establishment/home-gateway.ts';
import {
  HOME_GATEWAY_TABLE,
  type HomeGatewayInputKind,
  type HomeGatewayState,
} from '../../../src/establishment/home-gateway-table.ts';
import { Machine } from '../../../src/establishment/machine.ts';
import { PneConfirmResponsePayload } from '../../../src/messages/confirmation.ts';
import { parseSign1, verifySign1 } from '../../../src/security/cose.ts';
import {
  confirmRequest,
  NOW,
  outcomeOf,
  PNE,
  parties,
  primitives,
  type Spoiling,
  sessionOf,
} from './confirm-samples.ts';

const { stranger, home } = parties;
const YES = { yours: true, chargeable: true, reason: 'ok' } as const;

/** Runs a machine, signing as the driver would; gives what it put out and where it stands. */
function drive(session: HomeGatewaySession, state: HomeGatewayState, ...inputs: HomeGatewayInput[]) {
  const machine = new Machine(HOME_GATEWAY_MACHINE, session, state);
  const outputs: HomeGatewayOutput[] = [];
  const feed = (input: HomeGatewayInput): void => {
    for (const output of machine.handle(input, 0)) {
      outputs.push(output);
      if (output.kind === 'sign') feed({ kind: 'signed', signature: home.sign(output.message) });
      if (output.kind === 'settle') feed({ kind: 'stored' });
    }
  };
  for (const input of inputs) feed(input);
  return { state: machine.state, outputs, kinds: outputs.map(({ kind }) => kind) };
}

/** What the signed answer says, after its signature verified. */
function answerIn(outputs: readonly HomeGatewayOutput[], th3: Uint8Array): PneConfirmResponsePayload {
  const sent = outputs.find((output) => output.kind === 'send');
  assert.ok(sent);
  const parsed = parseSign1(sent.answer);
  assert.ok(verifySign1(primitives, home.publicKey, 'cpns1/confirm-answer', th3, parsed));
  return PneConfirmResponsePayload.decode(parsed.payload);
}

describe('home gateway machine', () => {
  describe('evidence', () => {
    it('that holds gives verified labels, and the name as a claim', () => {
      const view = verifyRequest(sessionOf(confirmRequest()));
      assert.deepEqual([view.asking.user, view.asking.gateway], ['bob', 'van']);
      assert.deepEqual([view.claimedPnName, view.pne.label], ['free beer', 'heart monitor']);
    });

    it('names its PNE', () => {
      const request = confirmRequest();
      assert.deepEqual(claimedThumbprint(request), PNE.thumbprint);
      const unreadable = { ...request, evidence: { ...request.evidence, m2: new Uint8Array(3) } };
      assert.equal(claimedThumbprint(unreadable), undefined);
    });

    it('counts the credential as of the challenge, not of today', () => {
      assert.ok(verifyRequest(sessionOf(confirmRequest({ credentialExpiresAt: NOW }))));
    });

    const spoilt: readonly (readonly [
      name: string,
      reason: string,
      Spoiling,
      Partial<HomeGatewaySession>?,
    ])[] = [
      ['of a PNE that is not in the own record', 'not-owned', {}, { pne: undefined }],
      ['of a revoked PNE', 'revoked-pne', {}, { pne: { ...PNE, revoked: true } }],
      [
        'with a foreign home address',
        'home-address-mismatch',
        { homeAddress: '0011223344556677@example.org' },
      ],
      ['with a home address that is none', 'home-address-malformed', { homeAddress: 'home' }],
      ['with a challenge of somebody else', 'challenge-invalid', { challengeSigner: stranger }],
      ['with a credential of somebody else', 'credential-unknown-key', { credentialSigner: stranger }],
      ['with an expired credential', 'credential-expired', { credentialExpiresAt: NOW - 1 }],
      ['with step 1 of another gateway', 'setup-request-invalid', { setupSigner: stranger }],
      ['with step 6 of another PNE', 'response-invalid', { responseSigner: stranger }],
      ['of an enrolment', 'transcript-mismatch', { kind: 'enrol' }],
      [
        'with another th3',
        'transcript-mismatch',
        { change: (request) => ({ ...request, th3: new Uint8Array(32) }) },
      ],
      [
        'with another capability in step 2',
        'challenge-invalid',
        {
          change: (request) => {
            const m2 = request.evidence.m2.slice();
            // A byte inside the capability, which nothing but the transcript protects.
            m2[20] = 1;
            return { ...request, evidence: { ...request.evidence, m2 } };
          },
        },
      ],
      [
        'with another own record of the key',
        'response-invalid',
        {},
        { pne: { ...PNE, key: stranger.publicKey } },
      ],
    ];
    for (const [name, reason, spoiling, changes] of spoilt) {
      it(`${name} is answered with a signed no: ${reason}`, () => {
        const request = confirmRequest(spoiling);
        const session = sessionOf(request, changes);
        const { state, kinds, outputs } = drive(session, 'asked', { kind: 'review', now: NOW });
        assert.equal(state, 'answering');
        assert.deepEqual(kinds, ['sign', 'saveAnswer', 'send']);
        const answer = answerIn(outputs, request.th3);
        const yours = session.pne !== undefined && !session.pne.revoked;
        assert.deepEqual(answer, { yours, chargeable: false, reason, decidedAt: NOW });
      });
    }
  });

  describe('decision', () => {
    it('allow by rule is a yes within the terms, stored before it is sent', () => {
      const request = confirmRequest();
      const session = sessionOf(request, { rules: [{ decision: 'allow', user: 'bob' }] });
      const { kinds, outputs } = drive(session, 'asked', { kind: 'review', now: NOW });
      assert.deepEqual(kinds, ['sign', 'saveAnswer', 'send']);
      const expected = { ...YES, subscription: 'alice mobile', limit: 500, decidedAt: NOW };
      assert.deepEqual(answerIn(outputs, request.th3), expected);
    });

    it('deny by rule is a no of the user', () => {
      const request = confirmRequest();
      const session = sessionOf(request, { rules: [{ decision: 'deny' }] });
      const { outputs } = drive(session, 'asked', { kind: 'review', now: NOW });
      const expected = { yours: true, chargeable: false, reason: 'user-refused', decidedAt: NOW };
      assert.deepEqual(answerIn(outputs, request.th3), expected);
    });

    it('of the owner is signed at the time it was made', () => {
      const request = confirmRequest();
      const { kinds, outputs } = drive(
        sessionOf(request),
        'asked',
        { kind: 'review', now: NOW },
        { kind: 'decided', decision: YES, now: NOW + 9 },
      );
      assert.deepEqual(kinds, ['ask', 'sign', 'saveAnswer', 'send']);
      assert.equal(answerIn(outputs, request.th3).decidedAt, NOW + 9);
    });

    it('is made once: every resend has the same bytes, a second decision none', () => {
      const { outputs } = drive(
        sessionOf(confirmRequest()),
        'asked',
        { kind: 'review', now: NOW },
        { kind: 'decided', decision: YES, now: NOW },
        { kind: 'decided', decision: { yours: false, chargeable: false, reason: 'not-owned' }, now: NOW },
        { kind: 'delivered' },
        { kind: 'resend' },
      );
      const sent = outputs.flatMap((output) => (output.kind === 'send' ? [output.answer] : []));
      assert.equal(sent.length, 2);
      assert.ok(sent[0] && sent[1] && equal(sent[0], sent[1]));
      assert.equal(outputs.filter(({ kind }) => kind === 'saveAnswer').length, 1);
    });
  });

  describe('outcome', () => {
    const request = confirmRequest();
    const answered = sessionOf(request, { decision: YES, answer: new Uint8Array(9) });

    it('settles', () => {
      const { state, kinds } = drive({ ...answered }, 'answered', {
        kind: 'outcome',
        outcome: outcomeOf(request, 'ok'),
      });
      assert.deepEqual([state, kinds], ['settled', ['settle']]);
    });

    it('of somebody else is passed over with an alarm', () => {
      const outcome = outcomeOf(request, 'ok', stranger);
      const { state, outputs } = drive({ ...answered }, 'answered', { kind: 'outcome', outcome });
      assert.deepEqual([state, outputs], ['answered', [{ kind: 'alarm', status: 'outcome-invalid' }]]);
    });

    it('of another join is passed over', () => {
      const outcome = outcomeOf(confirmRequest(), 'ok');
      assert.equal(drive({ ...answered }, 'answered', { kind: 'outcome', outcome }).state, 'answered');
    });

    it('"registered" without a yes of ours raises an alarm', () => {
      const session = sessionOf(request);
      const { state, kinds } = drive(session, 'asked', {
        kind: 'outcome',
        outcome: outcomeOf(request, 'ok'),
      });
      assert.deepEqual([state, kinds], ['settled', ['settle', 'alarm']]);
    });
  });

  describe('every state × input', () => {
    const request = confirmRequest();
    const inputs: { readonly [K in HomeGatewayInputKind]: HomeGatewayInput } = {
      review: { kind: 'review', now: NOW },
      decided: { kind: 'decided', decision: YES, now: NOW },
      signed: { kind: 'signed', signature: new Uint8Array(64) },
      delivered: { kind: 'delivered' },
      rejected: { kind: 'rejected', status: 'deadline-passed' },
      resend: { kind: 'resend' },
      outcome: { kind: 'outcome', outcome: outcomeOf(request, 'user-refused') },
      stored: { kind: 'stored' },
      deadline: { kind: 'deadline' },
      failed: { kind: 'failed', status: 'cannot-persist' },
      timeout: { kind: 'timeout' },
      stop: { kind: 'stop' },
    };
    /** state → input → where it leads and what comes out; what is not here changes nothing and puts nothing out. */
    type Effect = readonly [to: HomeGatewayState, ...outputs: HomeGatewayOutput['kind'][]];
    const ends = {
      outcome: ['settling', 'settle'],
      failed: ['suspended'],
      stop: ['suspended'],
    } as const;
    const expected: {
      readonly [S in HomeGatewayState]: { readonly [K in HomeGatewayInputKind]?: Effect };
    } = {
      asked: { ...ends, review: ['asking', 'ask'], deadline: ['settling', 'settle'] },
      asking: { ...ends, decided: ['signing', 'sign'], deadline: ['settling', 'settle'] },
      signing: { ...ends, signed: ['answering', 'saveAnswer', 'send'] },
      answering: {
        ...ends,
        delivered: ['answered'],
        rejected: ['settling', 'settle'],
        review: ['answering', 'send'],
        resend: ['answering', 'send'],
      },
      answered: { ...ends, review: ['answering', 'send'], resend: ['answering', 'send'] },
      settling: { ...ends, stored: ['settled'] },
      settled: {},
      suspended: {},
    };

    for (const state of Object.keys(HOME_GATEWAY_TABLE) as HomeGatewayState[]) {
      for (const [kind, input] of Object.entries(inputs) as [HomeGatewayInputKind, HomeGatewayInput][]) {
        const [to, ...outputs] = expected[state][kind] ?? [state];
        it(`${state} × ${kind} → ${[to, ...outputs].join(', ')}`, () => {
          const session = sessionOf(request, {
            decision: YES,
            decidedBy: 'user',
            payload: new Uint8Array(5),
            answer: new Uint8Array(9),
          });
          const machine = new Machine(HOME_GATEWAY_MACHINE, session, state);
          const kinds = machine.handle(input, 0).map((output) => output.kind);
          assert.deepEqual([machine.state, kinds], [to, outputs]);
          assert.equal(machine.deadlineAt, undefined);
        });
      }
    }
  });
});
