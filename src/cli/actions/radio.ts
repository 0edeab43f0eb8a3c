/**
 * `cpns radio`: the virtual radio as a program of its own, until Ctrl-C.
 */
import { openVirtualRadio } from '../../bluetooth/virtual-radio/server.ts';
import { EXIT } from '../exit-codes.ts';

interface Options {
  readonly socket?: string;
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
  const interrupted = await new Promise<boolean>((resolve) => {
    process.once('SIGINT', () => resolve(true));
    process.once('SIGTERM', () => resolve(false));
  });
  process.stderr.write(`${JSON.stringify(virtual.counters())}\n`);
  await virtual.close();
  process.exitCode = interrupted ? EXIT.interrupted : EXIT.ok;
}
