/** A process that did not run for a while finds the deadline of a command past and the answer waiting. */
import assert from 'node:assert/strict';
import type { HciPipe } from '../../src/bluetooth/hci/pipe.ts';
import { HciTransport } from '../../src/bluetooth/hci/transport.ts';

/** HCI Command Complete for an opcode, status 0, one command allowed. */
const complete = (opcode: number): Buffer =>
  Buffer.from([0x04, 0x0e, 0x04, 0x01, opcode & 0xff, opcode >> 8, 0x00]);

/** Longer than a command may take. */
const AWAY_MS = 4_200;

describe('a starved process', function () {
  this.timeout(20_000);

  function open(): { transport: HciTransport; pipe: HciPipe; gone: () => boolean } {
    const pipe: HciPipe = {
      exclusive: true,
      send: () => {},
      close: () => {},
      isUp: () => true,
      onPacket: () => {},
      onEnd: () => {},
    };
    const transport = new HciTransport('test', pipe);
    let isGone = false;
    transport.on('gone', () => {
      isGone = true;
    });
    return { transport, pipe, gone: () => isGone };
  }

  it('reads the answer that waits for it before it calls the controller dead', async () => {
    const { transport, pipe, gone } = open();
    transport.disconnectHandle(1, 0x13);
    // Of the next turn the timers come first, then what was received.
    setImmediate(() => pipe.onPacket(complete(0x0406)));
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, AWAY_MS);
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    assert.equal(gone(), false);
    transport.close();
  });

  it('calls one dead that does not answer all the same', async () => {
    const { transport, gone } = open();
    const ended = new Promise((resolve) => transport.once('gone', resolve));
    transport.disconnectHandle(1, 0x13);
    // Its timers keep no process alive.
    const alive = setInterval(() => {}, 1_000);
    await ended;
    clearInterval(alive);
    assert.ok(gone());
  });
});
