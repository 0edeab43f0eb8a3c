/**
 * A gateway that a PNE is a member with plays old truths again over resumption: inventories, freshness statements, the
 * OPEN of an earlier resumption, another network's name.
 */
import assert from 'node:assert/strict';
import { PnId } from '../../../src/base/ids.ts';
import { Resume } from '../../../src/messages/resumption.ts';
import { PnInventoryUpdate, PnSetupNotify } from '../../../src/messages/setup.ts';
import { primitives } from '../../support/join.ts';
import { abortOf, LinkEnded } from './dialogue.ts';
import type { Joined, RogueGateway } from './rogue-gateway.ts';
import { Stage, type Victim } from './stage.ts';

describe('hostile on the air: replays over resumption', function () {
  this.timeout(30_000);
  let stage: Stage;
  let mallory: RogueGateway;
  let x: Victim;
  let first: Joined;
  let newest: Uint8Array;

  before(async () => {
    stage = await Stage.open();
    mallory = await stage.mallory();
    x = await stage.victim('X');
    const y = await stage.victim('Y');
    first = await mallory.join(x.address);
    await first.dialogue.close();
    const second = await mallory.join(y.address, { pnId: first.pnId });
    await second.dialogue.close();
    newest = second.inventory;
    // X is told of Y, and has version 2 from then on.
    const { dialogue } = await mallory.resume(x.address, first);
    dialogue.send('PnInventoryUpdate', PnInventoryUpdate.encode({ status: 'ok', inventory: newest }));
    await dialogue.expect('Ack');
    await dialogue.close();
  });
  after(() => stage.close());
  beforeEach(() => x.rest());
  afterEach(() => {
    assert.deepEqual(
      x.pne.status().memberships.map(({ version }) => version),
      [2],
      'what the PNE holds',
    );
  });

  it('the inventory of version 1 after version 2, as an update and as a notify: inventory-invalid', async () => {
    await stage.during(async () => {
      const body = { status: 'ok', inventory: first.inventory } as const;
      const update = await mallory.resume(x.address, first);
      assert.equal(update.version, 2);
      update.dialogue.send('PnInventoryUpdate', PnInventoryUpdate.encode(body));
      assert.equal(await abortOf(update.dialogue), 'inventory-invalid');
      await update.dialogue.close();
      const notify = await mallory.resume(x.address, first);
      notify.dialogue.send('PnSetupNotify', PnSetupNotify.encode(body));
      assert.equal(await abortOf(notify.dialogue), 'inventory-invalid');
      await notify.dialogue.close();
    });
  });

  it('a freshness statement of an earlier link: outcome-invalid', async () => {
    await stage.during(async () => {
      const earlier = await mallory.resume(x.address, first);
      const joinId = first.th3.slice(0, 16);
      const statement = await mallory.client.freshness(earlier.th1, joinId as never);
      earlier.dialogue.send('Freshness', statement);
      await earlier.dialogue.close();
      const later = await mallory.resume(x.address, first);
      later.dialogue.send('Freshness', statement);
      assert.equal(await abortOf(later.dialogue), 'outcome-invalid');
      await later.dialogue.close();
    });
  });

  it('the OPEN and Resume of an earlier resumption: unknown-session, since the rid is of that ephemeral', async () => {
    await stage.during(async () => {
      const earlier = await mallory.resume(x.address, first);
      const { sent } = earlier.dialogue;
      await earlier.dialogue.close();
      const gatt = await mallory.connect(x.address);
      const answers: Uint8Array[] = [];
      const ended = new Promise((resolve) => {
        gatt.onClose = resolve;
      });
      gatt.onSegment = (segment) => answers.push(segment.slice());
      for (const segment of sent) gatt.send(segment);
      await ended;
      // OPEN, then Reject {1: 39}.
      assert.equal(
        Buffer.from(answers.at(-1) ?? [])
          .toString('hex')
          .slice(2),
        '2aa1011827',
      );
    });
  });

  it("another network's name under this one's rid: unknown-session", async () => {
    await stage.during(async () => {
      const dialogue = await mallory.open(x.address, { kind: 'resume', rms: first.rms.slice() });
      await dialogue.opened();
      dialogue.send('Resume', Resume.encode({ pnId: PnId(primitives.randomBytes(8)), version: 2 }));
      assert.equal(await abortOf(dialogue), 'unknown-session');
      await dialogue.close();
    });
  });

  it('a resumption with a guessed secret gets no further than its OPEN', async () => {
    await stage.during(async () => {
      const dialogue = await mallory.open(x.address, { kind: 'resume', rms: primitives.randomBytes(32) });
      await dialogue.opened();
      await assert.rejects(
        dialogue.next(),
        (error) => error instanceof LinkEnded && error.status === 'unknown-session',
      );
    });
  });
});
