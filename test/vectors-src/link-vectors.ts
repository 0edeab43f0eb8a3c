/**
 * Test vectors of the link layer: segments with every intermediate value, from fixed ephemerals. Owns the scenarios;
 * bytes come from src/link, and each record is sealed a second time here from keys and nonce written out.
 * Source: docs/protocol.md §3, §5. Hex throughout; bodies are arbitrary bytes, not messages.
 */
import { createECDH } from 'node:crypto';
import { concat, equal, fromHex, toHex, utf8 } from '../../src/base/bytes.ts';
import type { Status } from '../../src/base/statuses.ts';
import { Link } from '../../src/link/link.ts';
import type { OpenRequest } from '../../src/link/open.ts';
import { parseSegment } from '../../src/link/segment.ts';
import { padPnSetupResponse } from '../../src/messages/setup.ts';
import { deriveRid, epochKeys } from '../../src/security/key-schedule.ts';
import type { Ephemeral } from '../../src/security/primitives.ts';
import { nodePrimitives } from '../../src/security/primitives-node.ts';

type Json = string | number | boolean | readonly Json[] | { readonly [key: string]: Json };
type Role = 'pne' | 'gateway';

const primitives = nodePrimitives();
const SECRET = fromHex('5ec2e75ec2e75ec2e75ec2e7');
const RMS = primitives.sha256(utf8('cpns1 vectors rms'));
const PRK2 = primitives.sha256(utf8('cpns1 vectors prk2'));
const PRIVATE_KEYS: Readonly<Record<Role, Uint8Array>> = {
  gateway: primitives.sha256(utf8('cpns1 vectors ephemeral of the gateway')),
  pne: primitives.sha256(utf8('cpns1 vectors ephemeral of the PNE')),
};

/** An ephemeral that is no secret, which only vectors may have. */
export function ephemeralOf(privateKey: Uint8Array): Ephemeral {
  const ecdh = createECDH('prime256v1');
  ecdh.setPrivateKey(privateKey);
  return {
    x: new Uint8Array(ecdh.getPublicKey().subarray(1, 33)),
    agree(peerX) {
      primitives.publicKeyFromX(peerX, false);
      return new Uint8Array(ecdh.computeSecret(concat(Uint8Array.of(2), peerX)));
    },
  };
}

const fixedEphemeral = (role: Role): Ephemeral => ephemeralOf(PRIVATE_KEYS[role]);

/** Bytes that count up. */
const body = (length: number, from = 0): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (from + i) & 0xff);

interface Shape {
  readonly request: OpenRequest;
  readonly segmentBytes: number;
}

/** A gateway as the central and a PNE as the peripheral, with a wire that the scenario moves by hand. */
class Stage {
  readonly links: Readonly<Record<Role, Link>>;
  readonly opened: { readonly openP: string; readonly [key: string]: Json };
  readonly #prk1: Uint8Array;
  readonly #request: OpenRequest;
  readonly #counters = new Map<string, number>();
  #advanced = false;

  constructor({ request, segmentBytes }: Shape) {
    const common = (role: Role) => ({
      role,
      transportSegmentBytes: segmentBytes,
      credits: 32,
      primitives,
      ephemeral: fixedEphemeral(role),
    });
    const accept = { establish: true, enrolSecret: SECRET, sessions: [{ rms: RMS, ref: 'the session' }] };
    this.#request = request;
    this.links = {
      gateway: new Link({ ...common('gateway'), side: 'central', request }, 0),
      pne: new Link({ ...common('pne'), side: 'peripheral', accept }, 0),
    };
    const ofPne = this.move('pne');
    const ofGateway = this.move('gateway');
    const event = this.links.gateway.takeEvents()[0];
    if (event?.kind !== 'opened' || this.links.pne.takeEvents()[0]?.kind !== 'opened')
      throw new Error('the vectors do not open');
    this.#prk1 = event.prk1;
    for (const link of Object.values(this.links)) link.setReceiveLimit(65_535);
    const z = fixedEphemeral('pne').agree(fixedEphemeral('gateway').x);
    this.opened = {
      kind: request.kind,
      openP: toHex(event.openP),
      openG: toHex(event.openG),
      segmentsOfPne: ofPne,
      segmentsOfGateway: ofGateway,
      ...(request.kind === 'enrol' && { s: toHex(SECRET) }),
      ...(request.kind === 'resume' && {
        rms: toHex(RMS),
        rid: toHex(deriveRid(primitives, RMS, fixedEphemeral('pne').x)),
      }),
      z: toHex(z),
      th1: toHex(event.th1),
      prk1: toHex(event.prk1),
      keys: keysJson(event.prk1, request.kind === 'resume' ? 'ap' : 'hs'),
    };
  }

