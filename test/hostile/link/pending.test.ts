/** A gateway that a PNE's policy takes has it sign again and again and never brings the outcome. */
import assert from 'node:assert/strict';
import { declineOf } from './dialogue.ts';
import type { RogueGateway } from './rogue-gateway.ts';
import { Stage, type Victim } from './stage.ts';

describe('hostile on the air: a gateway that fills the places of pending joins', function () {
  this.timeout(30_000);
  let stage: Stage;
  let mallory: RogueGateway;
  let neighbour: RogueGateway;
  let x: Victim;

  before(async () => {
    stage = await Stage.open();
    mallory = await stage.mallory();
    neighbour = await stage.mallory('Attic');
    x = await stage.victim('X');
  });
  after(() => stage.close());

  it('gets three of the four, then busy; what was signed stays pending, and another gateway is served', async () => {
    await stage.during(async () => {
      for (let place = 1; place <= 3; place++) {
        const invited = await mallory.invite(x.address);
        await mallory.sign(invited);
        await invited.dialogue.close();
      }
      for (let again = 1; again <= 3; again++) {
        x.rest();
        const dialogue = await mallory.open(x.address);
        const { th1 } = await dialogue.opened();
        dialogue.send('PnSetupRequest', mallory.setupRequest(th1).m1);
        assert.equal(await declineOf(dialogue), 'busy');
        await dialogue.close();
      }
    });
    assert.equal(x.pne.status().pending.length, 3);
    const joined = await neighbour.join(x.address);
    await joined.dialogue.close();
    assert.equal(x.pne.status().memberships.length, 1);
    assert.equal(x.pne.status().pending.length, 3, 'nothing that was signed is given up for it');
  });
});
