/** Whether the controller answers, as the watchdog asks: also beside a scan and an advertisement, and not once it is mute. */
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

describeBackEnds('the question whether the controller answers', function () {
  this.timeout(20_000);
  afterEach(cleanUp);

  it('is answered while it advertises and scans; not by one that has gone mute', async () => {
    const radio = await newRadio();
    const peripheral = await newPeripheral(radio, 1, { randomAddress: true });
    const central = await newCentral(radio, { randomAddress: true });
    await peripheral.startAdvertising({ serviceData: serviceData(2) });
    await sightingOf(central, 2);
    assert.deepEqual(await Promise.all([peripheral.answers(), central.answers()]), [true, true]);
    for (const controller of radio.radio.controllers) controller.toHost = () => {};
    const askedAt = performance.now();
    assert.deepEqual(await Promise.all([peripheral.answers(), central.answers()]), [false, false]);
    assert.ok(performance.now() - askedAt < 7_000);
  });

  it('has the answer no once it is closed', async () => {
    const radio = await newRadio();
    const peripheral = await newPeripheral(radio, 1);
    await peripheral.close();
    assert.equal(await peripheral.answers(), false);
  });
});
