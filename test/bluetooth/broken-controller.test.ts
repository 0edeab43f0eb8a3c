/** Controllers that say what they should not: the ports stay alive, say so, and can be closed. */
import assert from 'node:assert/strict';
import { CpnsError } from '../../src/base/errors.ts';
import type { VirtualRadio } from '../../src/bluetooth/open.ts';
import {
  cleanUp,
  describeBackEnds,
  newCentral,
  newPeripheral,
  newRadio,
  serviceData,
  settles,
} from './support.ts';

/** Read Local Version Information of Bluetooth 1.0: both libraries then take the adapter for one without LE. */
const VERSION_OF_OLD = Buffer.from('040e0c01011000000000000000000000', 'hex').subarray(0, 15);

/** What every controller of the radio says to its host, whatever it was asked. */
function allSay(radio: VirtualRadio, packet: Buffer): void {
  for (const controller of radio.radio.controllers) controller.toHost(packet);
}

const refusal = async (work: Promise<unknown>): Promise<CpnsError> => {
  const outcome = await settles(work, 4_000);
  assert.ok(outcome instanceof CpnsError, `not refused as it should: ${String(outcome)}`);
  return outcome;
};

describeBackEnds('broken controller', () => {
  afterEach(cleanUp);

  it('that turns out to have no LE: advertising is refused, and the peripheral can be closed', async () => {
    const radio = await newRadio();
    const peripheral = await newPeripheral(radio);
    await peripheral.stopAdvertising();
    allSay(radio, VERSION_OF_OLD);
    await new Promise((resolve) => setTimeout(resolve, 50));
    await refusal(peripheral.startAdvertising({ serviceData: serviceData(1) }));
    assert.equal(await settles(peripheral.close(), 4_000), undefined);
  });

  it('that turns out to have no LE while scanning: the scan is refused, the watch over it ends no process', async () => {
    const radio = await newRadio();
    const central = await newCentral(radio, { scanSilenceMs: 100 });
    await central.startScan(() => {});
    allSay(radio, VERSION_OF_OLD);
    // Several looks of the watch; what it throws would be an uncaught exception.
    await new Promise((resolve) => setTimeout(resolve, 400));
    await central.stopScan();
    await refusal(central.startScan(() => {}));
    await refusal(central.connect('00:50:4e:53:00:09', { deadlineMs: 300 }));
    assert.equal(await settles(central.close(), 4_000), undefined);
  });
});
