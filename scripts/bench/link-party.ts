/**
 * One end of the link benchmark, in a process of its own: a real noble or bleno on the virtual radio that does what
 * link-throughput.ts tells it over IPC. Owns no figure; it reports times and CPU as it saw them.
 */

import { ATT_WRITE_COMMAND, openService, valuePdu } from '../../src/bluetooth/att.ts';
import { CentralLink } from '../../src/bluetooth/central-link.ts';
import { CPNS_DOWN_UUID, CPNS_SERVICE_UUID, CPNS_UP_UUID } from '../../src/bluetooth/gatt-service.ts';
import { type BackEnd, openCentral, openPeripheral } from '../../src/bluetooth/open.ts';
import type { GattLink, Sighting } from '../../src/bluetooth/ports.ts';
import { Link, type LinkEvent } from '../../src/link/link.ts';
import { driveLink, type LinkDriver } from '../../src/nodes/link-driver.ts';
import { systemClock } from '../../src/nodes/system-clock.ts';
import { nodePrimitives } from '../../src/security/primitives-node.ts';

export type Order =
  | { readonly do: 'connect' }
  | { readonly do: 'raw-send'; readonly segments: number; readonly bytes: number; readonly perMs: number }
  | { readonly do: 'raw-receive'; readonly segments: number }
  | { readonly do: 'raw-echo' }
  | { readonly do: 'raw-ask'; readonly rounds: number; readonly bytes: number }
  | { readonly do: 'write-with-response'; readonly rounds: number }
  | { readonly do: 'link-open'; readonly credits: number }
  | { readonly do: 'link-send'; readonly messages: number; readonly bytes: number }
  | { readonly do: 'link-receive'; readonly messages: number }
  | { readonly do: 'link-echo' }
  | { readonly do: 'link-ask'; readonly rounds: number; readonly bytes: number }
  | { readonly do: 'warm-up'; readonly messages: number }
  | { readonly do: 'cpu' }
  | { readonly do: 'stop' };

/** Milliseconds from the first segment to the last, or of all rounds; µs of CPU. */
export interface Answer {
  readonly ms?: number;
  readonly cpuUs?: number;
  readonly error?: string;
}

const DATA = 64;
/** Segments a raw sender keeps queued beyond what the radio has carried: more than any event empties. */
const RAW_AHEAD = 64;
const ATT_WRITE_REQUEST = ATT_WRITE_COMMAND & ~0x40;
const SERVICE_DATA = new Uint8Array(13).fill(0xb5);
const primitives = nodePrimitives();

/** Segments that carry 16 KiB raw. */
const SEGMENTS_PER_MESSAGE = 67;
const AEAD = (() => {
  const [key, nonce, plaintext] = [new Uint8Array(16).fill(1), new Uint8Array(12), new Uint8Array(16_384)];
  return { key, nonce, plaintext, sealed: primitives.aeadSeal(key, nonce, plaintext) };
})();

const [role = '', moniker = '', backEnd] = process.argv.slice(2);
const choice = { backEnd: backEnd as BackEnd | undefined };
let gatt: GattLink;
let link: Link;
let driver: LinkDriver;
/** Set while a measurement runs. */
let onMessage: (bytes: number) => void = () => {};
let onDrained: () => void = () => {};
let firstSegmentAt: number | undefined;
let shut = async (): Promise<void> => {};

async function connect(): Promise<void> {
  if (role === 'peripheral') {
    const peripheral = await openPeripheral(moniker, choice);
    shut = () => peripheral.close();
    const linked = new Promise<GattLink>((resolve) => {
      peripheral.onLink = resolve;
    });
    await peripheral.startAdvertising({ serviceData: SERVICE_DATA });
    gatt = await linked;
    return;
  }
  const central = await openCentral(moniker, choice);
  shut = () => central.close();
  const { address } = await new Promise<Sighting>((resolve, reject) => {
    central.startScan((seen) => seen.serviceData && resolve(seen)).catch(reject);
  });
  await central.stopScan();
  gatt = await central.connect(address, { deadlineMs: 10_000 });
}

/**
 * Raw segments with the bytes of each 16 KiB of them opened once, as any protected link must. A link that is driven
 * sees none of them.
 */