  /** The next segments of one side, at most so many, taken in by the other. */
  move(from: Role, count = Number.POSITIVE_INFINITY): string[] {
    const segments = this.cut(from, count);
    const to = this.links[from === 'pne' ? 'gateway' : 'pne'];
    for (const segment of segments) to.receive(segment, 0);
    to.endOfBurst();
    return segments.map(toHex);
  }

  cut(from: Role, count = Number.POSITIVE_INFINITY): Uint8Array[] {
    const segments: Uint8Array[] = [];
    while (segments.length < count) {
      const next = this.links[from].nextSegment(0);
      if (!next) break;
      segments.push(next);
    }
    return segments;
  }

  /** Queues a message and tells how its record comes about. */
  send(from: Role, type: number, content: Uint8Array, lane: 0 | 1 = 0, padTo = content.length): Json {
    this.links[from].send(type, content, lane, { padTo });
    const epoch = this.#advanced || this.#request.kind === 'resume' ? 1 : 0;
    const prk = this.#advanced ? PRK2 : this.#prk1;
    const { g2p, p2g } = epochKeys(primitives, prk, epoch === 1 ? 'ap' : 'hs');
    const { key, iv } = from === 'gateway' ? g2p : p2g;
    const name = `${from} ${epoch} ${lane}`;
    const counter = this.#counters.get(name) ?? 0;
    this.#counters.set(name, counter + 1);
    const nonce = iv.slice();
    nonce[0] = (nonce[0] ?? 0) ^ lane;
    nonce[11] = (nonce[11] ?? 0) ^ counter;
    const plaintext = new Uint8Array(1 + padTo);
    plaintext[0] = type;
    plaintext.set(content, 1);
    const record = primitives.aeadSeal(key, nonce, plaintext);
    return {
      from,
      type,
      lane,
      epoch,
      counter,
      body: toHex(content),
      key: toHex(key),
      iv: toHex(iv),
      nonce: toHex(nonce),
      plaintext: toHex(plaintext),
      record: toHex(record),
    };
  }

  advance(): void {
    for (const link of Object.values(this.links)) link.advance(PRK2);
    this.#advanced = true;
  }

  /** What one side has reported since the last time. */
  events(of: Role): Json[] {
    return this.links[of].takeEvents().flatMap((event): Json[] => {
      if (event.kind === 'message') {
        const { type, lane, body: bytes } = event;
        return [{ kind: 'message', type, lane, body: toHex(bytes) }];
      }
      return event.kind === 'closed' ? [{ kind: 'closed', status: event.status }] : [];
    });
  }
}

function keysJson(prk: Uint8Array, phase: 'hs' | 'ap'): Json {
  const { g2p, p2g } = epochKeys(primitives, prk, phase);
  return {
    epoch: phase === 'hs' ? 0 : 1,
    g2pKey: toHex(g2p.key),
    g2pIv: toHex(g2p.iv),
    p2gKey: toHex(p2g.key),
    p2gIv: toHex(p2g.iv),
  };
}

const establish = (segmentBytes = 244): Shape => ({ request: { kind: 'establish' }, segmentBytes });

