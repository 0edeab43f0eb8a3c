/** The tap's arithmetic on segments made by hand: messages, lanes, grants, connection events. */
import assert from 'node:assert/strict';
import { TappedLink } from '../../scripts/bench/tapped-link.ts';
import type { LinkCounters } from '../../src/bluetooth/virtual-radio/shapes.ts';

const COUNTERS = { intervalMs: 4_000, ageMs: 1_000 } as LinkCounters;
const START = 0x80;
const END = 0x40;
const LANE = 0x20;
const GRANT = 0x08;

const segment = (header: number, bytes: number) => new Uint8Array(bytes).fill(header, 0, 1);

describe('bench: a tapped link', () => {
  it('gathers messages lane by lane and counts their payload', () => {
    const link = new TappedLink(() => COUNTERS);
    link.handed('down', segment(START | LANE, 244));
    link.handed('down', segment(START | END, 20));
    link.handed('down', segment(END | LANE | GRANT, 12));
    link.handed('up', segment(GRANT, 2));
    assert.deepEqual(
      link.messages.map(({ bytes, segments }) => [bytes, segments.length]),
      [
        [241 + 10, 2],
        [19, 1],
      ],
    );
    assert.equal(link.bare.length, 1);
  });

  it('counts one event for what is handed over before one and crosses in it', async () => {
    const link = new TappedLink(() => COUNTERS);
    link.handed('up', segment(START, 244));
    link.handed('up', segment(END, 9));
    link.crossed('up');
    link.crossed('up');
    await Promise.resolve();
    link.handed('down', segment(START | END, 30));
    link.crossed('down');
    const [request, answer] = link.messages.map(({ segments }) =>
      segments.map(({ handedAfter, crossedIn }) => [handedAfter, crossedIn]),
    );
    assert.deepEqual(request, [
      [0, 1],
      [0, 1],
    ]);
    assert.deepEqual(answer, [[1, 2]]);
  });

  it('leaves what did not cross in its event for the next', async () => {
    const link = new TappedLink(() => COUNTERS);
    link.handed('up', segment(START, 244));
    link.handed('up', segment(END, 9));
    link.crossed('up');
    await Promise.resolve();
    link.crossed('up');
    assert.deepEqual(
      link.messages[0]?.segments.map(({ crossedIn }) => crossedIn),
      [1, 2],
    );
  });
});