function rawReceive(segments: number): Promise<Answer> {
  const { key, nonce, sealed } = AEAD;
  return new Promise((resolve) => {
    let left = segments;
    let startedAt = 0;
    const before = gatt.onSegment;
    gatt.onSegment = () => {
      if (left === segments) startedAt = performance.now();
      if (--left % SEGMENTS_PER_MESSAGE === 0) primitives.aeadOpen(key, nonce, sealed);
      if (left > 0) return;
      gatt.onSegment = before;
      resolve({ ms: performance.now() - startedAt });
    };
  });
}

/**
 * Raw segments, kept a window ahead of the radio's rate: thousands queued at once make the libraries' queues slow, and
 * that would flatter whatever is compared with them. Each 16 KiB of them is sealed once.
 */
function rawSend(segments: number, bytes: number, perMs: number): Answer {
  const { key, nonce, plaintext } = AEAD;
  const segment = new Uint8Array(bytes).fill(0x5a);
  const startedAt = performance.now();
  let sent = 0;
  const send = (): void => {
    const wanted = Math.min(segments, RAW_AHEAD + Math.ceil((performance.now() - startedAt) * perMs));
    while (sent < wanted) {
      if (sent % SEGMENTS_PER_MESSAGE === 0) primitives.aeadSeal(key, nonce, plaintext);
      gatt.send(segment);
      sent++;
    }
    if (sent < segments) setTimeout(send, 10);
  };
  send();
  return {};
}

function rawAsk(rounds: number, bytes: number): Promise<Answer> {
  return new Promise((resolve) => {
    const segment = new Uint8Array(bytes);
    const startedAt = performance.now();
    let left = rounds;
    gatt.onSegment = () => {
      if (--left === 0) resolve({ ms: performance.now() - startedAt });
      else gatt.send(segment);
    };
    gatt.send(segment);
  });
}

/**
 * Sequential Write Requests of a whole segment. Our characteristic takes Write Commands only, so each is answered by an
 * ATT error of 5 bytes in the place of a response of 1: on the air the same packet in the same connection event.
 */
async function writeWithResponse(rounds: number): Promise<Answer> {
  if (!(gatt instanceof CentralLink)) throw new Error('the central writes');
  const { att } = gatt;
  const { upValue } = await openService(att, {
    service: CPNS_SERVICE_UUID,
    up: CPNS_UP_UUID,
    down: CPNS_DOWN_UUID,
  });
  const pdu = valuePdu(ATT_WRITE_REQUEST, upValue, new Uint8Array(gatt.maxSegmentBytes));
  const startedAt = performance.now();
  for (let i = 0; i < rounds; i++) await att.request(pdu).catch(() => undefined);
  return { ms: performance.now() - startedAt };
}

/** The GATT link with a note of when the first segment of a measurement came. */
function watched(inner: GattLink): GattLink {
  return {
    side: inner.side,
    peerAddress: inner.peerAddress,
    maxSegmentBytes: inner.maxSegmentBytes,
    send: (segment) => inner.send(segment),
    close: () => inner.close(),
    set onSegment(take: (segment: Uint8Array) => void) {
      inner.onSegment = (segment) => {
        firstSegmentAt ??= performance.now();
        take(segment);
      };
    },
    get onSegment() {
      return inner.onSegment;
    },
    set onClose(take: (reason: number) => void) {
      inner.onClose = take;
    },
    get onClose() {
      return inner.onClose;
    },
  };
}

function makeLink(side: 'central' | 'peripheral', transportSegmentBytes: number, credits: number): Link {
  const common = {
    transportSegmentBytes,
    credits,
    primitives,
    ephemeral: primitives.generateEphemeral(),
  };
  const now = systemClock.monotonicMs();
  return side === 'central'
    ? new Link({ ...common, side, role: 'gateway', request: { kind: 'establish' } }, now)
    : new Link({ ...common, side, role: 'pne', accept: { establish: true, sessions: [] } }, now);
}

