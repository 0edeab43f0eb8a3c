/**
 * The hardware suite on the kernel of the guest: two adapters of one host, real AF_BLUETOOTH sockets, our controllers
 * behind them.
 */
// guest: --memory 1536 --timeout 900
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { figuresOf } from '../../src/hil/report.ts';
import { runSuite } from '../../src/hil/suite.ts';
import { MAIN } from '../hil/command.ts';
import { loadKernelBluetooth, OUT, settled, startRadio } from './kernel.ts';

describe('hardware in the loop, on the kernel of the guest', function () {
  this.timeout(600_000);
  before(loadKernelBluetooth);

  it('a link that is lost makes a failed run with its captures, and the next one is well', async () => {
    const radio = await startRadio(2, { intervalMs: 7.5 });
    try {
      await settled(radio.indices);
      const [gatewayAdapter = '', pneAdapter = ''] = radio.indices.map((index) => `hci:${index}/user`);
      const { report } = await runSuite({
        ...{ gatewayAdapter, pneAdapters: [pneAdapter], runs: 3, keep: join(OUT, 'kept') },
        localCommand: [process.execPath, MAIN],
        signal: new AbortController().signal,
        onProgress: () => {},
        onPhase: (phase, run) => {
          if (run !== 2 || phase !== 'to-pne') return;
          const link = radio.counters().links.find(({ open }) => open);
          assert.ok(link && radio.dropLink(link.central, link.peripheral));
        },
      });
      assert.deepEqual(
        report.runs.map(({ ok }) => ok),
        [true, false, true],
      );
      assert.equal(figuresOf(report).succeeded, 2);
      assert.equal(report.runs[1]?.failure?.phase, 'to-pne');
      assert.deepEqual(readdirSync(join(OUT, 'kept')).sort(), [
        ...['run-2-gateway.btsnoop', 'run-2-pne.btsnoop', 'run-2.keys', 'run-2.txt'],
      ]);
    } finally {
      await radio.close();
    }
  });
});
