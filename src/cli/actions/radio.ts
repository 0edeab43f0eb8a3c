/**
 * `cpns radio`: the virtual radio as a program of its own, until Ctrl-C.
 */
import { openVirtualRadio, type VirtualRadio } from '../../bluetooth/virtual-radio/server.ts';
import { EXIT, UsageError } from '../exit-codes.ts';

interface Options {
  readonly socket?: string;
  readonly vhci?: number;
  readonly interval?: number;
  readonly packets: number;
  readonly seed: number;
  readonly advertLoss?: number;
  readonly linkLoss?: number;
  readonly dropAt?: number;
  readonly latency?: number;
  readonly maxMtu?: number;
}

export async function radio(options: Options): Promise<void> {
  const virtual = await openVirtualRadio({
    path: options.socket,
    intervalMs: options.interval,
    packetsPerEvent: options.packets,
    seed: options.seed,
    faults: {
      advertLossProbability: options.advertLoss,
      linkLossProbability: options.linkLoss,
      dropLinkAtPacket: options.dropAt,
      extraLatencyMs: options.latency,
      maxAttMtu: options.maxMtu,
    },
  });
  process.stderr.write(`virtual radio on ${virtual.path}; adapters use ${virtual.moniker}; Ctrl-C ends\n`);
  try {
    plugIn(virtual, options.vhci ?? 0);
  } catch (error) {
    await virtual.close();
    throw error;
  }
  const interrupted = await new Promise<boolean>((resolve) => {
    process.once('SIGINT', () => resolve(true));
    process.once('SIGTERM', () => resolve(false));
  });
  process.stderr.write(`${JSON.stringify(virtual.counters())}\n`);
  await virtual.close();
  process.exitCode = interrupted ? EXIT.interrupted : EXIT.ok;
}

function plugIn(virtual: VirtualRadio, count: number): void {
  for (let i = 0; i < count; i++) {
    try {
      const { index } = virtual.plugIntoKernel();
      process.stderr.write(`plugged in as hci${index}\n`);
    } catch (cause) {
      const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'EUNKNOWN';
      throw new UsageError(
        `this kernel takes no virtual adapter (${code}): run \`sudo modprobe hci_vhci\`, and this command as root`,
      );
    }
  }
}
