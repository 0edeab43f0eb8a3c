/** What happened, as stories: which events belong together, how they end, and that a flood takes no more memory. */
import assert from 'node:assert/strict';
import { fromHex, toHex } from '../../src/base/bytes.ts';
import { GatewayId, JoinId, PnId, Thumbprint } from '../../src/base/ids.ts';
import { MAX_STEPS, MAX_STORIES, Stories } from '../../src/console/stories.ts';
import type { TraceEvent } from '../../src/nodes/trace.ts';
import { rungs } from '../../src/web/console/ladder.ts';
import { storyEnd, storyTitle } from '../../src/web/console/words.ts';

const sent = (name: string, link: string, more: Partial<TraceEvent> = {}): TraceEvent => ({
  ...{ name, from: 'gateway', to: 'pne', via: 'ble', bytes: 100, atMs: 1_000, link },
  ...more,
});
const joinId = JoinId(fromHex('5f1c'.padEnd(32, '0')));
const ASKED = {
  kind: 'asked',
  view: {
    joinId,
    pnId: PnId(fromHex('00'.repeat(8))),
    pne: { thumbprint: Thumbprint(fromHex('11'.repeat(32))), label: 'Watch' },
    asking: { user: 'Bob', gateway: 'Kitchen', gatewayId: GatewayId(fromHex('22'.repeat(8))) },
    claimedPnName: 'Family',
    setupType: 'new',
    terms: { currency: 'EUR', limit: 500, periodDays: 30 },
    deadline: 2_000,
  },
} as const;

