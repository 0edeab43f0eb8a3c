/** What happened, as stories: which events belong together, how they end, and that a flood takes no more memory. */
import assert from 'node:assert/strict';
import { fromHex } from '../../src/base/bytes.ts';
import { GatewayId, JoinId, PnId, Thumbprint } from '../../src/base/ids.ts';
import { MAX_STEPS, MAX_STORIES, Stories } from '../../src/console/stories.ts';
import type { TraceEvent } from '../../src/nodes/trace.ts';
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
