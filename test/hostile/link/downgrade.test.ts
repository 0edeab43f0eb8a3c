/** Somebody on the air changes an OPEN under way, either one: lists, sizes, kinds, ephemerals. Both transcripts differ. */
import assert from 'node:assert/strict';
import { type Bytes, concat } from '../../../src/base/bytes.ts';
import type { Status } from '../../../src/base/statuses.ts';
import { Open } from '../../../src/messages/link.ts';
import { primitives } from '../../support/join.ts';
import { type DialogueOptions, LinkEnded } from './dialogue.ts';
import type { RogueGateway } from './rogue-gateway.ts';
import { Stage, type Victim } from './stage.ts';

/** Segment header and type byte. */
const BEFORE_OPEN_BYTES = 2;
const SECP256R1_P = 'ffffffff00000001000000000000000000000000ffffffffffffffffffffffff';

const hex = (text: string): Bytes => new Uint8Array(Buffer.from(text, 'hex'));
/** The x of no point: about every other number is one. */
const OFF_CURVE = hex(`${'00'.repeat(31)}01`);

describe('hostile on the air: OPENs changed under way', function () {
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

  type Way = 'onIn' | 'onOut';
  /** Changes the OPEN of the PNE (in) or of the gateway (out), once. */
  function changing(way: Way, changes: Partial<Open>): DialogueOptions {
    let seen = false;
    return {
      [way]: (segment: Bytes) => {
        if (seen) return [segment];
        seen = true;
        const before = Open.decode(segment.subarray(BEFORE_OPEN_BYTES));
        const after = Open.encode({ ...before, ...changes } as Open);
        return [concat(segment.subarray(0, BEFORE_OPEN_BYTES), after)];
      },
    };
  }

  const x32 = () => primitives.generateEphemeral().x;
  /** Who notices, and how: `record-failed` is the PNE at step 1, the others are said in Reject. */
  const cases: readonly (readonly [string, Way, () => Partial<Open>, Status])[] = [
    ['a version before ours, in the OPEN of the PNE', 'onIn', () => ({ versions: [9, 1] }), 'record-failed'],
    ['no version of ours, in the OPEN of the PNE', 'onIn', () => ({ versions: [9] }), 'version-mismatch'],
    ['a suite more, in the OPEN of the PNE', 'onIn', () => ({ suites: [1, 9] }), 'record-failed'],
    ['another suite first, in the OPEN of the PNE', 'onIn', () => ({ suites: [9, 1] }), 'suite-mismatch'],
    ['more credit, in the OPEN of the PNE', 'onIn', () => ({ credits: 255 }), 'record-failed'],
    ['another ephemeral, in the OPEN of the PNE', 'onIn', () => ({ ephemeral: x32() }), 'record-failed'],
    ['a version more, in the OPEN of the gateway', 'onOut', () => ({ versions: [1, 9] }), 'record-failed'],
    [
      'no version of ours, in the OPEN of the gateway',
      'onOut',
      () => ({ versions: [9] }),
      'version-mismatch',
    ],
    ['a suite more, in the OPEN of the gateway', 'onOut', () => ({ suites: [1, 9] }), 'record-failed'],
    [
      'another suite first, in the OPEN of the gateway',
      'onOut',
      () => ({ suites: [2, 1] }),
      'suite-mismatch',
    ],
    [
      'smaller segments, in the OPEN of the gateway',
      'onOut',
      () => ({ segmentBytes: 200 }),
      'link-violation',
    ],
    ['enrolment for establishment', 'onOut', () => ({ kind: 'enrol' }), 'enrolment-code-spent'],
    ['the role of a PNE', 'onOut', () => ({ role: 'pne' }), 'unexpected-message'],
    ['another ephemeral, in the OPEN of the gateway', 'onOut', () => ({ ephemeral: x32() }), 'record-failed'],
    ['x = p', 'onOut', () => ({ ephemeral: hex(SECP256R1_P) }), 'malformed'],
    ['x above p', 'onOut', () => ({ ephemeral: new Uint8Array(32).fill(0xff) }), 'malformed'],
    ['x off the curve', 'onOut', () => ({ ephemeral: OFF_CURVE }), 'malformed'],
    ['x = p for the gateway', 'onIn', () => ({ ephemeral: hex(SECP256R1_P) }), 'malformed'],
    ['x off the curve for the gateway', 'onIn', () => ({ ephemeral: OFF_CURVE }), 'malformed'],
  ];

  /** How the link ended at the PNE, as its events say; and at our end, which says why when it was the one to notice. */
  async function attack(options: DialogueOptions): Promise<readonly Status[]> {
    const { events } = stage.network;
    x.rest();
    const dialogue = await mallory.open(x.address, { kind: 'establish' }, options);
    const before = events.length;
    try {
      const { th1 } = await dialogue.opened();
      dialogue.send('PnSetupRequest', mallory.setupRequest(th1).m1);
      const { name } = await dialogue.next();
      assert.fail(`${name} came: the link opened`);
    } catch (error) {
      assert.ok(error instanceof LinkEnded, String(error));
    }
    const own = await dialogue.ended;
    // The PNE's own link event has no address, the gateways' have.
    const ends = () =>
      events
        .slice(before)
        .flatMap((e) => (e.kind === 'link' && e.state === 'down' && !('address' in e) ? [e] : []));
    await stage.network.until('the end at the PNE', () => ends().length > 0);
    return [own, ...ends().flatMap(({ status }) => (status ? [status] : []))];
  }

  it('nineteen ways, each noticed before step 2', async () => {
    await stage.during(async () => {
      for (const [name, way, changes, status] of cases) {
        const seen = await attack(changing(way, changes()));
        assert.ok(seen.includes(status), `${name}: ${seen.join(', ')}`);
      }
    });
    stage.assertNothingLeft(x);
  });

  it('and untouched it opens', async () => {
    x.rest();
    const { dialogue } = await mallory.invite(x.address, {}, changing('onOut', {}));
    await dialogue.close();
  });
});