describe('what happened, as stories', () => {
  it('a link and its transaction are one, and two links are two', () => {
    const stories = new Stories();
    stories.trace(sent('PnSetupRequest', 'a', { step: 1 }));
    stories.trace(sent('PnSetupRequest', 'b', { step: 1 }));
    stories.trace(sent('LinkTranscript', 'a', { via: 'local', joinKey: 'txn' }));
    stories.trace({ ...sent('PnInventoryStored', '', { step: 12, joinKey: 'txn' }), link: '' });
    stories.trace(sent('PnSetupNotify', 'a', { step: 13 }));
    const [second, first] = stories.list();
    assert.deepEqual(
      [first, second].map((story) => story?.steps.map(({ name }) => name)),
      [['PnSetupRequest', 'PnInventoryStored', 'PnSetupNotify'], ['PnSetupRequest']],
    );
    assert.deepEqual(first && storyEnd(first), { text: 'done', mood: 'good' });
    assert.deepEqual(second && storyEnd(second), { text: 'on its way', mood: 'busy' });
  });

  it('a refusal is the end of a join, with its sentence; waiting is none', () => {
    const stories = new Stories();
    stories.trace(sent('PnSetupRequest', 'a', { step: 1 }));
    stories.trace(sent('Waiting', 'a', { status: 'awaiting-user' }));
    assert.equal(storyEnd(stories.list()[0] ?? assert.fail()).mood, 'busy');
    stories.trace(sent('Abort', 'a', { status: 'user-refused' }));
    const [story = assert.fail()] = stories.list();
    assert.equal(storyEnd(story).mood, 'bad');
    assert.match(story.steps.at(-1)?.meaning ?? '', /refused/);
  });

  it('a join shows what was seen, what follows from it, and what nobody here can know', () => {
    const stories = new Stories();
    const server = (step: number, more: Partial<TraceEvent> = {}) =>
      stories.trace({ ...sent(`Step${step}`, '', { joinKey: 'txn', via: 'https', step, ...more }) });
    const states = () =>
      rungs(stories.list()[0]?.steps ?? [])
        .map(({ state }) => state[0])
        .join('');
    for (const step of [1, 2]) stories.trace(sent('PnSetupRequest', 'a', { step }));
    stories.trace(sent('LinkTranscript', 'a', { via: 'local', joinKey: 'txn' }));
    for (const step of [3, 4]) server(step);
    for (const step of [5, 6]) stories.trace(sent('Step', 'a', { step }));
    server(7, { joinId: toHex(joinId) });
    assert.equal(states(), 'idddddddaaaaaa');
    stories.trace(sent('TransactionWaiting', '', { joinKey: 'txn', status: 'awaiting-home-gateway' }));
    assert.equal(states(), 'idddddddaaaaaa');
    stories.trace(sent('TransactionWaiting', '', { joinKey: 'txn', status: 'awaiting-user' }));
    assert.equal(states(), 'idddddddiaaaaa');
    assert.equal(storyEnd(stories.list()[0] ?? assert.fail()).text, 'on its way');
    const before = stories.list()[0]?.steps ?? [];
    server(11);
    assert.equal(states(), 'idddddddiiidaa');
    server(12);
    assert.equal(storyEnd(stories.list()[0] ?? assert.fail()).text, 'the device is yet to hear');
    stories.trace(sent('PnSetupNotify', 'a', { step: 13 }));
    // The end of the link later is none of the join.
    stories.trace(sent('Abort', 'a', { status: 'shutting-down' }));
    assert.equal(states(), 'idddddddiiiddd');
    assert.deepEqual(storyEnd(stories.list()[0] ?? assert.fail()), { text: 'done', mood: 'good' });
    // The same up to step 7, but the server says no: of the home nothing is known, and the device still hears it.
    const told = stories.list()[0] ?? assert.fail();
    const no = { ...(told.steps[9] ?? assert.fail()), step: 11, status: 'user-refused', ends: true };
    const notify = told.steps.find(({ step }) => step === 13) ?? assert.fail();
    const refused = [...before.filter(({ step }) => step !== null), no, notify];
    assert.equal(
      rungs(refused)
        .map(({ state }) => state[0])
        .join(''),
      'iddddddduuufad',
    );
    assert.equal(storyEnd({ ...told, steps: refused }).text, 'refused');
  });

  it('a question that this gateway puts to itself is a story, and two steps of the join', () => {
    const stories = new Stories();
    stories.trace(sent('PnSetupRequest', 'a', { step: 1, joinKey: 'txn' }));
    stories.trace(sent('AuthenticationResponse', '', { step: 7, joinKey: 'txn', joinId: toHex(joinId) }));
    stories.event(ASKED, 1_000);
    const decision = { yours: true, chargeable: false, reason: 'user-refused' } as const;
    stories.event({ kind: 'answered', joinId, decision, decidedBy: 'user' }, 2_000);
    const [question = assert.fail(), join = assert.fail(), ...others] = stories.list();
    assert.deepEqual([question.kind, join.kind, others.length], ['question', 'join', 0]);
    assert.deepEqual(
      [question, join].map(({ steps }) => steps.map(({ step }) => step)),
      [
        [8, 9],
        [1, 7, 8, 9],
      ],
    );
    assert.deepEqual([storyEnd(question).text, storyEnd(join).text], ['refused', 'on its way']);
  });

  it('an answer that is tried again is no end', () => {
    const stories = new Stories();
    stories.trace(sent('AuthenticationResponse', '', { step: 7, joinKey: 'txn' }));
    stories.trace(sent('NoAnswer', '', { joinKey: 'txn', status: 'server-unreachable' }));
    stories.trace(sent('Refusal', '', { joinKey: 'txn', status: 'too-many-requests' }));
    assert.equal(storyEnd(stories.list()[0] ?? assert.fail()).mood, 'busy');
    stories.trace(sent('Refusal', '', { joinKey: 'txn', status: 'revoked-gateway' }));
    assert.equal(storyEnd(stories.list()[0] ?? assert.fail()).mood, 'bad');
  });

  it('a question, its answer and its outcome are one', () => {
    const stories = new Stories();
    stories.event(ASKED, 1_000);
    const [waiting = assert.fail()] = stories.list();
    assert.equal(storyTitle(waiting), 'A question to you: Watch · Kitchen (Bob)');
    assert.equal(storyEnd(waiting).text, 'waits');
    const decision = { yours: true, chargeable: true, reason: 'ok' } as const;
    stories.event({ kind: 'answered', joinId, decision, decidedBy: 'user' }, 2_000);
    stories.event({ kind: 'settled', joinId, status: 'ok' }, 3_000);
    const [settled = assert.fail(), ...others] = stories.list();
    assert.equal(others.length, 0);
    assert.deepEqual(
      settled.steps.map(({ step, atMs }) => [step, atMs]),
      [
        [8, 1_000],
        [9, 2_000],
        [null, 3_000],
      ],
    );
  });

  it('a flood of links and of messages takes no more than its place', () => {
    const stories = new Stories();
    for (let i = 0; i < 10_000; i++) stories.trace(sent('PnSetupRequest', `link ${i}`, { step: 1 }));
    for (let i = 0; i < 10_000; i++) stories.trace(sent('Data', 'one', { joinKey: `txn ${i}` }));
    const list = stories.list();
    assert.equal(list.length, MAX_STORIES);
    assert.ok(list.every(({ steps }) => steps.length <= MAX_STEPS));
    assert.ok(JSON.stringify(list).length < 100_000);
  });
});