/** A scenario: what is queued, every segment in the order sent, and what the receiver reports. */
function scenario(
  name: string,
  shape: Shape,
  play: (stage: Stage) => { readonly [key: string]: Json },
): Json {
  const stage = new Stage(shape);
  const told = play(stage);
  return {
    name,
    opening: shape.request.kind,
    segmentBytes: shape.segmentBytes,
    ...told,
    eventsOfPne: stage.events('pne'),
    eventsOfGateway: stage.events('gateway'),
  };
}

function scenarios(): Json[] {
  return [
    scenario('record of one segment', establish(), (stage) => ({
      messages: [stage.send('gateway', 1, body(40))],
      segments: stage.move('gateway'),
    })),
    scenario('record that fills one segment exactly', establish(), (stage) => ({
      messages: [stage.send('gateway', 1, body(226))],
      segments: stage.move('gateway'),
    })),
    scenario('record of several segments', establish(), (stage) => ({
      messages: [stage.send('gateway', 1, body(600))],
      segments: stage.move('gateway'),
    })),
    scenario('a grant rides on a payload segment', establish(), (stage) => {
      const request = stage.send('gateway', 1, body(600));
      const segmentsBefore = stage.move('gateway');
      const response = stage.send('pne', 2, body(20, 100));
      return { messages: [request, response], segmentsBefore, segments: stage.move('pne') };
    }),
    scenario('a bare grant after a burst of twelve segments', establish(), (stage) => {
      const message = stage.send('gateway', 64, body(4000), 1);
      const segmentsBefore = stage.move('gateway', 12);
      return { messages: [message], segmentsBefore, segments: stage.move('pne') };
    }),
    scenario('a control message overtakes a data message', establish(), (stage) => {
      const data = stage.send('gateway', 64, body(700), 1);
      const first = stage.move('gateway', 1);
      const control = stage.send('gateway', 15, body(30));
      return { messages: [data, control], segments: [...first, ...stage.move('gateway')] };
    }),
    scenario('segments of 20 bytes', establish(20), (stage) => ({
      messages: [stage.send('gateway', 1, body(90)), stage.send('pne', 2, body(3))],
      segments: stage.move('gateway'),
      segmentsOfPne: stage.move('pne'),
    })),
    ...(
      [
        ['step 2 that declines, padded', fromHex('a10110')],
        ['step 2 of 300 bytes, padded', concat(fromHex('590129'), body(297))],
      ] as const
    ).map(([name, content]) =>
      scenario(name, establish(), (stage) => ({
        messages: [stage.send('pne', 2, content, 0, padPnSetupResponse(content).length)],
        segments: stage.move('pne'),
      })),
    ),
    scenario('from epoch 0 to epoch 1', establish(), (stage) => {
      const before = stage.send('pne', 6, body(10));
      stage.advance();
      const after = stage.send('pne', 14, body(3));
      return {
        prk2: toHex(PRK2),
        keys: keysJson(PRK2, 'ap'),
        messages: [before, after],
        segments: stage.move('pne'),
      };
    }),
    scenario('resumption', { request: { kind: 'resume', rms: RMS }, segmentBytes: 244 }, (stage) => ({
      messages: [stage.send('gateway', 30, body(13)), stage.send('pne', 31, body(5))],
      segments: stage.move('gateway'),
      segmentsOfPne: stage.move('pne'),
    })),
  ];
}

/** A segment by hand: header byte, then what follows. */
const raw = (header: number, ...rest: readonly (number | Uint8Array)[]): Uint8Array =>
  concat(
    Uint8Array.of(header),
    ...rest.map((part) => (typeof part === 'number' ? Uint8Array.of(part) : part)),
  );

