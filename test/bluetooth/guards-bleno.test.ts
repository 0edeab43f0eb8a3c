/**
 * One describe per defect of bleno: first the library as it comes, to show the defect, then the port or the guarded
 * library in the same situation; over both back-ends, whose table is defects.ts. Numbers as in ble-notes. B4 (indications)
 * has no guard: CPNS sends none.
 */
import assert from 'node:assert/strict';
import type { BlenoGatt } from '../../src/bluetooth/guards/att-requests.ts';
import { isThere } from './defects.ts';
import { rawAdvertise, rawBleno, rawNoble, rawOpen } from './raw-libraries.ts';
import {
  cleanUp,
  closed,
  describeBackEnds,
  newCentral,
  newPair,
  newPeripheral,
  newRadio,
  once,
  serviceData,
  settles,
  sightingOf,
} from './support.ts';

const SHORT_MS = 300;

describeBackEnds('GUARD B1: a notify after the disconnect', (backEnd) => {
  afterEach(cleanUp);

  for (const guarded of [false, true]) {
    const there = !guarded && isThere('B1', backEnd);
    it(there ? 'in bleno: no later central gets an answer' : 'does no harm to later centrals', async () => {
      const radio = await newRadio();
      const raw = await rawBleno(radio, { guarded });
      const noble = await rawNoble(radio);
      const { peripheral, down } = await rawOpen(noble, raw.address);
      await down.subscribeAsync();
      const disconnected = once(raw.bleno, 'disconnect');
      peripheral.disconnect();
      await disconnected;
      // That of stoprocent throws, guarded or not: the port sends its notifications itself.
      const notify = () => raw.updateValue?.(Buffer.from([1]));
      if (backEnd === 'stoprocent') assert.throws(notify, TypeError);
      else notify();
      const again = await settles(rawOpen(await rawNoble(radio), raw.address), there ? SHORT_MS * 2 : 2000);
      assert.equal(again === 'pending', there);
    });
  }

  it('in the port: a send after the end does nothing, and the next central is served', async () => {
    const { radio, address, up, down, peripheral } = await newPair();
    const ended = closed(down);
    await up.close();
    await ended;
    down.send(Uint8Array.of(1));
    const next = await newCentral(radio);
    await Promise.all([next.connect(address, { deadlineMs: 3000 }), peripheral.nextLink()]);
  });
});

describeBackEnds('GUARD B2: disconnecting handle 0', (backEnd) => {
  afterEach(cleanUp);

  const there = isThere('B2', backEnd);
  it(there ? 'in bleno: does nothing' : 'in bleno: ends it, with every other link', async () => {
    const radio = await newRadio({ firstHandle: 0 });
    const raw = await rawBleno(radio);
    const { peripheral } = await rawOpen(await rawNoble(radio), raw.address);
    const disconnected = once(peripheral, 'disconnect');
    raw.bleno.disconnect();
    assert.equal(await settles(disconnected, SHORT_MS), there ? 'pending' : 0x13);
  });

  it('with the guard, and in the port: ends the link', async () => {
    const radio = await newRadio({ firstHandle: 0 });
    const raw = await rawBleno(radio, { guarded: true });
    const { peripheral } = await rawOpen(await rawNoble(radio), raw.address);
    const disconnected = once(peripheral, 'disconnect');
    raw.bleno.disconnect();
    assert.equal(await settles(disconnected, 1000), 0x13);
    const { up, down } = await newPair({ firstHandle: 0 });
    const ended = closed(up);
    await down.close();
    assert.equal(await ended, 0x13);
  });
});

describeBackEnds('GUARD B3: a connection that noble makes on the same adapter', (backEnd) => {
  afterEach(cleanUp);

  for (const guarded of [false, true]) {
    it(guarded ? 'is left alone' : 'in bleno: counts as its own', async () => {
      const radio = await newRadio();
      const raw = await rawBleno(radio, { guarded });
      await rawOpen(await rawNoble(radio), raw.address);
      const hci = raw.bleno._bindings._hci;
      const own = hci._mainHandle;
      const asCentral = Buffer.from([
        4, 0x3e, 19, 1, 0, 0x77, 0, 0, 0, 1, 2, 3, 4, 5, 6, 6, 0, 0, 0, 200, 0, 0,
      ]);
      raw.transport.emit('data', asCentral);
      if (backEnd === 'abandonware') assert.equal(hci._mainHandle === own, guarded);
      assert.equal(hci._handleAclsInProgress[0x77] === undefined, guarded);
    });

    it(guarded ? 'nor is one that failed' : 'in bleno: one that failed is a central', async () => {
      const radio = await newRadio();
      const { bleno, transport } = await rawBleno(radio, { guarded });
      let accepted = 0;
      bleno.on('accept', () => accepted++);
      const failed = Buffer.from([
        4, 0x3e, 19, 1, 0x3e, 0x77, 0, 1, 0, 1, 2, 3, 4, 5, 6, 6, 0, 0, 0, 200, 0, 0,
      ]);
      transport.emit('data', failed);
      assert.equal(accepted, guarded ? 0 : 1);
    });
  }
});

