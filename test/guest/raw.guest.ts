/**
 * Adapters that are shared with the kernel (raw mode), on our radio behind /dev/vhci: what noble and bleno do there, what
 * other programs do to them, and that the kernel stays well whatever way a process with a link ends.
 */
// guest: --timeout 540
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { closed, flood, settles, sightingOf } from '../bluetooth/support.ts';
import {
  bothOn,
  centralOn,
  closePorts,
  gone,
  linked,
  longestStandstill,
  peripheralOn,
  timed,
} from './adapter-ports.ts';
import {
  command,
  kernelComplaints,
  loadKernelBluetooth,
  powerUp,
  powerUpAgain,
  startBluetoothd,
  startRadioProcess,
} from './kernel.ts';

const PARTY = join(import.meta.dirname, 'raw-party.js');
/** The kernel ends a link that nobody holds any more after 2 s, 4 s where it was not the one to connect. */
const KERNEL_LETS_GO_MS = 6_000;
/** The watch looks twice a second; the guest is slow. */
const NOTICED_MS = 2_000;

/** The process of ours that holds the links of hciN. */
function holderOf(index: number): number {
  const holders = readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    const { parent, words } = processOf(pid);
    return (
      parent === process.pid &&
      words.some((word) => /holding-process/.test(word)) &&
      words.at(-1) === `${index}`
    );
  });
  assert.equal(holders.length, 1);
  return Number(holders[0]);
}

