/** What is read off a capture: packets as controllers of both generations send them, and bytes that mean nothing. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BtsnoopWriter } from '../../src/bluetooth/hci/btsnoop.ts';
import { BtsnoopError } from '../../src/bluetooth/hci/btsnoop-reader.ts';
import { readInstants } from '../../src/hil/instants.ts';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');
const SENT = {
  create: hex('01 0d20 19 6000 3000 00 01 d1d2d3d4d5d6 01 0600 0c00 0000 c800 0000 0000'),
  createExtended: hex('01 4320 01 00'),
};
const RECEIVED = {
  advert: hex('04 3e 0f 02 01 00 01 d1d2d3d4d5d6 03 020106 c4'),
  advertExtended: hex('04 3e 1a 0d 01 1300 01 e1e2e3e4e5e6 01 00 ff 7f ba 0000 00 000000000000 00'),
  connected: hex('04 3e 13 01 00 4000 00 01 d1d2d3d4d5d6 0600 0000 c800 00'),
  mtuRequest: hex('02 4000 0700 0300 0400 02 f700'),
  mtuResponse: hex('02 4020 0700 0300 0400 03 b900'),
  length: hex('04 3e 0b 07 4000 fb00 4808 fb00 4808'),
  disconnected: hex('04 05 04 00 4000 08'),
  refused: hex('04 3e 13 01 02 0000 00 00 000000000000 0000 0000 0000 00'),
  enhanced: hex('04 3e 1f 0a 00 4100 00 01 e1e2e3e4e5e6 000000000000 000000000000 1800 0100 2a00 00'),
};

describe('instants of a capture', () => {
  const dir = mkdtempSync(join(tmpdir(), 'cpns-instants-'));
  const file = join(dir, 'c.btsnoop');
  const writer = new BtsnoopWriter(file);
  for (const [packet, received] of [
    [RECEIVED.advert, true],
    [RECEIVED.advertExtended, true],
    [SENT.create, false],
    // The kernel's echo of another program's command is none of ours.
    [SENT.create, true],
    [RECEIVED.connected, true],
    [RECEIVED.mtuRequest, false],
    [RECEIVED.mtuResponse, true],
    [RECEIVED.length, true],
    [RECEIVED.disconnected, true],
    [SENT.createExtended, false],
    [RECEIVED.refused, true],
    [SENT.createExtended, false],
    [RECEIVED.enhanced, true],
  ] as const)
    writer.record(packet, received);
  writer.close();
  const writtenAtMs = Date.now();
  const capture = readFileSync(file);
  after(() => rmSync(dir, { recursive: true, force: true }));

  it('are those of the links, with parameters, reasons and strengths', () => {
    const { askedAtMs, links, heard } = readInstants(capture);
    assert.equal(askedAtMs.length, 3);
    assert.deepEqual(
      [...heard],
      [
        ['d6:d5:d4:d3:d2:d1', [-60]],
        ['e6:e5:e4:e3:e2:e1', [-70]],
      ],
    );
    const [first, second] = links;
    assert.equal(links.length, 2);
    assert.deepEqual(
      { ...first, upAtMs: 0, downAtMs: 0 },
      {
        ...{ upAtMs: 0, peer: 'd6:d5:d4:d3:d2:d1', intervalMs: 7.5, latency: 0, supervisionMs: 2000 },
        ...{ mtu: 185, packetBytes: 251, downAtMs: 0, reason: 8 },
      },
    );
    assert.deepEqual(
      [second?.peer, second?.intervalMs, second?.latency, second?.supervisionMs, second?.downAtMs],
      ['e6:e5:e4:e3:e2:e1', 30, 1, 420, null],
    );
    assert.ok(Math.abs((first?.upAtMs ?? 0) - writtenAtMs) < 60_000);
  });

  it('any byte may be another, or missing: figures or an error of ours, never a crash', () => {
    for (let at = 16; at < capture.length; at++) {
      for (const bytes of [Buffer.from(capture), Buffer.from(capture.subarray(0, at))]) {
        if (at < bytes.length) bytes[at] = (bytes[at] ?? 0) ^ 0xff;
        try {
          readInstants(bytes);
        } catch (error) {
          assert.ok(error instanceof BtsnoopError, `${error} at ${at}`);
        }
      }
    }
  });
});
