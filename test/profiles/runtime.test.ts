/** What a profile says is what goes out: each field, seen in the HCI capture of the real noble and bleno. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import type { CpnsError } from '../../src/base/errors.ts';
import { type CapturedPacket, readBtsnoop } from '../../src/bluetooth/hci/btsnoop-reader.ts';
import { openCentral, openPeripheral } from '../../src/bluetooth/open.ts';
import type { GattLink, Peripheral } from '../../src/bluetooth/ports.ts';
import { Scan } from '../../src/nodes/scan.ts';
import { systemClock } from '../../src/nodes/system-clock.ts';
import {
  cleanUp,
  closed,
  describeBackEnds,
  newCentral,
  newPair,
  newPeripheral,
  newRadio,
  scratchFile,
  sightingOf,
} from '../bluetooth/support.ts';
import { type Changes, profileFile } from './files.ts';

const RESET = 0x0c03;
const SCAN_ENABLE = 0x200c;
const CREATE_CONNECTION = 0x200d;
const SUGGESTED_DATA_LENGTH = 0x2024;
const DEFAULT_PHY = 0x2031;
const COMMAND = 1;
const ACL = 2;

const captured = (file: string): CapturedPacket[] => [...readBtsnoop(readFileSync(file))];

const commands = (file: string, opcode: number): CapturedPacket[] =>
  captured(file).filter(({ packet }) => packet[0] === COMMAND && packet.readUInt16LE(1) === opcode);

const parameters = (file: string, opcode: number): string[] =>
  commands(file, opcode).map(({ packet }) => packet.toString('hex', 4));

async function statusOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'ok',
    (error: CpnsError) => error.status,
  );
}

/** A central with such a profile that was opened and closed, and what it sent. */
async function opened(changes: Changes): Promise<string> {
  const capture = scratchFile('opened.btsnoop');
  await (await newCentral(await newRadio(), { capture, profile: profileFile(changes) })).close();
  return capture;
}

