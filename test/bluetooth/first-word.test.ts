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
});
