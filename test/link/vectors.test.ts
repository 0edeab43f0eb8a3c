/** test/vectors/link.json: what its generator gives, and what a link does when it has nothing but the file. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { fromHex, toHex } from '../../src/base/bytes.ts';
import { Link } from '../../src/link/link.ts';
import { ephemeralOf, linkVectors } from '../vectors-src/link-vectors.ts';
import { PRIMITIVES } from './pair.ts';

interface Vectors {
  readonly ephemerals: { readonly gatewayPrivate: string; readonly pnePrivate: string };
  readonly opens: readonly {
    readonly kind: string;
    readonly th1: string;
    readonly prk1: string;
    readonly segmentsOfPne: readonly string[];
    readonly segmentsOfGateway: readonly string[];
  }[];
  readonly scenarios: readonly {
    readonly name: string;
    readonly opening: string;
    readonly segmentBytes: number;
    readonly segmentsBefore?: readonly string[];
    readonly segments: readonly string[];
    readonly messages: readonly { readonly from: string; readonly type: number; readonly body: string }[];
  }[];
  readonly refusedByPne: readonly {
    readonly name: string;
    readonly status: string;
    readonly segments: readonly string[];
  }[];
  readonly refusedOpens: readonly {
    readonly name: string;
    readonly status: string;
    readonly segment: string;
    readonly answer: string;
  }[];
}

const vectors = JSON.parse(readFileSync(new URL('../vectors/link.json', import.meta.url), 'utf8')) as Vectors;

/** A PNE as the file has it, with the gateway's OPEN of an establishment taken in. */
function openedPne(): Link {
  const link = new Link(
    {
      side: 'peripheral',
      role: 'pne',
      transportSegmentBytes: 244,
      credits: 32,
      primitives: PRIMITIVES,
      ephemeral: ephemeralOf(fromHex(vectors.ephemerals.pnePrivate)),
      accept: { establish: true, sessions: [] },
    },
    0,
  );
  const open = vectors.opens.find(({ kind }) => kind === 'establish');
  assert.ok(open);
  assert.deepEqual(
    open.segmentsOfPne,
    [link.nextSegment(0)].map((segment) => segment && toHex(segment)),
  );
  for (const segment of open.segmentsOfGateway) link.receive(fromHex(segment), 0);
  const [opened] = link.takeEvents();
  assert.ok(opened?.kind === 'opened');
  assert.deepEqual([toHex(opened.th1), toHex(opened.prk1)], [open.th1, open.prk1]);
  return link;
}

describe('link vectors', () => {
  it('are what their generator gives', () => {
    assert.deepEqual(vectors, linkVectors());
  });

  for (const { name, opening, segmentBytes, segmentsBefore, segments, messages } of vectors.scenarios) {
    const toPne = messages.filter(({ from }) => from === 'gateway');
    if (opening !== 'establish' || segmentBytes !== 244 || toPne.length !== messages.length) continue;
    // Where the segments told are the answer to these messages, they are not for the PNE.
    if (segmentsBefore) continue;
    it(`are read: ${name}`, () => {
      const link = openedPne();
      for (const segment of segments) link.receive(fromHex(segment), 0);
      const got = link
        .takeEvents()
        .map((event) => (event.kind === 'message' ? `${event.type} ${toHex(event.body)}` : event.kind));
      assert.deepEqual(got.sort(), toPne.map(({ type, body }) => `${type} ${body}`).sort());
    });
  }

  for (const { name, status, segments } of vectors.refusedByPne)
    it(`are refused: ${name}`, () => {
      const link = openedPne();
      for (const segment of segments) {
        assert.equal(link.closed, false);
        link.receive(fromHex(segment), 0);
      }
      assert.deepEqual(link.takeEvents().at(-1), { kind: 'closed', status, by: 'us' });
      assert.equal(link.nextSegment(0), undefined);
    });

  for (const { name, status, segment, answer } of vectors.refusedOpens)
    it(`are refused as OPEN: ${name}`, () => {
      const link = new Link(
        {
          side: 'central',
          role: 'gateway',
          transportSegmentBytes: 244,
          credits: 32,
          primitives: PRIMITIVES,
          ephemeral: ephemeralOf(fromHex(vectors.ephemerals.gatewayPrivate)),
          request: { kind: 'establish' },
        },
        0,
      );
      link.receive(fromHex(segment), 0);
      const reply = link.nextSegment(0);
      assert.equal(reply ? toHex(reply) : '', answer);
      const [closed] = link.takeEvents();
      assert.ok(closed?.kind === 'closed');
      assert.equal(closed.status, status);
    });
});
