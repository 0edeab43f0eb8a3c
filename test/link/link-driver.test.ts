/** The driver of a link between two GATT links in memory: bursts, timers, ends; no timer armed at the end. */
import assert from 'node:assert/strict';
import type { GattLink } from '../../src/bluetooth/ports.ts';
import { Link, type LinkEvent } from '../../src/link/link.ts';
import { driveLink, type LinkDriver } from '../../src/nodes/link-driver.ts';
import { pattern } from './helpers.ts';
import { ACCEPT_ALL, PRIMITIVES } from './pair.ts';

const clock = { monotonicMs: () => performance.now() };

/** One end of a pipe that delivers in a later turn, whole bursts at a time. */
class PipeEnd implements GattLink {
  readonly peerAddress = '00:00:00:00:00:00';
  readonly maxSegmentBytes = 244;
  readonly side: 'central' | 'peripheral';
  peer: PipeEnd | undefined;
  onSegment: (segment: Uint8Array) => void = () => {};
  onClose: (reason: number) => void = () => {};
  up = true;
  sent = 0;
  #burst: Uint8Array[] = [];

  constructor(side: 'central' | 'peripheral') {
    this.side = side;
  }

  send(segment: Uint8Array): void {
    this.sent++;
    if (this.#burst.push(segment) > 1) return;
    setImmediate(() => {
      for (const one of this.#burst.splice(0)) if (this.peer?.up) this.peer.onSegment(one);
    });
  }

  close(): Promise<void> {
    for (const end of [this, this.peer]) {
      if (!end?.up) continue;
      end.up = false;
      setImmediate(() => end.onClose(0x13));
    }
    return Promise.resolve();
  }
}

interface Side {
  readonly gatt: PipeEnd;
  readonly link: Link;
  readonly driver: LinkDriver;
  readonly events: LinkEvent[];
}

function connect(
  onEvents: (side: 'central' | 'peripheral', events: readonly LinkEvent[], link: Link) => void = () => {},
) {
  const central = new PipeEnd('central');
  const peripheral = new PipeEnd('peripheral');
  central.peer = peripheral;
  peripheral.peer = central;
  const base = { transportSegmentBytes: 244, credits: 32, primitives: PRIMITIVES };
  const links = {
    central: new Link(
      {
        ...base,
        side: 'central',
        role: 'gateway',
        request: { kind: 'establish' },
        ephemeral: PRIMITIVES.generateEphemeral(),
      },
      clock.monotonicMs(),
    ),
    peripheral: new Link(
      {
        ...base,
        side: 'peripheral',
        role: 'pne',
        accept: ACCEPT_ALL,
        ephemeral: PRIMITIVES.generateEphemeral(),
      },
      clock.monotonicMs(),
    ),
  };
  const make = (side: 'central' | 'peripheral', gatt: PipeEnd): Side => {
    const events: LinkEvent[] = [];
    const link = links[side];
    const driver = driveLink(gatt, link, clock, (batch) => {
      events.push(...batch);
      onEvents(side, batch, link);
    });
    return { gatt, link, driver, events };
  };
  return { central: make('central', central), peripheral: make('peripheral', peripheral) };
}

const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
const kinds = (side: Side) =>
  side.events.map((event) => (event.kind === 'closed' ? event.status : event.kind));

describe('link driver', () => {
  let before = 0;
  beforeEach(() => {
    before = timers();
  });
  afterEach(() => {
    // Those of earlier files may end meanwhile.
    assert.ok(timers() <= before, `a timer was left armed: ${timers()} instead of ${before}`);
  });

  it('carries a stream kept filled by drained, then closes both ends', async () => {
    let left = 20;
    const { central, peripheral } = connect((side, events, link) => {
      for (const { kind } of events) {
        if (kind === 'opened') link.setReceiveLimit(65_535);
        if (side === 'central' && (kind === 'opened' || kind === 'drained') && left-- > 0)
          link.send(64, pattern(16_384), 1);
        if (side === 'peripheral' && kind === 'message' && peripheral.events.length === 21)
          void peripheral.driver.close('ok');
      }
    });
    await Promise.all([central.driver.ended, peripheral.driver.ended]);
    assert.deepEqual(kinds(peripheral), ['opened', ...Array(20).fill('message'), 'ok']);
    assert.deepEqual(kinds(central).slice(-2), ['drained', 'link-lost']);
    assert.ok(peripheral.gatt.sent < 20 * 20, 'grants come in bursts');
  });

  it('lets the peer read the last message before it hangs up', async () => {
    const { central, peripheral } = connect((side, events, link) => {
      for (const event of events) {
        if (side === 'central' && event.kind === 'opened') {
          link.send(40, pattern(3));
          link.closeAfterSending('declined', clock.monotonicMs());
        }
        if (side === 'peripheral' && event.kind === 'message') void peripheral.driver.close('declined');
      }
    });
    const startedAt = performance.now();
    await Promise.all([central.driver.ended, peripheral.driver.ended]);
    assert.deepEqual(kinds(peripheral), ['opened', 'message', 'declined']);
    assert.deepEqual(kinds(central), ['opened', 'declined']);
    assert.ok(performance.now() - startedAt < 400, 'the peer hung up, so nobody waited');
  });

  it('closes on bytes of a stranger, and says nothing', async () => {
    const { central, peripheral } = connect();
    central.gatt.onSegment(new Uint8Array(245));
    await Promise.all([central.driver.ended, peripheral.driver.ended]);
    assert.deepEqual(kinds(central), ['link-violation']);
    assert.equal(central.gatt.sent, 0);
    assert.deepEqual(kinds(peripheral), ['link-lost']);
  });

  it('closes with internal when its owner or the transport throws', async () => {
    const { central, peripheral } = connect((side) => {
      if (side === 'central') throw new Error('a defect of the owner');
    });
    await Promise.all([central.driver.ended, peripheral.driver.ended]);
    assert.deepEqual(kinds(central), ['opened', 'internal']);

    const other = connect();
    other.central.gatt.send = () => {
      throw new RangeError('a defect below');
    };
    await Promise.all([other.central.driver.ended, other.peripheral.driver.ended]);
    assert.deepEqual(kinds(other.central), ['opened', 'internal']);
  });

  it('tells when the other side does not open in time', async function () {
    this.timeout(4000);
    const { central, peripheral } = connect();
    central.gatt.onSegment = () => {};
    await Promise.all([central.driver.ended, peripheral.driver.ended]);
    assert.ok(['timeout', 'link-lost'].includes(String(kinds(central)[0])));
    assert.ok(kinds(central).includes('timeout') || kinds(peripheral).includes('timeout'));
  });
});