describeBackEnds('GUARD B5: a notify over the MTU', () => {
  afterEach(cleanUp);

  it('in bleno: cut without a word', async () => {
    const radio = await newRadio();
    const raw = await rawBleno(radio);
    const { down } = await rawOpen(await rawNoble(radio), raw.address);
    await down.subscribeAsync();
    const received = once<Buffer>(down, 'data');
    raw.updateValue?.(Buffer.alloc(400));
    assert.equal((await received).length, 253);
  });

  it('in the port: refused', async () => {
    const { down } = await newPair();
    assert.throws(() => down.send(new Uint8Array(245)), RangeError);
  });
});

describeBackEnds('GUARD B6: the controller refuses to advertise', (backEnd) => {
  afterEach(cleanUp);

  const there = isThere('B6', backEnd);
  it(there ? 'in bleno: the callback is never called' : 'in bleno: the callback is told', async () => {
    const radio = await newRadio();
    const { bleno } = await rawBleno(radio);
    radio.setFaults({ refuseAdvertising: true });
    const done = new Promise<Error | undefined>((resolve) => {
      bleno.startAdvertisingWithEIRData(Buffer.alloc(3), Buffer.alloc(3), resolve);
    });
    const outcome = await settles(done, SHORT_MS);
    if (there) assert.equal(outcome, 'pending');
    else assert.ok(outcome instanceof Error);
  });

  it('in the port: startAdvertising is rejected, and tries again until it is allowed', async () => {
    const radio = await newRadio();
    const peripheral = await newPeripheral(radio);
    radio.setFaults({ refuseAdvertising: true });
    await assert.rejects(
      peripheral.startAdvertising({ serviceData: serviceData(2) }),
      /refused to advertise/,
    );
    radio.setFaults({ refuseAdvertising: undefined });
    await sightingOf(await newCentral(radio), 2);
  });

  it('in the port: after a link too', async () => {
    const { radio, peripheral, central, address, up, down } = await newPair();
    radio.setFaults({ refuseAdvertising: true });
    const ended = closed(down);
    await up.close();
    await ended;
    const again = central.connect(address, { deadlineMs: 5000 });
    setTimeout(() => radio.setFaults({ refuseAdvertising: undefined }), 100);
    await Promise.all([again, peripheral.nextLink()]);
  });
});

describeBackEnds('GUARD B7: a second central while the first is connected', (backEnd) => {
  afterEach(cleanUp);

  for (const guarded of [false, true]) {
    const deaf = !guarded && isThere('B7', backEnd);
    it(
      guarded
        ? 'is sent away, the first is served on'
        : `in bleno: accepted, and the first is ${deaf ? 'deaf from then on' : 'served on'}`,
      async () => {
        const radio = await newRadio();
        const raw = await rawBleno(radio, { guarded });
        const first = await rawOpen(await rawNoble(radio), raw.address);
        await rawAdvertise(raw.bleno);
        const second = await (await rawNoble(radio)).find(raw.address);
        const sentAway = once<number>(second, 'disconnect');
        await second.connectAsync();
        assert.equal(await settles(sentAway, SHORT_MS), guarded ? 0x14 : 'pending');
        const heard = once(raw.writes, 'write');
        first.up.write(Buffer.from([1]), true);
        assert.equal((await settles(heard, SHORT_MS)) === 'pending', deaf);
      },
    );
  }

  it('in the port: new data while connected does not open the door', async () => {
    const { radio, peripheral, up, down } = await newPair();
    await peripheral.startAdvertising({ serviceData: serviceData(9) });
    const other = await newCentral(radio);
    assert.equal(await settles(sightingOf(other, 9), SHORT_MS), 'pending');
    const ended = closed(down);
    await up.close();
    await ended;
    await sightingOf(other, 9);
  });
});

describeBackEnds('GUARD X2 (bleno): after everything is closed', () => {
  afterEach(cleanUp);

  it('in bleno: its listeners stay on the process; in the port: none does', async () => {
    const radio = await newRadio();
    const state = (): unknown => [process.listenerCount('SIGINT'), process.listenerCount('exit')];
    const before = state();
    const { transport } = await rawBleno(radio);
    transport.close();
    assert.notDeepEqual(state(), before);
    await cleanUp();
    const again = await newRadio();
    const peripheral = await newPeripheral(again);
    await peripheral.close();
    assert.deepEqual(state(), before);
  });
});

