/**
 * Adapters as people name them on the command line: `hci0` as the kernel does, or any moniker. Owns that one
 * convenience; what a moniker is stands in src/bluetooth/hci/moniker.ts.
 */
import { formatMoniker, parseMoniker } from '../bluetooth/hci/moniker.ts';

/**
 * The moniker of a name: `hci0` is `hci:0`, `hci0/user` is `hci:0/user` and so on; everything else is one already.
 * @throws MonikerError
 */
export function monikerOf(name: string): string {
  const kernel = /^hci(\d{1,3})(\/user|\/raw)?$/.exec(name);
  return formatMoniker(parseMoniker(kernel ? `hci:${Number(kernel[1])}${kernel[2] ?? ''}` : name));
}
