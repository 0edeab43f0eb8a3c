/** A gateway that a PNE is live with breaks the rules of the window: credit, sequence, lanes, epochs, floods of nothing. */
import assert from 'node:assert/strict';
import type { Status } from '../../../src/base/statuses.ts';
import { MESSAGE_TYPES } from '../../../src/messages/types.ts';
import { abortOf, LinkEnded } from './dialogue.ts';
import type { Joined, Resuming, RogueGateway } from './rogue-gateway.ts';
import { Stage, sleep, type Victim } from './stage.ts';

const START = 0x80;
const END = 0x40;
const DATA_LANE = 0x20;
const TRAFFIC = 0x10;
const GRANT = 0x08;

describe('hostile on the air: window, sequence, lanes and epochs', function () {
  this.timeout(30_000);
  let stage: Stage;
  let mallory: RogueGateway;
  let x: Victim;
  let joined: Joined;

  before(async () => {
    stage = await Stage.open();
    mallory = await stage.mallory();
    x = await stage.victim('X');
    joined = await mallory.join(x.address);
    await joined.dialogue.close();
  });
  after(() => stage.close());

  /** The next sequence number of what she sends on this link. */
  const sequence = ({ dialogue }: Resuming) =>
    dialogue.sent.filter((s) => !(s.length === 2 && s[0] === GRANT)).length & 7;
  const segment = (resuming: Resuming, flags: number, bytes: number, add = 0) =>
    Uint8Array.of(flags | ((sequence(resuming) + add) & 7), ...filler(bytes));
  const filler = (length: number) => new Uint8Array(length).fill(7);

  /** On a link that is live. The status is what the PNE says its own end went down with. */
  const attacks: Readonly<Record<string, readonly [Status, (resuming: Resuming) => void]>> = {
    'grants past 255': [
      'link-violation',
      ({ dialogue }) => {
        for (let i = 0; i < 3; i++) dialogue.inject(Uint8Array.of(GRANT, 255));
      },
    ],
    'a segment out of sequence': [
      'link-violation',
      (r) => r.dialogue.inject(segment(r, START | END | TRAFFIC, 40, 1)),
    ],
    'a message within a message': [
      'link-violation',
      (r) => {
        r.dialogue.inject(Uint8Array.of(...segment(r, START | TRAFFIC, 0), 1, 0, 1));
        r.dialogue.inject(Uint8Array.of(...segment(r, START | TRAFFIC, 0, 1), 1, 0, 1));
      },
    ],
    'a piece of no message': ['link-violation', (r) => r.dialogue.inject(segment(r, END | TRAFFIC, 40))],
    'handshake keys on a link that never had any': [
      'record-failed',
      (r) => r.dialogue.inject(segment(r, START | END, 40)),
    ],
    'a record of nonsense on the data lane': [
      'record-failed',
      (r) => r.dialogue.inject(segment(r, START | END | TRAFFIC | DATA_LANE, 40)),
    ],
    'a plaintext Reject after the keys': [
      'link-violation',
      (r) => r.dialogue.inject(segment(r, START | END, 6)),
    ],
    'an empty message': ['link-violation', (r) => r.dialogue.inject(segment(r, START | END | TRAFFIC, 0))],
    'a header of all ones and no more': ['link-violation', (r) => r.dialogue.inject(Uint8Array.of(0xff))],
  };

  for (const [name, [status, attack]] of Object.entries(attacks)) {
    it(`${name}: ${status}, the link ends and the membership stays`, async () => {
      x.rest();
      await stage.during(async () => {
        const resuming = await mallory.resume(x.address, joined);
        const { events } = stage.network;
        const before = events.length;
        attack(resuming);
        await assert.rejects(resuming.dialogue.next(), LinkEnded);
        await stage.network.until(status, () =>
          events.slice(before).some((e) => e.kind === 'link' && !('address' in e) && e.status === status),
        );
      });
      assert.equal(x.pne.status().memberships.length, 1);
    });
  }

  it('control on the data lane, and a type that is none: unexpected-message', async () => {
    x.rest();
    await stage.during(async () => {
      const wrongLane = await mallory.resume(x.address, joined);
      wrongLane.dialogue.link.send(MESSAGE_TYPES.Abort.type, new Uint8Array(8), 1);
      wrongLane.dialogue.flush();
      assert.equal(await abortOf(wrongLane.dialogue), 'unexpected-message');
      await wrongLane.dialogue.close();
      const noType = await mallory.resume(x.address, joined);
      noType.dialogue.link.send(99, new Uint8Array(8), 0);
      noType.dialogue.flush();
      assert.equal(await abortOf(noType.dialogue), 'unexpected-message');
      await noType.dialogue.close();
    });
  });

  it('five thousand keep-alives and grants of nothing: carried out, memory stays, data still passes', async () => {
    x.rest();
    const held = () => process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers;
    const before = held();
    await stage.during(async () => {
      const { dialogue } = await mallory.resume(x.address, joined);
      for (let i = 0; i < 5_000; i++) {
        dialogue.inject(Uint8Array.of(GRANT, 0));
        if (i % 50 === 0) await sleep(2);
      }
      const seen = stage.network.events.length;
      dialogue.send('Data', Uint8Array.of(1, 2, 3));
      await stage.network.until(
        'data',
        () => stage.network.events.slice(seen).some(({ kind }) => kind === 'data'),
        15_000,
      );
      await dialogue.close();
    }, 15_000);
    assert.ok(held() - before < 96e6);
  });
});