describeBackEnds('hostile centrals', () => {
  afterEach(cleanUp);

  it('truncated ATT requests do not hinder the next central', async () => {
    const radio = await newRadio();
    const peripheral = await newPeripheral(radio, 3);
    const { address } = await sightingOf(await newCentral(radio), 3);
    const hostile = await rawNoble(radio, true);
    const peer = await hostile.find(address);
    await peer.connectAsync();
    const [handle = 0] = hostile.noble._bindings._hci._aclConnections.keys();
    for (const pdu of ['02', '0801', '0a', '12', '52', ''])
      hostile.noble._bindings._hci.writeAclDataPkt(handle, 4, Buffer.from(pdu, 'hex'));
    const ended = once(peer, 'disconnect');
    peer.disconnect();
    await ended;
    const honest = await newCentral(radio);
    await Promise.all([honest.connect(address, { deadlineMs: 5000 }), peripheral.nextLink()]);
  });
});

describeBackEnds('GUARD S3: sockets for management', () => {
  afterEach(cleanUp);

  it('go to nobody, and their end is not the end of the controller', async () => {
    const { up, down, peripheral, central, address } = await newPair();
    await Promise.all([closed(down), up.close()]);
    await Promise.all([central.connect(address, { deadlineMs: 3000 }), peripheral.nextLink()]);
  });
});

describeBackEnds('GUARD B8: requests that are none', () => {
  afterEach(cleanUp);

  /** What the attribute server would answer the central that is connected. */
  const askedBy = async (guarded: boolean) => {
    const radio = await newRadio();
    const raw = await rawBleno(radio, { guarded });
    await rawOpen(await rawNoble(radio), raw.address);
    const connection = Number(Object.keys(raw.bleno._bindings._hci._handleAclsInProgress)[0]);
    const gatt: BlenoGatt = raw.bleno._bindings._gatt;
    const answers: string[] = [];
    gatt.send = (pdu) => answers.push(pdu.toString('hex'));
    const configuration = gatt._handles.findLastIndex((each) => each?.uuid === '2902');
    const declaration = gatt._handles.findIndex(
      ({ type, properties = 0 } = { type: '' }) => type === 'characteristic' && (properties & 0x04) !== 0,
    );
    const handle = (index: number) => `${index.toString(16).padStart(2, '0')}00`;
    return (hex: string) => {
      answers.length = 0;
      const pdu = hex.replace('CCCD', handle(configuration)).replace('DECL', handle(declaration));
      gatt.handleRequest(Buffer.from(pdu, 'hex'), connection);
      return answers.join();
    };
  };
  const INVALID_PDU = '04';
  const cases: readonly (readonly [string, string, string])[] = [
    ['a read without a handle', '0a01', `010a0000${INVALID_PDU}`],
    ['a write without a handle', '12', `01120000${INVALID_PDU}`],
    ['a read blob without an offset', '0c0100', `010c0000${INVALID_PDU}`],
    ['a range from 0', '0400000500', '0104000001'],
    ['a reversed range', '0405000100', '0104050001'],
    ['an indication where there are notifications', '12CCCD0200', '0112CCCD13'],
    ['configuration bits that do not exist', '12CCCDf0ff', '0112CCCD13'],
    ['a command to nobody', '52ff0000', ''],
    ['a command to what only notifies', '520100aa', ''],
    ['a command too short', '5201', ''],
    ['a write to a declaration', '12DECLaa', '0112DECL03'],
    ['a write command to a declaration', '52DECLaa', ''],
    ['a signed command', 'd20100aa', ''],
    ['a response', '0bff', ''],
    ['an error', '0101000101', ''],
    ['a confirmation', '1e', ''],
  ];

  for (const [what, request, answer] of cases) {
    it(`${what}: ${answer === '' ? 'no answer' : 'an error'}`, async () => {
      const ask = await askedBy(true);
      const seen = ask(request);
      assert.equal(seen.length, answer.length);
      assert.match(seen, new RegExp(`^${answer.replace(/CCCD|DECL/, '..00')}$`));
      assert.equal(ask('0a0100').slice(0, 2), '0b', 'serves on');
    });
  }

  it('in bleno: a short one throws, a command and a response are answered, any bits subscribe', async () => {
    const ask = await askedBy(false);
    assert.throws(() => ask('0a01'), RangeError);
    assert.notEqual(ask('52ff0000'), '');
    assert.notEqual(ask('0bff'), '');
    assert.equal(ask('12CCCDf0ff'), '13');
  });
});
