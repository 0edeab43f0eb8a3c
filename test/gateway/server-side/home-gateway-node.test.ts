/** The home gateway at work, with a real store and real signatures, and a server that is a function of the test. */
import assert from 'node:assert/strict';
import { fromHex, toHex } from '../../../src/base/bytes.ts';
import { CpnsError } from '../../../src/base/errors.ts';
import type { Status } from '../../../src/base/statuses.ts';
import { joinIdOf, verifyRequest } from '../../../src/establishment/home-gateway.ts';
import { encodeCbor } from '../../../src/messages/cbor.ts';
import { CoseKey } from '../../../src/messages/common.ts';
import { PneConfirmRequest, PneConfirmResponsePayload } from '../../../src/messages/confirmation.ts';
import type { ApprovalRule } from '../../../src/network/approval-policy.ts';
import { type HomeGatewayEvent, HomeGatewayNode } from '../../../src/nodes/gateway/home-gateway.ts';
import { viewReports } from '../../../src/nodes/gateway/views.ts';
import { systemClock } from '../../../src/nodes/system-clock.ts';
import { coseKeyOf, thumbprintOf } from '../../../src/security/cose-key.ts';
import { openSigned } from '../../../src/security/signed-message.ts';
import { SETTLED_KEPT_SECONDS } from '../../../src/store/gateway-home.ts';
import { type GatewayStore, openGatewayStore } from '../../../src/store/gateway-store.ts';
import {
  confirmRequest,
  HOME_ID,
  NOW,
  outcomeOf,
  PNE,
  parties,
  primitives,
  SERVER_KEYS,
  sessionOf,
} from './confirm-samples.ts';

