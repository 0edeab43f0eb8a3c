/**
 * The radio of a benchmark and how its parties reach it: each over a socket, or each over an adapter of this kernel behind
 * which the same radio is. Owns the radio's lifetime; measures nothing.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openVirtualRadio, type VirtualRadio, type VirtualRadioOptions } from '../../src/bluetooth/open.ts';
import { loadKernelBluetooth, settled } from '../../test/guest/kernel.ts';

export interface Air {
  readonly radio: VirtualRadio;
  /** What a party opens, always the same for the same party. */
  moniker(party: string): Promise<string>;
  close(): Promise<void>;
}

/** @param kernel whether parties get adapters of this kernel: as root, where there is a module hci_vhci */
export async function openAir(options: VirtualRadioOptions, kernel: boolean): Promise<Air> {
  const directory = mkdtempSync(join(tmpdir(), 'cpns-bench-'));
  const radio = await openVirtualRadio({ path: join(directory, 'radio.sock'), ...options });
  const adapters = new Map<string, string>();
  const plugIn = async (): Promise<string> => {
    loadKernelBluetooth();
    const { index } = radio.plugIntoKernel();
    await settled([index]);
    return `hci:${index}/user`;
  };
  return {
    radio,
    async moniker(party) {
      if (!kernel) return radio.moniker;
      const moniker = adapters.get(party) ?? (await plugIn());
      adapters.set(party, moniker);
      return moniker;
    },
    async close() {
      await radio.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