/** What a PNE refuses from the gateway behind the OPENs of `opens[0]`; its limit is 2,048 bytes, its first credits 32. */
function refusals(): Json[] {
  const refused = (name: string, make: (stage: Stage) => readonly Uint8Array[]): Json => {
    const stage = new Stage(establish());
    stage.links.pne.setReceiveLimit(2048);
    const segments = make(stage);
    const { pne } = stage.links;
    segments.forEach((segment, i) => {
      if (pne.closed) throw new Error(`${name}: closed before segment ${i}`);
      pne.receive(segment, 0);
    });
    const status = closedWith(pne);
    if (status === undefined) throw new Error(`${name}: not refused`);
    return { name, segments: segments.map(toHex), status };
  };
  const record = (stage: Stage, length: number) => {
    stage.send('gateway', 1, body(length));
    return stage.cut('gateway');
  };
  return [
    refused('empty segment', () => [new Uint8Array(0)]),
    refused('245 bytes', () => [raw(0xc1, body(244))]),
    refused('header without payload', () => [fromHex('c1')]),
    refused('grant without payload, not bare', () => [fromHex('0901')]),
    refused('more than 255 credits', () => [fromHex('08e0')]),
    refused('unexpected SEQ', () => [raw(0xc2, body(30))]),
    refused('START within a message', () => [raw(0x81, 0, 90, body(20)), raw(0x82, 0, 90, body(20))]),
    refused('no START', () => [raw(0x41, body(20))]),
    refused('EPOCH changes within a message', () => [raw(0x81, 0, 40, body(20)), raw(0x52, body(20))]),
    refused('length not above the first payload', () => [raw(0x81, 0, 20, body(20))]),
    refused('payloads beyond the length', () => [raw(0x81, 0, 30, body(20)), raw(0x42, body(11))]),
    refused('END before the length', () => [raw(0x81, 0, 30, body(20)), raw(0x42, body(9))]),
    refused('length reached without END', () => [raw(0x81, 0, 30, body(20)), raw(0x02, body(10))]),
    refused('length beyond the limit', () => [raw(0x81, 0x08, 0x01, body(20))]),
    refused('33rd segment without credit', () =>
      Array.from({ length: 33 }, (_, i) =>
        i === 0 ? raw(0x81, 0x08, 0x00, body(20)) : raw((i + 1) & 7, body(20)),
      ),
    ),
    refused('too short for a record, epoch 1', () => [raw(0xd1, body(16))]),
    refused('too short for a record, data lane', () => [raw(0xe1, fromHex('2aa10112'))]),
    refused('Reject after a record', (stage) => [...record(stage, 10), raw(0xc2, fromHex('2aa10112'))]),
    refused('epoch without keys', () => [raw(0xd1, body(30))]),
    refused('record with a changed bit', (stage) => {
      const segments = record(stage, 300);
      const last = segments.at(-1);
      if (last) last[10] = (last[10] ?? 0) ^ 0x01;
      return segments;
    }),
    refused('record on the other lane', (stage) =>
      record(stage, 10).map((segment) => segment.with(0, (segment[0] ?? 0) | 0x20)),
    ),
    refused('record repeated', (stage) => {
      const [segment = new Uint8Array()] = record(stage, 10);
      return [segment, segment.with(0, (segment[0] ?? 0) + 1)];
    }),
    refused('plaintext that is not Reject', () => [raw(0xc1, fromHex('28a10110'))]),
    refused('Reject that is malformed', () => [raw(0xc1, fromHex('2aa10100'))]),
  ];
}

