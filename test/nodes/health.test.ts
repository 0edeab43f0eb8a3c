/** The rule of the watchdog: what a new start may mend is unhealthy, and nothing else is. */
import assert from 'node:assert/strict';
import { CHANNEL_STUCK_MS, judge, type Vitals } from '../../src/nodes/health.ts';

const ROWS: readonly (readonly [string, Vitals | undefined, boolean, RegExp])[] = [
  ['a node that does not answer itself', undefined, false, /does not answer itself/],
  ['nothing to complain of', {}, true, /^runs$/],
  ['a controller that answers', { controller: true }, true, /controller answers/],
  ['a controller that does not', { controller: false }, false, /does not answer/],
  ['an adapter that is waited for', { controller: 'away' }, true, /waiting for the Bluetooth adapter/],
  ['a channel that is up', { controller: true, channel: { kind: 'up' } }, true, /channel up/],
  ['a dial under way', { channel: { kind: 'dialling', forMs: 9_000 } }, true, /being dialled/],
  ['a dial for ever', { channel: { kind: 'dialling', forMs: CHANNEL_STUCK_MS + 1 } }, false, /does not end/],
  ['honest backing off', { channel: { kind: 'waiting', dueInMs: 29_000 } }, true, /again in 29 s/],
  ['a dial a little late', { channel: { kind: 'waiting', dueInMs: -9_000 } }, true, /again in 0 s/],
  ['no dial any more', { channel: { kind: 'waiting', dueInMs: -CHANNEL_STUCK_MS - 1 } }, false, /no longer/],
  [
    'deaf although the channel is up',
    { controller: false, channel: { kind: 'up' } },
    false,
    /not answer.*up/,
  ],
  ['a server that serves', { serving: true, remark: 'gateways: 3' }, true, /^serving; gateways: 3$/],
  ['a server that does not', { serving: false }, false, /takes no connections/],
];

describe('the rule of the watchdog', () => {
  for (const [what, vitals, healthy, text] of ROWS) {
    it(`${what}: ${healthy ? 'healthy' : 'unhealthy'}`, () => {
      const verdict = judge(vitals);
      assert.equal(verdict.healthy, healthy);
      assert.match(verdict.text, text);
    });
  }
});