describeBackEnds('the profile of an adapter at run time', function () {
  this.timeout(20_000);
  afterEach(cleanUp);

  it('is that of the virtual radio on the virtual radio, by what its controller says', async () => {
    const radio = await newRadio();
    const central = await newCentral(radio);
    const peripheral = await newPeripheral(radio);
    for (const { detection, identity } of [central.adapter, peripheral.adapter]) {
      assert.deepEqual([detection.profile.name, detection.how], ['virtual-radio', 'matched']);
      assert.deepEqual(
        [identity.bus, identity.hci?.manufacturer, identity.hci?.lmpSubversion],
        ['socket', 0xffff, 0x6370],
      );
    }
  });

  it('is another one when the options name it; a name that is none is said before anything is opened', async () => {
    const radio = await newRadio();
    const central = await newCentral(radio, { profile: 'csr8510' });
    assert.deepEqual([central.adapter.detection.how, central.adapter.settings.links], ['configured', 5]);
    for (const open of [openCentral, openPeripheral]) {
      await assert.rejects(open(radio.moniker, { profile: 'nothing' }), { name: 'ProfileError' });
      await assert.rejects(open(radio.moniker, { profile: scratchFile('missing.json') }), {
        name: 'ProfileError',
      });
    }
  });

  it('intervalMs and supervisionTimeoutMs are asked for in LE Create Connection', async () => {
    const capture = scratchFile('central.btsnoop');
    const profile = profileFile({
      connection: { intervalMs: { least: 20, most: 30 }, supervisionTimeoutMs: 5000 },
    });
    const { central } = await newPair({}, { capture, profile });
    await central.close();
    const [packet] = commands(capture, CREATE_CONNECTION).map((each) => each.packet);
    assert.deepEqual(
      [packet?.readUInt16LE(4 + 13), packet?.readUInt16LE(4 + 15), packet?.readUInt16LE(4 + 19)],
      [20 / 1.25, 30 / 1.25, 500],
    );
  });

  it('dataLength is suggested, 27 suggests nothing', async () => {
    assert.deepEqual(parameters(await opened({}), SUGGESTED_DATA_LENGTH), ['fb004808']);
    assert.deepEqual(parameters(await opened({ radio: { dataLength: 100 } }), SUGGESTED_DATA_LENGTH), [
      '64009003',
    ]);
    assert.deepEqual(parameters(await opened({ radio: { dataLength: 27 } }), SUGGESTED_DATA_LENGTH), []);
  });

  it('phys are allowed by default, 1M alone sets nothing', async () => {
    assert.deepEqual(parameters(await opened({}), DEFAULT_PHY), []);
    assert.deepEqual(parameters(await opened({ radio: { phys: ['1M', '2M'] } }), DEFAULT_PHY), ['000303']);
    assert.deepEqual(parameters(await opened({ radio: { phys: ['1M', 'coded'] } }), DEFAULT_PHY), ['000505']);
  });

  it('quirk no-optional-commands: neither is set, whatever the profile says of them', async () => {
    const capture = await opened({
      radio: { phys: ['1M', '2M'] },
      quirks: [{ name: 'no-optional-commands' }],
    });
    assert.deepEqual(
      [...commands(capture, DEFAULT_PHY), ...commands(capture, SUGGESTED_DATA_LENGTH)].length,
      0,
    );
  });

  it('quirk wait-after-reset: nothing is sent for so long', async () => {
    const pause = (file: string) => {
      const packets = captured(file).filter(({ received }) => !received);
      assert.equal(packets[0]?.packet.readUInt16LE(1), RESET);
      return (packets[1]?.atMs ?? 0) - (packets[0]?.atMs ?? 0);
    };
    const waited = pause(await opened({ quirks: [{ name: 'wait-after-reset', ms: 300 }] }));
    assert.ok(waited >= 295, `${waited} ms`);
    assert.ok(pause(await opened({})) < 200);
  });

  it('quirk unreliable: the reason is a warning', async () => {
    const radio = await newRadio();
    const profile = profileFile({ quirks: [{ name: 'unreliable', why: 'It bites.' }] });
    assert.deepEqual((await newCentral(radio, { profile })).adapter.settings.warnings, ['It bites.']);
  });

  it('aclBuffers: no longer packet and no more at once, on both sides, whatever the controller states', async () => {
    const profile = profileFile({ radio: { aclBuffers: { bytes: 27, count: 1 } } });
    const files = [scratchFile('central.btsnoop'), scratchFile('peripheral.btsnoop')] as const;
    const radio = await newRadio();
    const peripheral = await newPeripheral(radio, 1, { profile, capture: files[1] });
    const central = await newCentral(radio, { profile, capture: files[0] });
    const { address } = await sightingOf(central, 1);
    const [up, down] = await Promise.all([
      central.connect(address, { deadlineMs: 5000 }),
      peripheral.nextLink(),
    ]);
    await Promise.all([cross(up, down), cross(down, up)]);
    await central.close();
    await peripheral.close();
    for (const file of files) {
      let outstanding = 0;
      for (const { packet, received } of captured(file)) {
        if (packet[0] === ACL && !received) {
          assert.ok(packet.readUInt16LE(3) <= 27, `${packet.readUInt16LE(3)} bytes`);
          assert.equal(++outstanding, 1);
        } else if (packet[1] === 0x13 && received) outstanding -= packet.readUInt16LE(6);
      }
    }
  });

  it('silenceMs: a scan that hears nothing for so long is started anew', async () => {
    const capture = scratchFile('scan.btsnoop');
    const radio = await newRadio();
    await newPeripheral(radio);
    const central = await newCentral(radio, { capture, profile: profileFile({ scan: { silenceMs: 300 } }) });
    let heard: () => void = () => {};
    const next = () => new Promise<void>((resolve) => (heard = resolve));
    await central.startScan(() => heard());
    await next();
    radio.radio.deafenScanners();
    const deafAt = performance.now();
    await next();
    const silence = performance.now() - deafAt;
    assert.ok(silence > 150 && silence < 5000, `${silence} ms`);
  });

  it('settleMs: so long after the end of the scan the connection is begun', async () => {
    const gap = async (settleMs: number) => {
      const capture = scratchFile('settle.btsnoop');
      const { central } = await newPair({}, { capture, profile: profileFile({ scan: { settleMs } }) });
      await central.close();
      const begun = commands(capture, CREATE_CONNECTION)[0]?.atMs ?? 0;
      const ends = commands(capture, SCAN_ENABLE).filter(
        ({ packet, atMs }) => packet[4] === 0 && atMs < begun,
      );
      return begun - (ends.at(-1)?.atMs ?? 0);
    };
    const waited = await gap(400);
    assert.ok(waited >= 395, `${waited} ms`);
  });

  it('links: an attempt beyond them is busy and asks the controller nothing; a link that ended makes room', async () => {
    const capture = scratchFile('links.btsnoop');
    const radio = await newRadio();
    await newPeripheral(radio, 1);
    await newPeripheral(radio, 2);
    const central = await newCentral(radio, { capture, profile: profileFile({ radio: { links: 1 } }) });
    const [first, second] = [await sightingOf(central, 1), await sightingOf(central, 2)];
    assert.equal(central.freeLinks, 1);
    const connecting = central.connect(first.address, { deadlineMs: 5000 });
    assert.equal(central.freeLinks, 0);
    assert.equal(await statusOf(central.connect(second.address, { deadlineMs: 1000 })), 'busy');
    const link = await connecting;
    assert.equal(await statusOf(central.connect(second.address, { deadlineMs: 1000 })), 'busy');
    await link.close();
    assert.equal(central.freeLinks, 1);
    await central.connect(second.address, { deadlineMs: 5000 });
    await central.close();
    assert.equal(commands(capture, CREATE_CONNECTION).length, 2);
  });

  it('links: a gateway lets the next PNE wait for a free one, and tries none that left meanwhile', async () => {
    const radio = await newRadio();
    const central = await newCentral(radio, { profile: profileFile({ radio: { links: 2 } }) });
    // Flags of a PNE of this version; the bytes after them tell one from the other.
    const peripherals = new Map<string, Peripheral>();
    for (const tag of [0x28, 0x29, 0x2a, 0x2b]) peripherals.set(String(tag), await newPeripheral(radio, tag));
    const served = new Map<string, GattLink>();
    const failures: string[] = [];
    const scan = new Scan<string>({
      central,
      clock: systemClock,
      choose: ({ tags }) => {
        const key = String(tags[0]);
        return served.has(key) ? undefined : { key, stranger: false, value: key };
      },
      serve: async (gatt, key) => {
        served.set(key, gatt);
        await closed(gatt);
        return 'ok';
      },
      onConnectFailed: (address, status) => failures.push(`${address} ${status}`),
    });
    await scan.start();
    await until(() => served.size === 2);
    await new Promise((resolve) => setTimeout(resolve, 500));
    assert.equal(served.size, 2);
    const [left, stays] = [...peripherals.keys()].filter((tag) => !served.has(tag));
    await peripherals.get(left ?? '')?.close();
    await new Promise((resolve) => setTimeout(resolve, 200));
    for (const link of [...served.values()]) await link.close();
    await until(() => served.has(stays ?? ''));
    await new Promise((resolve) => setTimeout(resolve, 3500));
    await scan.stop();
    assert.equal(served.size, 3);
    assert.deepEqual(failures, []);
  });

  for (const channel of ['raw', 'user'] as const) {
    it(`channel: hci:N opens the ${channel} channel when the profile says so, and a suffix goes first`, async () => {
      const profile = profileFile({ channel });
      const other = channel === 'raw' ? 'user' : 'raw';
      const refusal = async (moniker: string) => statusText(openCentral(moniker, { profile }));
      assert.match(await refusal('hci:99'), new RegExp(`^hci:99/${channel}: `));
      assert.match(await refusal(`hci:99/${other}`), new RegExp(`^hci:99/${other}: `));
    });
  }
});

async function statusText(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'opened',
    (error: Error) => error.message,
  );
}

async function cross(from: GattLink, to: GattLink): Promise<void> {
  const arrived = new Promise<void>((resolve) => {
    to.onSegment = () => resolve();
  });
  from.send(new Uint8Array(from.maxSegmentBytes).fill(7));
  await arrived;
}

async function until(holds: () => boolean): Promise<void> {
  for (const endAt = performance.now() + 8000; !holds(); ) {
    if (performance.now() > endAt) throw new Error('not within 8 s');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
