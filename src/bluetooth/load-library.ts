/**
 * Loads a private copy of noble or bleno on a given transport. All build a BluetoothHciSocket of their own and keep
 * module singletons; so for the time of one `require` that package's name is answered with our transport, and the
 * library's modules are taken out of the cache before and after. Synchronous, so nothing else can load in between.
 * The socket's package of the fork hands out its constructors by `loadDriver`, and need not be installed.
 */
import Module, { createRequire } from 'node:module';
import { dirname, sep } from 'node:path';
import { HCI_SOCKET_PACKAGE } from './hci/native-socket.ts';
import type { HciTransport } from './hci/transport.ts';
import { backEndMissing } from './hci/unavailable.ts';

const SOCKET_PACKAGES: readonly string[] = [HCI_SOCKET_PACKAGE, '@stoprocent/bluetooth-hci-socket'];

type Load = (request: string, parent: { filename?: string } | undefined, isMain: boolean) => unknown;

/**
 * @param packageName the library
 * @param load given `require` for files of the library, by path within it; returns what the caller needs
 * @throws BluetoothUnavailableError when the package is not installed
 */
export function loadPrivately<T>(
  packageName: string,
  transport: HciTransport,
  load: (requireFile: (path: string) => unknown) => T,
): T {
  const require = createRequire(import.meta.url);
  const root = dirname(resolvePackage(require, packageName, transport.name)) + sep;
  const isOwn = (file: string): boolean =>
    file.startsWith(root) && !file.includes(`${sep}node_modules${sep}`, root.length - 1);
  const loader = Module as unknown as { _load: Load };
  const originalLoad = loader._load;
  // Constructors: `new F()` yields the object that F returns.
  function HciSocket(): unknown {
    return transport;
  }
  HciSocket.loadDriver = () => HciSocket;
  function ManagementSocket(): unknown {
    return transport.managementSocket();
  }
  const cached = Object.entries(require.cache).filter(([file]) => isOwn(file));
  for (const [file] of cached) delete require.cache[file];
  loader._load = function (request, parent, isMain) {
    const from = parent?.filename ?? '';
    if (!SOCKET_PACKAGES.includes(request) || !isOwn(from))
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

/** Loads with a transport that is closed again when that fails. */
export function loadOn<T>(transport: HciTransport, load: (transport: HciTransport) => T): T {
  try {
    return load(transport);
  } catch (error) {
    transport.close();
    throw error;
  }
}

function resolvePackage(require: NodeJS.Require, packageName: string, controller: string): string {
  try {
    return require.resolve(`${packageName}/package.json`);
  } catch (cause) {
    throw backEndMissing(controller, packageName, cause);
  }
}
