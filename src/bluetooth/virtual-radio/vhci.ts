/**
 * Controllers of the virtual radio as adapters of the Linux kernel, through /dev/vhci (module hci_vhci): what the kernel,
 * bluetoothd and any program then see is `hciN`. Owns the device file and its framing; must not know what a packet means.
 * Source: Linux drivers/bluetooth/hci_vhci.c; what was measured: ble-notes.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { H4Framer, MAX_H4_PACKET_BYTES } from '../hci/h4.ts';
import type { Controller } from './controller.ts';
import type { Radio } from './radio.ts';

const DEVICE = '/dev/vhci';
/** HCI_VENDOR_PKT: how the driver is asked for an adapter, and answers with its index. */
const VENDOR_PACKET = 0xff;
const PRIMARY_CONTROLLER = 0x00;
const ANSWER_BYTES = 4;
/**
 * Reads the device (3) into its output. When whoever started it is gone, however that came, its input ends: then the reader
 * ends too and the adapter vanishes, which would otherwise outlive us.
 */
const READER = 'cat <&3 3<&- & exec 3<&-; read -r _; kill "$!"';

export interface KernelAdapter {
  /** N of `hciN`. */
  readonly index: number;
  readonly controller: Controller;
  /** The adapter vanishes from the kernel, as when it is pulled out. */
  unplug(): void;
}

/**
 * Plugs one more controller of the radio into the kernel.
 * @throws Error of the system: `ENOENT` without the module (`modprobe hci_vhci`), `EACCES` without root
 */
export function plugIntoKernel(radio: Radio): KernelAdapter {
  const descriptor = openSync(DEVICE, 'r+');
  const early: Buffer[] = [];
  writeSync(descriptor, Buffer.from([VENDOR_PACKET, PRIMARY_CONTROLLER]));
  const index = readIndex(descriptor, early);
  let reader: ChildProcess | undefined;
  const unplug = (): void => {
    if (reader === undefined) return;
    const running = reader;
    reader = undefined;
    radio.detach(controller);
    // The adapter lives until the last descriptor is closed.
    killGroup(running);
    closeSync(descriptor);
  };
  const controller = radio.attach({
    // One write is one packet, and the driver only queues it.
    send(packet) {
      if (reader === undefined) return true;
      try {
        writeSync(descriptor, packet);
      } catch (error) {
        // An adapter that is down takes nothing: what was under way to it is lost, as with one of hardware.
        if (!isDown(error)) unplug();
      }
      return true;
    },
    close: () => unplug(),
  });
  // A read of this device blocks, and a blocked read in Node's thread pool could never be ended; another process can.
  const child = spawn('sh', ['-c', READER], {
    stdio: ['pipe', 'pipe', 'inherit', descriptor],
    detached: true,
  });
  child.stdin?.on('error', () => {});
  reader = child;
  const framer = new H4Framer('to-controller');
  child.stdout?.on('data', (chunk: Buffer) => {
    try {
      framer.push(chunk, (packet) => controller.receive(packet));
    } catch {
      unplug();
    }
  });
  child.on('exit', () => unplug());
  for (const packet of early) controller.receive(packet);
  return { index, controller, unplug };
}

function killGroup({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch {
    // It is gone already.
  }
}

/** hci_recv_frame(): neither up nor being set up. */
const isDown = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'ENXIO';

/** The kernel's first command may come before the driver's answer. */
function readIndex(descriptor: number, early: Buffer[]): number {
  for (;;) {
    const packet = Buffer.alloc(MAX_H4_PACKET_BYTES);
    const length = readSync(descriptor, packet);
    if (packet[0] === VENDOR_PACKET && length === ANSWER_BYTES) return packet.readUInt16LE(2);
    early.push(packet.subarray(0, length));
  }
}
