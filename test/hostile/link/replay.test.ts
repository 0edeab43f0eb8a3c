/** A whole establishment that was recorded is played again: to the same PNE, after its restart, to another, to a gateway. */
import assert from 'node:assert/strict';
import { toHex } from '../../../src/base/bytes.ts';
import type { Joined, RogueGateway } from './rogue-gateway.ts';
import { RoguePne } from './rogue-pne.ts';
import { Stage, type Victim } from './stage.ts';

describe('hostile on the air: recorded links', function () {
  this.timeout(30_000);
  let stage: Stage;
  let mallory: RogueGateway;
  let x: Victim;
  let y: Victim;
  let recorded: Joined;

  before(async () => {
    stage = await Stage.open();
    mallory = await stage.mallory();
    x = await stage.victim('X');
    y = await stage.victim('Y');
    recorded = await mallory.join(x.address);
    await recorded.dialogue.close();
  });
  after(() => stage.close());

  const memberships = ({ pne }: Pick<Victim, 'pne'>) =>
    pne.status().memberships.map(({ pnId, version }) => ({ pnId, version }));
  const only = () => [{ pnId: toHex(recorded.pnId), version: 1 }];

  /** Everything the gateway sent, its OPEN first, segment by segment. @returns what a PNE answered */
  async function play(address: string): Promise<readonly Uint8Array[]> {
    const gatt = await mallory.connect(address);
    const answers: Uint8Array[] = [];
    const ended = new Promise((resolve) => {
      gatt.onClose = resolve;
    });
    gatt.onSegment = (segment) => answers.push(segment.slice());
    for (const segment of recorded.dialogue.sent) gatt.send(segment);
    await ended;
    return answers;
  }

  it('to the PNE it was recorded with: its OPEN, then nothing', async () => {
    assert.deepEqual(memberships(x), only());
    const answers = await stage.during(() => play(x.address));
    assert.ok(answers.length <= 1, `${answers.length} segments`);
    assert.deepEqual(memberships(x), only());
    assert.deepEqual(x.pne.status().pending, []);
  });

  it('to another PNE: no membership across PNEs', async () => {
    const answers = await stage.during(() => play(y.address));
    assert.ok(answers.length <= 1, `${answers.length} segments`);
    stage.assertNothingLeft(y);
  });

  it('to the same PNE after its restart', async () => {
    await x.pne.close();
    const again = await stage.reopen('X');
    const answers = await stage.during(() => play(again.address));
    assert.ok(answers.length <= 1, `${answers.length} segments`);
    assert.deepEqual(memberships(again), only());
    assert.deepEqual(again.pne.status().pending, []);
  });

  it('to a gateway: everything the PNE said then', async () => {
    const rogue = await RoguePne.open(stage.network.radio);
    stage.closing(() => rogue.close());
    await rogue.advertise();
    const { events } = stage.network;
    const before = events.length;
    await stage.during(async () => {
      const gatt = await rogue.nextLink();
      let heard = 0;
      gatt.onSegment = () => {
        // The OPEN has gone out already, as a peripheral's does; the rest waits for the gateway's.
        for (const segment of heard++ === 0 ? recorded.dialogue.received.slice(1) : []) gatt.send(segment);
      };
      const [open] = recorded.dialogue.received;
      assert.ok(open);
      gatt.send(open);
      await new Promise((resolve) => {
        gatt.onClose = resolve;
      });
    });
    await stage.network.until('record-failed at the gateway', () =>
      events.slice(before).some((e) => e.kind === 'link' && 'address' in e && e.status === 'record-failed'),
    );
    assert.ok(stage.bob.pns().every(({ joins }) => joins.every(({ acknowledged }) => acknowledged)));
  });
});
