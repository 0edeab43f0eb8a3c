/** A peripheral's first notification comes after the answer to the subscription: bluetoothd drops what comes before. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { readBtsnoop } from '../../src/bluetooth/hci/btsnoop-reader.ts';
import {
  cleanUp,
  describeBackEnds,
  newCentral,
  newPeripheral,
  newRadio,
  scratchFile,
  sightingOf,
  subscribe,
} from './support.ts';

const ACL = 0x02;
const ATT_AT = 9;
const WRITE_RESPONSE = 0x13;
const NOTIFICATION = 0x1b;

describeBackEnds('the first word of a peripheral', () => {
  afterEach(cleanUp);

  it('comes after the answer to the subscription', async () => {
    const radio = await newRadio();
    const capture = scratchFile('first-word.btsnoop');
    const peripheral = await newPeripheral(radio, 1, { capture });
    const spoken = peripheral.nextLink().then((link) => link.send(Uint8Array.of(1)));
    const central = await newCentral(radio);
    const { address } = await sightingOf(central, 1);
    const link = await central.connect(address, { deadlineMs: 5000 });
    await spoken;
    await new Promise<void>((resolve) => {
      link.onSegment = () => resolve();
    });
    await cleanUp();
    const said = [...readBtsnoop(readFileSync(capture))].flatMap(({ packet, received }) =>
      !received && packet[0] === ACL ? [packet[ATT_AT]] : [],
    );
    const first = said.indexOf(NOTIFICATION);
    assert.ok(first > 0);
    assert.equal(said[first - 1], WRITE_RESPONSE);
  });

  it('is said anew to a central that subscribes anew on the same connection, on a link of its own', async () => {
    const radio = await newRadio();
    const peripheral = await newPeripheral(radio);
    const central = await newCentral(radio);
    const { address } = await sightingOf(central, 1);
    const first = peripheral.nextLink();
    const link = await central.connect(address, { deadlineMs: 5000 });
    const ended = new Promise<void>((resolve) => {
      void first.then((served) => {
        served.onClose = () => resolve();
      });
    });
    const second = peripheral.nextLink();
    await subscribe(link, false);
    await ended;
    await subscribe(link, true);
    const heard = new Promise<Uint8Array>((resolve) => {
      link.onSegment = resolve;
    });
    const anew = await second;
    const up = new Promise<Uint8Array>((resolve) => {
      anew.onSegment = resolve;
    });
    (await first).send(Uint8Array.of(1));
    anew.send(Uint8Array.of(2));
    assert.deepEqual(Uint8Array.from(await heard), Uint8Array.of(2), 'the link that ended says nothing more');
    link.send(Uint8Array.of(3));
    assert.deepEqual(Uint8Array.from(await up), Uint8Array.of(3));
    assert.equal(radio.counters().links.filter(({ open }) => open).length, 1);
  });

  it('a central that unsubscribes and stays is dropped as one that never subscribed', async () => {
    const radio = await newRadio();
    const peripheral = await newPeripheral(radio, 1, { subscribeDeadlineMs: 300 });
    const central = await newCentral(radio);
    const { address } = await sightingOf(central, 1);
    const link = await central.connect(address, { deadlineMs: 5000 });
    await peripheral.nextLink();
    const closed = new Promise((resolve) => {
      link.onClose = resolve;
    });
    await subscribe(link, false);
    await closed;
  });

  it('a central that begins anew for ever holds no connection for ever', async () => {
    const radio = await newRadio();
    const peripheral = await newPeripheral(radio);
    let links = 0;
    peripheral.onLink = () => links++;
    const central = await newCentral(radio);
    const { address } = await sightingOf(central, 1);
    const link = await central.connect(address, { deadlineMs: 5000 });
    const closed = new Promise<boolean>((resolve) => {
      link.onClose = () => resolve(true);
    });
    const again = async (): Promise<boolean> => {
      for (let times = 0; times < 8; times++) {
        await subscribe(link, false);
        await subscribe(link, true);
      }
      return false;
    };
    assert.equal(await Promise.race([closed, again().catch(() => closed)]), true);
    assert.equal(links, 3);
  });

  it('has less time to subscribe again than it had to subscribe', async () => {
    const deadlineMs = 1000;
    const radio = await newRadio();
    const peripheral = await newPeripheral(radio, 1, { subscribeDeadlineMs: deadlineMs });
    const central = await newCentral(radio);
    const { address } = await sightingOf(central, 1);
    const link = await central.connect(address, { deadlineMs: 5000 });
    await peripheral.nextLink();
    const closed = new Promise((resolve) => {
      link.onClose = resolve;
    });
    await subscribe(link, false);
    const startedAt = performance.now();
    await closed;
    assert.ok(performance.now() - startedAt < deadlineMs / 2);
  });
});
