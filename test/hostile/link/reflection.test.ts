/** What a peer said comes back to it: its OPEN as the answer to itself, its records as records of the other side. */
import assert from 'node:assert/strict';
import type { Status } from '../../../src/base/statuses.ts';
import { LinkEnded } from './dialogue.ts';
import type { RogueGateway } from './rogue-gateway.ts';
import { RoguePne } from './rogue-pne.ts';
import { Stage, type Victim } from './stage.ts';

/** The low bits of a segment's first byte count segments, per direction. */
const withSequence = (segment: Uint8Array, seq: number): Uint8Array => {
  const copy = segment.slice();
  copy[0] = ((copy[0] ?? 0) & 0xf8) | (seq & 7);
  return copy;
};

describe('hostile on the air: reflected messages', function () {
  this.timeout(30_000);
  let stage: Stage;
  let mallory: RogueGateway;
  let x: Victim;

  before(async () => {
    stage = await Stage.open();
    mallory = await stage.mallory();
    x = await stage.victim('X');
  });
  after(() => stage.close());

  /** The next status with which a PNE's (or a gateway's) own end of a link goes down. */
  async function nextEnd(of: 'pne' | 'gateway', status: Status, act: () => Promise<unknown>): Promise<void> {
    const { events } = stage.network;
    const before = events.length;
    await act();
    await stage.network.until(`${status} at the ${of}`, () =>
      events
        .slice(before)
        .some(
          (e) =>
            e.kind === 'link' &&
            e.state === 'down' &&
            e.status === status &&
            'address' in e === (of === 'gateway'),
        ),
    );
  }

  it('its own OPEN is no answer for a PNE: malformed, since the central states a kind', async () => {
    await stage.during(() =>
      nextEnd('pne', 'malformed', async () => {
        const gatt = await mallory.connect(x.address);
        gatt.onSegment = (segment) => gatt.send(segment);
      }),
    );
    stage.assertNothingLeft(x);
  });

  it("a PNE's own records do not open: the directions have keys of their own", async () => {
    await stage.during(() =>
      nextEnd('pne', 'record-failed', async () => {
        const { dialogue } = await mallory.invite(x.address);
        const step2 = dialogue.received.at(-1);
        assert.ok(step2);
        dialogue.inject(withSequence(step2, dialogue.sent.filter(([header]) => header !== 0x08).length));
        await assert.rejects(dialogue.next(), LinkEnded);
      }),
    );
    stage.assertNothingLeft(x);
  });

  it("a gateway's own OPEN and its own records are refused as well", async () => {
    const rogue = await RoguePne.open(stage.network.radio);
    stage.closing(() => rogue.close());
    await rogue.advertise();
    await stage.during(() =>
      nextEnd('gateway', 'record-failed', async () => {
        const dialogue = await rogue.next();
        await dialogue.expect('PnSetupRequest');
        const [, ...step1] = dialogue.received;
        for (const segment of step1) dialogue.inject(segment);
        await assert.rejects(dialogue.next(), LinkEnded);
      }),
    );
    await stage.network.until('only members left', () =>
      stage.bob.pns().every(({ joins }) => joins.every(({ acknowledged }) => acknowledged)),
    );
  });
});
