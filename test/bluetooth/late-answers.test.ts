/** A controller that answers too late: what it did meanwhile must not stand in the way of what comes next. */
import assert from 'node:assert/strict';
import {
  cleanUp,
  describeBackEnds,
  newCentral,
  newPeripheral,
  newRadio,
  serviceData,
  sightingOf,
} from './support.ts';

const COMMAND_COMPLETE = 0x0e;
const LE_SET_ADVERTISE_ENABLE = 0x200a;

describeBackEnds('a controller that answers late', function () {
  this.timeout(20_000);
  afterEach(cleanUp);

  it('advertised behind our back: the next announcement stops that first', async () => {
    const radio = await newRadio();
    const peripheral = await newPeripheral(radio, 1, { randomAddress: true });
    const [controller] = radio.radio.controllers;
    assert.ok(controller);
    const held: Buffer[] = [];
    const toHost = controller.toHost.bind(controller);
    controller.toHost = (packet) => {
      const late = packet[1] === COMMAND_COMPLETE && packet.readUInt16LE(4) === LE_SET_ADVERTISE_ENABLE;
      if (late) held.push(packet);
      else toHost(packet);
    };
    await assert.rejects(peripheral.startAdvertising({ serviceData: serviceData(2) }), { status: 'timeout' });
    assert.ok(held.length > 0);
    controller.toHost = toHost;
    for (const packet of held) toHost(packet);
    await peripheral.startAdvertising({ serviceData: serviceData(3) });
    const central = await newCentral(radio, { randomAddress: true });
    await sightingOf(central, 3);
  });
});
