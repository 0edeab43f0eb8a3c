/**
 * Loads a private copy of noble or bleno on a given transport. Both build a BluetoothHciSocket of their own and keep
 * module singletons; so for the time of one `require` that package's name is answered with our transport, and the
 * library's modules are taken out of the cache before and after. Synchronous, so nothing else can load in between.
 */
import Module, { createRequire } from 'node:module';
import { dirname, sep } from 'node:path';
import { HCI_SOCKET_PACKAGE } from './hci/native-pipe.ts';
import type { HciTransport } from './hci/transport.ts';

type Load = (request: string, parent: { filename?: string } | undefined, isMain: boolean) => unknown;

/**
 * @param packageName the library
 * @param load given `require` for files of the library, by path within it; returns what the caller needs
 */
export function loadPrivately<T>(
  packageName: string,
  transport: HciTransport,
  load: (requireFile: (path: string) => unknown) => T,
): T {
  const require = createRequire(import.meta.url);
  const root = dirname(require.resolve(`${packageName}/package.json`)) + sep;
  const isOwn = (file: string): boolean =>
    file.startsWith(root) && !file.includes(`${sep}node_modules${sep}`, root.length - 1);
  const loader = Module as unknown as { _load: Load };
  const originalLoad = loader._load;
  // Constructors: `new F()` yields the object that F returns.
  function HciSocket(): unknown {
    return transport;
  }
  function ManagementSocket(): unknown {
    return transport.managementSocket();
  }
  const cached = Object.entries(require.cache).filter(([file]) => isOwn(file));
  for (const [file] of cached) delete require.cache[file];
  loader._load = function (request, parent, isMain) {
    const from = parent?.filename ?? '';
    if (request !== HCI_SOCKET_PACKAGE || !isOwn(from))
      return originalLoad.call(this, request, parent, isMain);
    return from.endsWith('mgmt.js') ? ManagementSocket : HciSocket;
  };
  try {
    return load((path) => require(root + path));
  } finally {
    loader._load = originalLoad;
    for (const file of Object.keys(require.cache)) if (isOwn(file)) delete require.cache[file];
    for (const [file, module] of cached) require.cache[file] = module;
  }
}