/** Links and drivers of both sides in memory, so that their code is compiled as in a process that has run for a while. */
async function warmUp(messages: number): Promise<Answer> {
  const pipe = (side: 'central' | 'peripheral') => {
    let burst: Uint8Array[] = [];
    const end = {
      side,
      peerAddress: '',
      maxSegmentBytes: 244,
      peer: undefined as GattLink | undefined,
      onSegment: (_: Uint8Array): void => {},
      onClose: (_: number): void => {},
      close: () => Promise.resolve(),
      send: (segment: Uint8Array): void => {
        if (burst.push(segment) > 1) return;
        setImmediate(() => {
          const taken = burst;
          burst = [];
          for (const one of taken) end.peer?.onSegment(one);
        });
      },
    };
    return end;
  };
  const [up, down] = [pipe('central'), pipe('peripheral')];
  [up.peer, down.peer] = [down, up];
  for (const [from, to] of [
    [up, down],
    [down, up],
  ] as const) {
    const [sender, receiver] = [from, to].map(({ side }) => makeLink(side, 244, 32)) as [Link, Link];
    const body = new Uint8Array(16_384);
    let left = messages;
    await new Promise<void>((resolve) => {
      const receiving = driveLink(to, receiver, systemClock, (events) => {
        for (const { kind } of events) {
          if (kind === 'opened') receiver.setReceiveLimit(65_535);
          if (kind === 'message' && --left === 0) resolve();
        }
      });
      const sending = driveLink(from, sender, systemClock, (events) => {
        for (const { kind } of events)
          if (kind !== 'closed' && left > 0 && sender.queuedBytes(1) === 0) sender.send(DATA, body, 1);
      });
      receiving.flush();
      sending.flush();
    });
    sender.close('ok');
    receiver.close('ok');
  }
  return {};
}

function linkOpen(credits: number): Promise<Answer> {
  link = makeLink(gatt.side, gatt.maxSegmentBytes, credits);
  return new Promise((resolve) => {
    const take = (event: LinkEvent): void => {
      if (event.kind === 'message') onMessage(event.body.length);
      else if (event.kind === 'drained') onDrained();
      else if (event.kind === 'closed') process.send?.({ error: `the link closed: ${event.status}` });
      else {
        link.setReceiveLimit(65_535);
        resolve({});
      }
    };
    driver = driveLink(watched(gatt), link, systemClock, (events) => {
      for (const event of events) take(event);
    });
  });
}

function linkReceive(messages: number): Promise<Answer> {
  firstSegmentAt = undefined;
  return new Promise((resolve) => {
    let left = messages;
    onMessage = () => {
      if (--left === 0) resolve({ ms: performance.now() - (firstSegmentAt ?? 0) });
    };
  });
}

function linkSend(messages: number, bytes: number): Answer {
  const body = new Uint8Array(bytes).fill(0x5a);
  let left = messages;
  onDrained = () => {
    if (left-- > 0) link.send(DATA, body, 1);
  };
  onDrained();
  driver.flush();
  return {};
}

function linkEcho(): Answer {
  onDrained = () => {};
  onMessage = (bytes) => link.send(DATA, new Uint8Array(bytes), 1);
  return {};
}

function linkAsk(rounds: number, bytes: number): Promise<Answer> {
  const body = new Uint8Array(bytes);
  onDrained = () => {};
  return new Promise((resolve) => {
    const startedAt = performance.now();
    let left = rounds;
    onMessage = () => {
      if (--left === 0) resolve({ ms: performance.now() - startedAt });
      else link.send(DATA, body, 1);
    };
    link.send(DATA, body, 1);
    driver.flush();
  });
}

function cpuUs(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

async function carryOut(order: Order): Promise<Answer> {
  switch (order.do) {
    case 'connect':
      await connect();
      return {};
    case 'raw-send':
      return rawSend(order.segments, order.bytes, order.perMs);
    case 'raw-receive':
      return rawReceive(order.segments);
    case 'raw-echo':
      gatt.onSegment = (segment) => gatt.send(segment);
      return {};
    case 'raw-ask':
      return rawAsk(order.rounds, order.bytes);
    case 'write-with-response':
      return writeWithResponse(order.rounds);
    case 'link-open':
      return linkOpen(order.credits);
    case 'link-send':
      return linkSend(order.messages, order.bytes);
    case 'link-receive':
      return linkReceive(order.messages);
    case 'link-echo':
      return linkEcho();
    case 'link-ask':
      return linkAsk(order.rounds, order.bytes);
    case 'warm-up':
      return warmUp(order.messages);
    case 'cpu':
      return { cpuUs: cpuUs() };
    case 'stop':
      await shut();
      process.disconnect();
      return {};
  }
}

process.on('message', (order: Order & { readonly id: number }) => {
  carryOut(order).then(
    (answer) => process.connected && process.send?.({ id: order.id, ...answer }),
    (error: unknown) => process.send?.({ id: order.id, error: String(error) }),
  );
});
