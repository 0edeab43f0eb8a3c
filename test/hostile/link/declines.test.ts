/** A PNE that says no in every way, says no with what is no reason, and aborts without end: the server never hears of it. */
import assert from 'node:assert/strict';
import { encodeCbor } from '../../../src/messages/cbor.ts';
import { Abort, PnSetupResponse, padPnSetupResponse } from '../../../src/messages/setup.ts';
import type { Dialogue } from './dialogue.ts';
import { RoguePne } from './rogue-pne.ts';
import { Stage } from './stage.ts';

describe('hostile on the air: a PNE that declines and aborts', function () {
  this.timeout(60_000);
  let stage: Stage;
  before(async () => {
    stage = await Stage.open();
  });
  after(() => stage.close());

  const decline = (status: 'declined' | 'credential-expired') => (dialogue: Dialogue) =>
    dialogue.send('PnSetupResponse', padPnSetupResponse(PnSetupResponse.encode({ status })));
  const ways: readonly (readonly [string, (dialogue: Dialogue) => void])[] = [
    ['declined', decline('declined')],
    ['credential-expired', decline('credential-expired')],
    // {1: 74}: a status that only a server may say.
    [
      'malformed',
      (dialogue) => dialogue.send('PnSetupResponse', padPnSetupResponse(encodeCbor(new Map([[1, 74]])))),
    ],
    [
      'busy',
      (dialogue) => {
        for (let i = 0; i < 200; i++) dialogue.send('Abort', Abort.encode({ status: 'busy' }));
      },
    ],
  ];

  it('each way ends its own link with the status it has, and leaves nothing at the gateway or the server', async () => {
    const before = stage.serverCounts();
    const joins = stage.bob.pns()[0]?.joins.length ?? 0;
    const liar = await RoguePne.open(stage.network.radio);
    await stage.during(async () => {
      for (const [status, say] of ways) {
        await liar.advertise();
        const dialogue = await liar.next();
        await dialogue.expect('PnSetupRequest');
        const from = stage.network.events.length;
        say(dialogue);
        await stage.network.until(status, () =>
          stage.network.events
            .slice(from)
            .some((e) => e.kind === 'link' && 'address' in e && e.state === 'down' && e.status === status),
        );
        await dialogue.close();
      }
    }, 10_000);
    await liar.close();
    const honest = (stage.bob.pns()[0]?.joins.length ?? 0) - joins;
    assert.deepEqual(stage.serverCounts(), { ...before, registered: before.registered + honest });
    assert.equal(honest, 1);
  });
});
