/** The split of one controller: whose each packet is, by the bytes alone, and that no bytes break it. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { HciPipe } from '../../src/bluetooth/hci/pipe.ts';
import { splitPipe } from '../../src/bluetooth/hci/split-pipe.ts';

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');

/** A controller that says what the test says, and remembers what it was sent. */
function world(exclusive = true) {
  const sent: string[] = [];
  const heard = { central: [] as string[], peripheral: [] as string[] };
  let closed = 0;
  const pipe: HciPipe = {
    exclusive,
    send: (packet) => sent.push(packet.toString('hex')),
    close: () => closed++,
    isUp: () => true,
    onPacket: () => {},
    onEnd: () => {},
  };
  const { central, peripheral } = splitPipe(pipe);
  central.onPacket = (packet) => heard.central.push(packet.toString('hex'));
  peripheral.onPacket = (packet) => heard.peripheral.push(packet.toString('hex'));
  const says = (text: string) => pipe.onPacket(hex(text));
  return { pipe, central, peripheral, sent, heard, says, closed: () => closed };
}

const READ_ADDRESS = '01 0910 00';
const READ_VERSION = '01 0110 00';
const connected = (handle: string, role: string, status = '00') =>
  `04 3e 13 01 ${status} ${handle} ${role} 00 665544332211 0600 0000 c800 00`;

describe('one pipe split in two', () => {
  it('answers go to who asked, in order, and a controller without credits is waited for', () => {
    const { central, peripheral, sent, heard, says } = world();
    central.send(hex(READ_ADDRESS));
    peripheral.send(hex(READ_ADDRESS));
    peripheral.send(hex(READ_VERSION));
    assert.deepEqual(sent, ['01091000']);
    says('04 0e 0a 00 0910 00 010203040506'); // no credit: nothing more goes out
    assert.deepEqual(sent, ['01091000']);
    assert.deepEqual(heard, { central: ['040e0a01091000010203040506'], peripheral: [] });
    says('04 0e 03 02 0000'); // the controller takes two now, and this answers nobody
    assert.deepEqual(sent, ['01091000', '01091000', '01011000']);
    says('04 0e 0a 02 0910 00 0a0b0c0d0e0f');
    assert.deepEqual(heard.peripheral, ['040e0a010910000a0b0c0d0e0f']);
    assert.equal(heard.central.length, 1);
  });

  it('a link and all that concerns it is of the half of its role; a failed attempt and what is heard, of the central', () => {
    const { central, peripheral, sent, heard, says } = world();
    says(connected('4000', '00'));
    says(connected('4100', '01'));
    says(connected('0000', '00', '02'));
    says('04 3e 0c 02 01 00 00 665544332211 00 c0');
    for (const handle of ['40', '41', '42']) says(`02 ${handle}20 0500 0100 0400 0b`);
    says('04 13 09 02 4000 0100 4100 0200');
    says('04 05 04 00 4100 13');
    const kinds = (packets: string[]) => packets.map((packet) => packet.slice(0, 8));
    assert.deepEqual(kinds(heard.central), ['043e1301', '043e1301', '043e0c02', '02402005', '04130501']);
    assert.deepEqual(kinds(heard.peripheral), ['043e1301', '02412005', '04130501', '04050400']);
    // Neither can write to the other's link, nor to one that has ended.
    says('04 0e 07 01 0220 00 fb00 08');
    peripheral.send(hex('02 4000 0500 0100 0400 0b'));
    peripheral.send(hex('02 4100 0500 0100 0400 0b'));
    central.send(hex('02 4000 0500 0100 0400 0b'));
    assert.deepEqual(sent, ['0240000500010004000b']);
  });

  it('a half that closes takes its links with it and no later ones; the pipe closes with the second', () => {
    const { central, peripheral, sent, says, closed } = world(false);
    says(connected('4100', '01'));
    peripheral.close();
    says(connected('4200', '01'));
    assert.deepEqual(sent, ['01060403410013', '01060403420013']);
    assert.equal(closed(), 0);
    central.close();
    assert.equal(closed(), 1);
  });

  it('no bytes of a controller make it throw', () => {
    const header = fc.constantFrom('040e', '040f', '0405', '0413', '043e', '0408', '02', '01', '04');
    const packet = fc
      .tuple(header, fc.uint8Array({ maxLength: 24 }))
      .map(([start, rest]) => Buffer.concat([hex(start), rest]));
    fc.assert(
      fc.property(fc.array(packet, { maxLength: 40 }), fc.boolean(), (packets, exclusive) => {
        const { pipe, central } = world(exclusive);
        central.send(hex(READ_ADDRESS));
        for (const each of packets) pipe.onPacket(each);
      }),
      { numRuns: 500 },
    );
  });
});
