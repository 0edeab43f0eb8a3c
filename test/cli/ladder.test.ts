/**
 * The demo's pure parts: what a ladder looks like, in which order events of several processes come out, whose they are.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Attribution } from '../../src/cli/demo/attribution.ts';
import { type FlowEvent, flowLine, resultLine } from '../../src/cli/demo/flow-event.ts';
import { ladderHeader, ladderLine, ladderStyle } from '../../src/cli/demo/ladder.ts';
import { Sequencer } from '../../src/cli/demo/sequencer.ts';
import type { TraceEvent } from '../../src/nodes/trace.ts';

const event = (step: number | undefined, extra: Partial<FlowEvent> = {}): FlowEvent => ({
  pne: 1,
  ...(step !== undefined && { step }),
  name: `Step${step ?? 'less'}`,
  from: 'gateway',
  to: 'pne',
  via: 'ble',
  bytes: 277,
  segments: 2,
  atMs: step ?? 0,
  ...extra,
});

const PLAIN = { unicode: false, colour: false, pnes: 1 };

describe('ladder', () => {
  it('has a lifeline for each party and an arrow that passes behind those in between', () => {
    const lines = [
      ladderHeader(PLAIN),
      ladderLine(event(1, { name: 'PnSetupRequest', atMs: 951 }), PLAIN),
      ladderLine(
        event(3, { name: 'PnRegistrationRequest', to: 'server', via: 'https', bytes: 548, segments: 0 }),
        PLAIN,
      ),
      ladderLine(event(9, { name: 'Long', from: 'home-gateway', to: 'gateway', via: 'https' }), PLAIN),
      ladderLine(
        event(10, { name: 'PnRegistration', from: 'server', to: 'server', via: 'local', segments: 0 }),
        PLAIN,
      ),
      ladderLine(event(undefined, { name: 'Abort', from: 'pne', to: 'gateway', status: 'declined' }), PLAIN),
    ];
    assert.equal(
      lines.join('\n'),
      `step    PNE       PN GW #2      Server      PN GW #1  message                    over   bytes segm     ms
---------------------------------------------------------------------------------------------------------
   1     |<-----------|            |            |     PnSetupRequest             BLE      277    2    951
   3     |            |----------->|            |     PnRegistrationRequest      HTTPS    548           3
   9     |            |<-----------|------------|     Long                       HTTPS    277    2      9
  10     |            |            *            |     PnRegistration             local    277          10
         |----------->|            |            |     Abort (declined)           BLE      277    2      0`,
    );
  });

  it('says whose line it is when there are several PNEs', () => {
    const line = ladderLine(event(1, { pne: 3 }), { unicode: true, colour: false, pnes: 5 });
    assert.match(line, /^ {3}1 {3}3 {5}│◀─+│/);
  });

  it('colours on a terminal only, and not with NO_COLOR', () => {
    assert.deepEqual(ladderStyle({ LANG: 'C.UTF-8' }, true), { unicode: true, colour: true });
    assert.deepEqual(ladderStyle({ LANG: 'en_GB.ISO-8859-1' }, true), { unicode: false, colour: true });
    assert.equal(ladderStyle({ NO_COLOR: '1' }, true).colour, false);
    assert.equal(ladderStyle({}, false).colour, false);
    assert.ok(ladderLine(event(1), { ...PLAIN, colour: true }).startsWith('\x1b[36m'));
  });
});

describe('JSON lines of the demo', () => {
  it('hold the fields of the issue in order', () => {
    assert.equal(
      flowLine(event(1, { name: 'PnSetupRequest', atMs: 12 })),
      '{"step":1,"name":"PnSetupRequest","from":"gateway","to":"pne","via":"ble","bytes":277,"segments":2,"atMs":12,"pne":1}',
    );
    assert.ok(!flowLine(event(undefined)).includes('step"'));
    assert.equal(
      resultLine({ result: 'registered', pne: 1, pnId: '00', inventoryVersion: 2 }),
      '{"result":"registered","pne":1,"pnId":"00","inventoryVersion":2}',
    );
  });
});

describe('sequencer', () => {
  const run = (events: readonly FlowEvent[]): FlowEvent[] => {
    const out: FlowEvent[] = [];
    const sequencer = new Sequencer((one) => out.push(one));
    for (const one of events) sequencer.push(one);
    sequencer.flush();
    return out;
  };

  it('brings the steps of each PNE into order, whatever order the pipes had, and loses nothing', () => {
    const all = [1, 2].flatMap((pne) => Array.from({ length: 14 }, (_, step) => event(step, { pne })));
    const extras = [1, 2].map((pne) => event(undefined, { pne, atMs: 20 }));
    fc.assert(
      fc.property(fc.shuffledSubarray([...all, ...extras], { minLength: all.length + 2 }), (shuffled) => {
        const out = run(shuffled);
        assert.equal(out.length, all.length + 2);
        for (const pne of [1, 2]) {
          const steps = out.flatMap((one) => (one.pne === pne && one.step !== undefined ? [one.step] : []));
          assert.deepEqual(
            steps,
            Array.from({ length: 14 }, (_, step) => step),
          );
        }
      }),
    );
  });

  it('lets a step out as soon as those before it are out', () => {
    const out: number[] = [];
    const sequencer = new Sequencer((one) => out.push(one.step ?? -1));
    for (const step of [0, 2, 3]) sequencer.push(event(step));
    assert.deepEqual(out, [0]);
    assert.equal(sequencer.reached(1), 0);
    sequencer.push(event(1));
    assert.deepEqual(out, [0, 1, 2, 3]);
    assert.equal(sequencer.reached(1), 3);
  });

  it('begins again when a second attempt begins', () => {
    const steps = run([0, 1, 2, 0, 1].map((step) => event(step))).map(({ step }) => step);
    assert.deepEqual(steps, [0, 1, 2, 0, 1]);
  });
});

describe('attribution', () => {
  const traced = (extra: Partial<TraceEvent>): TraceEvent => ({
    name: 'X',
    from: 'gateway',
    to: 'pne',
    via: 'ble',
    bytes: 1,
    atMs: 1005,
    ...extra,
  });

  it('waits until link and transaction are tied to a PNE, and lets enrolment go', () => {
    const out: FlowEvent[] = [];
    const attribution = new Attribution(1000, (one) => out.push(one));
    attribution.push({ party: 'server' }, traced({ name: 'Server', from: 'server', joinKey: 'tt' }));
    attribution.push({ party: 'gateway' }, traced({ name: 'Gateway', link: 'll' }));
    attribution.push({ party: 'gateway' }, traced({ name: 'LinkTranscript', link: 'll', joinKey: 'tt' }));
    assert.deepEqual(out, []);
    attribution.push({ party: 'pne', pne: 2 }, traced({ name: 'Pne', from: 'pne', link: 'll' }));
    attribution.push({ party: 'pne', pne: 2 }, traced({ name: 'EnrolClaim', from: 'pne', link: 'ee' }));
    attribution.push({ party: 'home-gateway', pne: 2 }, traced({ name: 'EnrolOffer', link: 'ee' }));
    assert.deepEqual(
      out.map(({ name, pne, atMs }) => [name, pne, atMs]),
      [
        ['Server', 2, 5],
        ['Gateway', 2, 5],
        ['Pne', 2, 5],
      ],
    );
  });
});