function processOf(pid: string): { readonly parent: number; readonly words: readonly string[] } {
  try {
    const parent = /^PPid:\s*(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').filter(Boolean);
    return { parent: Number(parent), words };
  } catch {
    return { parent: 0, words: [] };
  }
}

describe('adapters shared with the kernel', function () {
  this.timeout(60_000);
  let radio: Awaited<ReturnType<typeof startRadioProcess>>;
  const raw = (n: number) => `hci:${radio.indices[n]}/raw`;
  const hci = (n: number) => `hci${radio.indices[n]}`;

  before(async () => {
    loadKernelBluetooth();
    radio = await startRadioProcess(3);
    await powerUp(radio.indices);
  });
  // bluetoothd powers off what it had when it ends.
  beforeEach(() => powerUpAgain(radio.indices));
  after(() => radio.stop());
  afterEach(async () => {
    await closePorts();
    assert.deepEqual(kernelComplaints(), []);
  });

  it('link, carry segments both ways in order, and end in order from either side', async () => {
    const peripheral = await peripheralOn(raw(1), 1);
    const central = await centralOn(raw(0));
    for (const side of ['central', 'peripheral'] as const) {
      const { address } = await sightingOf(central, 1);
      const [up, down] = await linked(central, peripheral, address);
      assert.equal(up.maxSegmentBytes, 244);
      const expected = Array.from({ length: 100 }, (_, i) => i);
      assert.deepEqual(await Promise.all([flood(up, down, 100), flood(down, up, 100)]), [expected, expected]);
      const ends = Promise.all([closed(up), closed(down)]);
      await (side === 'central' ? up : down).close();
      assert.deepEqual(await ends, side === 'central' ? [0x16, 0x13] : [0x13, 0x16]);
    }
  });

  it('stay up for long after they are made: the kernel does not end a link that it believes unused', async () => {
    const peripheral = await peripheralOn(raw(1), 1, { randomAddress: true });
    const central = await centralOn(raw(0), { randomAddress: true });
    const { address } = await sightingOf(central, 1);
    const [up, down] = await linked(central, peripheral, address);
    // The gateway's own address is no more shown than it is in user-channel mode.
    assert.equal(Number.parseInt(down.peerAddress.slice(0, 2), 16) & 0xc0, 0xc0);
    const ends = Promise.race([closed(up), closed(down)]);
    assert.equal(await settles(ends, 2 * KERNEL_LETS_GO_MS), 'pending');
    assert.equal((await flood(up, down, 10)).length, 10);
  });

  it('a process that ends in any way ends its link, and the kernel has nothing to say', async function () {
    this.timeout(240_000);
    const peripheral = await peripheralOn(raw(1), 1);
    for (const how of ['close', 'exit', 'throw', 'SIGTERM', 'SIGKILL', 'exit', 'SIGKILL'] as const) {
      const child = spawn(process.execPath, [PARTY, raw(0)], { stdio: ['pipe', 'pipe', 'ignore'] });
      const exited = once(child, 'exit');
      assert.notEqual(await settles(once(child.stdout, 'data'), 30_000), 'pending', `${how}: no link`);
      const ended = timed(closed(await peripheral.nextLink()));
      if (how === 'SIGTERM' || how === 'SIGKILL') child.kill(how);
      else child.stdin.write(`${how}\n`);
      assert.notEqual(await settles(exited, 20_000), 'pending', `${how}: the process`);
      assert.notEqual(await settles(ended, 20_000), 'pending', `${how}: the link`);
      const { ms } = await ended;
      assert.ok(ms < KERNEL_LETS_GO_MS, `${how}: ${ms} ms`);
      assert.deepEqual(kernelComplaints(), [], how);
    }
  });

  it('a peer that has gone costs its deadline and nothing else: the process goes on, and so do other links', async () => {
    const vanished = await peripheralOn(raw(1), 1);
    const peripheral = await peripheralOn(raw(2), 2);
    const central = await centralOn(raw(0));
    const { address } = await sightingOf(central, 1);
    const other = await sightingOf(central, 2);
    await vanished.stopAdvertising();
    const standstill = await longestStandstill(async () => {
      const attempt = central.connect(address, { deadlineMs: 1500 });
      const { ms, value } = await timed(
        attempt.then(
          () => 'linked',
          (error) => error.status,
        ),
      );
      assert.equal(value, 'timeout');
      assert.ok(ms < 4000, `${ms} ms`);
    });
    // The package's own way stands still for the 20 s that the kernel tries.
    assert.ok(standstill < 2000, `${standstill} ms`);
    await linked(central, peripheral, other.address);
  });

  it('a process that is stuck while it holds links is relieved of them: they stay, and so does a new one', async () => {
    const [first, second] = [await peripheralOn(raw(1), 1), await peripheralOn(raw(2), 2)];
    const central = await centralOn(raw(0));
    const addresses = [await sightingOf(central, 1), await sightingOf(central, 2)].map(
      ({ address }) => address,
    );
    const [up, down] = await linked(central, first, addresses[0] ?? '');
    assert.equal(await settles(closed(up), KERNEL_LETS_GO_MS), 'pending');
    const stuck = holderOf(radio.indices[0] ?? -1);
    process.kill(stuck, 'SIGSTOP');
    const standstill = await longestStandstill(async () => {
      const [next, atSecond] = await linked(central, second, addresses[1] ?? '');
      const ends = Promise.race([up, down].map(closed));
      assert.equal(await settles(ends, 2 * KERNEL_LETS_GO_MS), 'pending');
      // The kernel may have ended the new one, since nobody knows whether it was stuck for that; nothing worse.
      assert.equal((await flood(up, down, 10)).length, 10);
      await Promise.all([next.close(), settles(closed(atSecond), KERNEL_LETS_GO_MS)]);
    });
    assert.ok(standstill < 2000, `${standstill} ms`);
    assert.notEqual(holderOf(radio.indices[0] ?? -1), stuck);
  });

  it('a process that holds links and ends ends the port with that reason', async () => {
    const lost = gone();
    const peripheral = await peripheralOn(raw(1), 1);
    const central = await centralOn(raw(0), { onGone: lost.onGone });
    const [up] = await linked(central, peripheral, (await sightingOf(central, 1)).address);
    const ended = closed(up);
    process.kill(holderOf(radio.indices[0] ?? -1), 'SIGKILL');
    assert.match(await lost.came, /holds the links/);
    assert.equal(await ended, 0x08);
  });

  it('a scan and an announcement that another program ends are taken up again', async () => {
    const peripheral = await peripheralOn(raw(1), 1);
    const central = await centralOn(raw(0), { scanSilenceMs: 60_000 });
    let heard = 0;
    await central.startScan(() => heard++);
    await command('hcitool', '-i', hci(0), 'cmd', '0x08', '0x000c', '00', '00');
    const next = async (limitMs: number) => {
      await new Promise((resolve) => setTimeout(resolve, 500)); // what was under way is through
      const before = heard;
      return settles(
        new Promise<void>((resolve) => {
          const timer = setInterval(() => {
            if (heard <= before + 1) return;
            clearInterval(timer);
            resolve();
          }, 20);
        }),
        limitMs,
      );
    };
    assert.notEqual(await next(20_000), 'pending', 'scan');
    await command('hcitool', '-i', hci(1), 'cmd', '0x08', '0x000a', '00');
    assert.notEqual(await next(5_000), 'pending', 'advertising');
    const { address } = await sightingOf(central, 1);
    await linked(central, peripheral, address);
  });

  it('a bluetoothd that comes later and takes every adapter leaves links and announcements', async () => {
    const peripheral = await peripheralOn(raw(1), 1);
    await peripheralOn(raw(2), 3);
    const central = await centralOn(raw(0));
    const [up, down] = await linked(central, peripheral, (await sightingOf(central, 1)).address);
    const ends = Promise.race([closed(up), closed(down)]);
    const bluetoothd = await startBluetoothd();
    try {
      assert.equal(await settles(ends, 5_000), 'pending');
      assert.equal((await flood(up, down, 20)).length, 20);
      assert.notEqual(await settles(sightingOf(central, 3), 5_000), 'pending');
    } finally {
      await bluetoothd.stop();
    }
  });

  it('a reset by another program ends links and port with that reason, and it can be opened again', async () => {
    const lost = gone();
    const peripheral = await peripheralOn(raw(1), 1);
    const central = await centralOn(raw(0), { onGone: lost.onGone });
    const { address } = await sightingOf(central, 1);
    const [up] = await linked(central, peripheral, address);
    const ended = closed(up);
    await command('hciconfig', hci(0), 'reset');
    const { ms, value } = await timed(lost.came);
    assert.match(value, /reset/);
    assert.ok(ms < NOTICED_MS, `${ms} ms`);
    assert.equal(await ended, 0x08);
    const again = await centralOn(raw(0));
    await linked(again, peripheral, (await sightingOf(again, 1)).address);
  });

  it('an adapter that is taken down is gone until it is up again', async () => {
    const lost = [gone(), gone()] as const;
    const peripheral = await peripheralOn(raw(1), 1, { onGone: lost[1].onGone });
    const central = await centralOn(raw(0), { onGone: lost[0].onGone });
    const { address } = await sightingOf(central, 1);
    const ends = Promise.all((await linked(central, peripheral, address)).map(closed));
    const noticed = timed(Promise.all(lost.map(({ came }) => came)));
    await Promise.all([0, 1].map((n) => command('hciconfig', hci(n), 'down')));
    const { ms, value } = await noticed;
    for (const why of value) assert.match(why, /down/);
    assert.ok(ms < NOTICED_MS, `${ms} ms`);
    await ends;
    await assert.rejects(centralOn(raw(0)), { code: 'ENETDOWN' });
    await powerUpAgain(radio.indices);
    const next = await peripheralOn(raw(1), 2);
    const again = await centralOn(raw(0));
    await linked(again, next, (await sightingOf(again, 2)).address);
  });

  it('carry both roles at once on one adapter', async () => {
    const host = await bothOn(raw(0), 1);
    const pne = await peripheralOn(raw(1), 2);
    const gateway = await centralOn(raw(2));
    const [down, up] = [await sightingOf(host.central, 2), await sightingOf(gateway, 1)];
    const [toPne, atPne] = await linked(host.central, pne, down.address);
    const [toHost, atHost] = await linked(gateway, host.peripheral, up.address);
    const floods = await Promise.all([
      flood(toPne, atPne, 50),
      flood(atPne, toPne, 50),
      flood(toHost, atHost, 50),
      flood(atHost, toHost, 50),
    ]);
    for (const numbers of floods) assert.equal(numbers.length, 50);
    await toHost.close();
    assert.equal((await flood(toPne, atPne, 10)).length, 10);
    await linked(gateway, host.peripheral, (await sightingOf(gateway, 1)).address);
  });
});