/** What a central does with a first segment: the Reject it answers with, if any, and its status. */
function refusedOpens(): Json[] {
  const valid = new Stage(establish()).opened.openP;
  const x = toHex(fixedEphemeral('pne').x);
  const open = (edit: (hex: string) => string): Uint8Array => raw(0xc0, 0, fromHex(edit(valid)));
  const swap = (from: string, to: string) => (hex: string) => {
    if (!hex.includes(from)) throw new Error(`OPEN holds no ${from}`);
    return hex.replace(from, to);
  };
  const cases: readonly (readonly [string, Uint8Array])[] = [
    ['version 2 only', open(swap('018101', '018102'))],
    ['suite 2 first', open(swap('028101', '02820201'))],
    ['the role of the receiver', open(swap('0301', '0302'))],
    ['19 bytes a segment', open(swap('0418f4', '0413'))],
    ['no credits', open(swap('051820', '0500'))],
    ['ephemeral beyond p', open(swap(x, 'ff'.repeat(32)))],
    ['ephemeral off the curve', open(swap(x, `${'00'.repeat(31)}01`))],
    ['kind from a peripheral', open((hex) => `a7${hex.slice(2)}0701`)],
    ['non-minimal integer', open(swap('051820', '05190020'))],
    ['a record in its place', raw(0xc0, body(40, 1))],
    ['129 bytes', raw(0xc0, 0, body(128))],
    ['on the data lane', raw(0xe0, 0, fromHex(valid))],
    ['Reject(busy)', raw(0xc0, fromHex('2aa10112'))],
  ];
  return cases.map(([name, segment]): Json => {
    const link = new Link(
      {
        side: 'central',
        role: 'gateway',
        transportSegmentBytes: 244,
        credits: 32,
        primitives,
        ephemeral: fixedEphemeral('gateway'),
        request: { kind: 'establish' },
      },
      0,
    );
    link.receive(segment, 0);
    const answer = link.nextSegment(0);
    if (answer && parseSegment(answer).payload[0] !== 42) throw new Error(`${name}: not refused`);
    const status = closedWith(link);
    if (status === undefined) throw new Error(`${name}: not closed`);
    return { name, segment: toHex(segment), status, answer: answer ? toHex(answer) : '' };
  });
}

function closedWith(link: Link): Status | undefined {
  const last = link.takeEvents().at(-1);
  return last?.kind === 'closed' ? last.status : undefined;
}

/** The vectors, as JSON values; the same on every call. */
export function linkVectors(): Json {
  const requests: readonly OpenRequest[] = [
    { kind: 'establish' },
    { kind: 'enrol', secret: SECRET },
    { kind: 'resume', rms: RMS },
  ];
  const told = scenarios();
  assertRecordsMatch(told);
  return {
    about:
      'Link layer, docs/protocol.md §3 and §5. The PNE is the peripheral, the gateway the central; credits 32.',
    ephemerals: {
      gatewayPrivate: toHex(PRIVATE_KEYS.gateway),
      gatewayX: toHex(fixedEphemeral('gateway').x),
      pnePrivate: toHex(PRIVATE_KEYS.pne),
      pneX: toHex(fixedEphemeral('pne').x),
    },
    opens: requests.map((request) => new Stage({ request, segmentBytes: 244 }).opened),
    scenarios: told,
    refusedByPne: refusals(),
    refusedOpens: refusedOpens(),
  };
}

/** The payloads of each scenario's segments, put together without src/link's reassembler, must be the records told. */
function assertRecordsMatch(told: readonly Json[]): void {
  for (const one of told) {
    const {
      name,
      messages,
      segments,
      segmentsBefore = [],
      segmentsOfPne = [],
    } = one as unknown as {
      readonly name: string;
      readonly messages: readonly { readonly record: string }[];
      readonly segments: readonly string[];
      readonly segmentsBefore?: readonly string[];
      readonly segmentsOfPne?: readonly string[];
    };
    const lanes = [new Map<string, Uint8Array>(), new Map<string, Uint8Array>()];
    const whole: Uint8Array[] = [];
    const groups = [segmentsBefore, segments, segmentsOfPne];
    groups.forEach((group, direction) => {
      for (const hex of group) {
        const { bare, lane, end, payload } = parseSegment(fromHex(hex));
        if (bare) continue;
        const open = lanes[lane]?.get(`${direction}`) ?? new Uint8Array(0);
        const soFar = concat(open, payload);
        lanes[lane]?.set(`${direction}`, end ? new Uint8Array(0) : soFar);
        if (end) whole.push(soFar);
      }
    });
    const records = messages.map(({ record }) => fromHex(record));
    if (!whole.every((bytes) => records.some((record) => equal(record, bytes))))
      throw new Error(`${name}: a record is not what its keys give`);
  }
}