describe('home gateway node', () => {
  let store: GatewayStore;
  let node: HomeGatewayNode;
  let events: HomeGatewayEvent[];
  let sent: Uint8Array[];
  let confirm: () => Promise<Status>;
  let wallSeconds: number;
  const waiting: { readonly test: () => boolean; readonly resolve: () => void }[] = [];
  const until = (test: () => boolean): Promise<void> =>
    test() ? Promise.resolve() : new Promise((resolve) => waiting.push({ test, resolve }));
  const happened = () => {
    for (const one of waiting.splice(0))
      if (one.test()) one.resolve();
      else waiting.push(one);
  };
  const kinds = () => events.map(({ kind }) => kind);

  const start = (rules: readonly ApprovalRule[] = [], questionKeptMs?: number) => {
    const next = new HomeGatewayNode({
      store,
      client: {
        confirm: async (_joinId, answer) => {
          sent.push(answer);
          happened();
          return confirm();
        },
      },
      signer: parties.home,
      primitives,
      gatewayId: HOME_ID,
      serverKeys: () => SERVER_KEYS,
      rules,
      subscription: 'alice mobile',
      clock: { ...systemClock, wallSeconds: () => wallSeconds },
      onEvent: (event) => {
        events.push(event);
        happened();
      },
      retry: { firstMs: 1, maxMs: 2 },
      ...(questionKeptMs !== undefined && { questionKeptMs }),
    });
    next.start();
    return next;
  };
  const restart = async (rules: readonly ApprovalRule[] = [], questionKeptMs?: number) => {
    await node.close();
    node = start(rules, questionKeptMs);
  };

  beforeEach(() => {
    store = openGatewayStore(':memory:');
    [events, sent, wallSeconds] = [[], [], NOW];
    confirm = async () => 'ok';
    store.home.savePne({
      thumbprint: PNE.thumbprint,
      key: encodeCbor(CoseKey.toCbor(coseKeyOf(PNE.key), 'CoseKey')),
      label: PNE.label,
      epoch: 1,
      rms: new Uint8Array(32),
      enrolledAt: NOW,
    });
    node = start();
  });
  afterEach(async () => {
    await node.close();
    store.close();
  });
  const recordOf = (request: PneConfirmRequest) => store.home.request(joinIdOf(request));

  it('has a request on disk when it was taken, asks, answers, and settles', async () => {
    const request = confirmRequest();
    node.onConfirmRequest(request);
    assert.equal(recordOf(request)?.state, 'asked');
    await until(() => node.pending().length === 1);
    await node.decide(joinIdOf(request), { yours: true, chargeable: true });
    assert.equal(recordOf(request)?.state, 'answered');
    await until(() => sent.length === 1);
    assert.deepEqual(sent[0], recordOf(request)?.answer);
    await node.onJoinOutcome({ joinId: joinIdOf(request), outcome: outcomeOf(request, 'ok') });
    assert.deepEqual([recordOf(request)?.state, recordOf(request)?.status], ['settled', 'ok']);
    assert.deepEqual(kinds(), ['asked', 'answered', 'settled']);
  });

  it('asks again after a restart', async () => {
    const request = confirmRequest();
    node.onConfirmRequest(request);
    await until(() => node.pending().length === 1);
    await restart();
    await until(() => node.pending().length === 1);
    assert.deepEqual(node.pending()[0]?.joinId, joinIdOf(request));
  });

  it('sends the same bytes after a restart, and when asked again', async () => {
    confirm = async () => {
      throw new CpnsError('server-unreachable');
    };
    const request = confirmRequest();
    node.onConfirmRequest(request);
    await until(() => node.pending().length === 1);
    await node.decide(joinIdOf(request), { yours: true, chargeable: false });
    await until(() => sent.length >= 3);
    confirm = async () => 'ok';
    await node.close();
    const before = sent.length;
    node = start();
    await until(() => sent.length > before);
    await new Promise((resolve) => setImmediate(resolve));
    node.onConfirmRequest(request);
    await until(() => sent.length > before + 1);
    assert.equal(new Set(sent.map((answer) => Buffer.from(answer).toString('hex'))).size, 1);
    assert.equal(recordOf(request)?.decision?.reason, 'not-chargeable');
  });

  it('a report is a no to all that its gateway asks, now, after a restart and over a rule, until it is withdrawn', async () => {
    const [one, other] = [confirmRequest(), confirmRequest()];
    for (const request of [one, other]) node.onConfirmRequest(request);
    await until(() => node.pending().length === 2);
    await node.report(joinIdOf(one));
    assert.deepEqual(
      [one, other].map((request) => recordOf(request)?.decision?.reason),
      ['user-refused', 'user-refused'],
    );
    const [report, ...others] = store.reports.all();
    assert.equal(others.length, 0);
    assert.deepEqual(report?.joinId, joinIdOf(one));
    assert.equal(events.filter(({ kind }) => kind === 'reported').length, 1);
    const byLabel = { decision: 'allow', gateway: toHex(report.gatewayId) } as const;
    await restart([byLabel]);
    const later = confirmRequest();
    node.onConfirmRequest(later);
    await until(() => recordOf(later)?.answer !== undefined);
    assert.deepEqual(
      [recordOf(later)?.decision?.reason, recordOf(later)?.decidedBy],
      ['user-refused', 'report'],
    );
    await assert.rejects(node.report(joinIdOf(later)), { status: 'unknown-transaction' });
    store.reports.withdraw(joinIdOf(one));
    const last = confirmRequest();
    node.onConfirmRequest(last);
    await until(() => recordOf(last)?.answer !== undefined);
    assert.deepEqual([recordOf(last)?.decision?.reason, recordOf(last)?.decidedBy], ['ok', 'rule 0']);
  });

  it('a report keeps its evidence, which verifies again; without one a question goes after 30 days', async () => {
    const [one, other] = [confirmRequest(), confirmRequest()];
    for (const request of [one, other]) node.onConfirmRequest(request);
    await until(() => node.pending().length === 2);
    await node.decide(joinIdOf(other), { yours: true, chargeable: false });
    await node.report(joinIdOf(one));
    for (const request of [one, other])
      await node.onJoinOutcome({ joinId: joinIdOf(request), outcome: outcomeOf(request, 'user-refused') });
    wallSeconds = NOW + SETTLED_KEPT_SECONDS + 1;
    await restart();
    assert.equal(recordOf(other), undefined);
    const [view = assert.fail()] = viewReports(store, primitives);
    assert.deepEqual(view.pne, { thumbprint: toHex(PNE.thumbprint), label: PNE.label });
    assert.equal(view.gateway.thumbprint, toHex(thumbprintOf(primitives, parties.initiating.publicKey)));
    assert.equal(view.gateway.gatewayId, view.gateway.thumbprint.slice(0, 16));
    const kept = PneConfirmRequest.decode(fromHex(view.evidence.request));
    const { joinId } = verifyRequest(sessionOf(kept));
    assert.equal(toHex(joinId), view.joinId);
    assert.equal(toHex(kept.th3), view.evidence.th3);
    const no = openSigned(
      primitives,
      PneConfirmResponsePayload,
      () => [parties.home.publicKey],
      kept.th3,
      fromHex(view.evidence.answer ?? ''),
      'answer-invalid',
    );
    assert.equal(no.value.reason, 'user-refused');
    store.reports.withdraw(joinIdOf(one));
    await restart();
    assert.equal(recordOf(one), undefined);
  });

  it('answers by rule without asking, and says which', async () => {
    await restart([
      { decision: 'ask', user: 'eve' },
      { decision: 'allow', user: 'bob' },
    ]);
    const request = confirmRequest();
    node.onConfirmRequest(request);
    await until(() => sent.length === 1);
    assert.equal(recordOf(request)?.decidedBy, 'rule 1');
    assert.deepEqual(kinds(), ['answered']);
  });

  it('remembers "always"', async () => {
    const first = confirmRequest();
    node.onConfirmRequest(first);
    await until(() => node.pending().length === 1);
    await node.decide(joinIdOf(first), { yours: true, chargeable: true, always: true });
    const second = confirmRequest();
    node.onConfirmRequest(second);
    await until(() => recordOf(second)?.state === 'answered');
    assert.equal(recordOf(second)?.decision?.reason, 'ok');
    assert.equal(kinds().filter((kind) => kind === 'asked').length, 1);
  });

  it('takes no decision on what nobody asked', async () => {
    const joinId = joinIdOf(confirmRequest());
    await assert.rejects(node.decide(joinId, { yours: true, chargeable: true }), {
      status: 'unknown-transaction',
    });
  });

  it('asks and answers though its own clock says that the deadline is long past: the server ends a question', async () => {
    wallSeconds = NOW + 3600;
    const request = confirmRequest({ deadline: NOW + 600 });
    node.onConfirmRequest(request);
    await until(() => node.pending().length === 1);
    await node.decide(joinIdOf(request), { yours: true, chargeable: true });
    await until(() => sent.length === 1);
    assert.deepEqual(kinds(), ['asked', 'answered']);
  });

  it('drops a question that the server never ends after so long, and still takes the outcome', async () => {
    await restart([], 20);
    const request = confirmRequest();
    node.onConfirmRequest(request);
    await until(() => kinds().includes('settled'));
    assert.deepEqual(node.pending(), []);
    assert.equal(recordOf(request)?.status, 'confirmation-timeout');
    const outcome = outcomeOf(request, 'confirmation-timeout');
    await node.onJoinOutcome({ joinId: joinIdOf(request), outcome });
    assert.deepEqual(recordOf(request)?.outcome, outcome);
  });

  it('settles when the server will not take the answer', async () => {
    confirm = async () => {
      throw new CpnsError('deadline-passed');
    };
    await restart([{ decision: 'deny' }]);
    const request = confirmRequest();
    node.onConfirmRequest(request);
    await until(() => kinds().includes('settled'));
    assert.deepEqual([recordOf(request)?.state, recordOf(request)?.status], ['settled', 'deadline-passed']);
  });

  it('does not acknowledge what it could not write', async () => {
    const request = confirmRequest();
    node.onConfirmRequest(request);
    await until(() => node.pending().length === 1);
    store.close();
    const outcome = outcomeOf(request, 'user-refused');
    await assert.rejects(async () => node.onJoinOutcome({ joinId: joinIdOf(request), outcome }));
    assert.throws(() => node.onConfirmRequest(confirmRequest()), { status: 'cannot-persist' });
  });

  it('tells the owner that an answer could not be written, sends nothing, and says why', async () => {
    const request = confirmRequest();
    node.onConfirmRequest(request);
    await until(() => node.pending().length === 1);
    store.home.saveAnswer = () => {
      throw new CpnsError('cannot-persist');
    };
    const answer = node.decide(joinIdOf(request), { yours: true, chargeable: true });
    await assert.rejects(answer, { status: 'cannot-persist' });
    assert.deepEqual([sent.length, recordOf(request)?.state], [0, 'asked']);
    assert.deepEqual(
      events.flatMap((event) => (event.kind === 'alarm' ? [event.status] : [])),
      ['cannot-persist'],
    );
  });

  it('passes over a second request of one join with other content, with an alarm', async () => {
    const request = confirmRequest();
    node.onConfirmRequest(request);
    node.onConfirmRequest({ ...request, terms: { ...request.terms, limit: 1 } });
    assert.deepEqual(
      events.flatMap((event) => (event.kind === 'alarm' ? [event.status] : [])),
      ['conflict'],
    );
    await until(() => node.pending().length === 1);
    assert.equal(node.pending()[0]?.terms.limit, 500);
  });

  it('takes the outcome of a refresh, about which it was not asked', async () => {
    const request = confirmRequest();
    await node.onJoinOutcome({ joinId: joinIdOf(request), outcome: outcomeOf(request, 'ok') });
    assert.equal(recordOf(request), undefined);
  });
});
