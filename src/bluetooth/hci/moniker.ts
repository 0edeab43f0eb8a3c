/**
 * The names of controllers, as a user writes them: `hci:0`, `hci:0/user`, `hci:0/raw`, `h4:unix:PATH`,
 * `h4:tcp:HOST:PORT`, `virtual`, `virtual:PATH`. Owns parsing and the default place of the virtual radio. Opens nothing.
 */
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';

export type Moniker =
  /**
   * A Linux adapter. `raw` shares it with the kernel's stack; `user` takes it from the kernel for as long as it is open;
   * undefined is what the adapter's firmware profile says for the running kernel.
   */
  | { readonly kind: 'hci'; readonly index: number; readonly channel: 'raw' | 'user' | undefined }
  | { readonly kind: 'unix'; readonly path: string; readonly virtual: boolean }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number };

/** The text is no moniker. Misuse by the user, not a fault of the radio. */
export class MonikerError extends Error {
  override readonly name = 'MonikerError';
}

/** sockaddr_un holds 108 bytes with the closing NUL. */
const MAX_SOCKET_PATH_BYTES = 107;
const FORMS = 'hci:N, hci:N/user, hci:N/raw, h4:unix:PATH, h4:tcp:HOST:PORT, virtual or virtual:PATH';

/** Where the virtual radio listens when nobody says otherwise: private to the user. */
export function defaultRadioPath(environment: NodeJS.ProcessEnv = process.env): string {
  const { XDG_RUNTIME_DIR: runtime } = environment;
  const directory = runtime ? join(runtime, 'cpns') : join(tmpdir(), `cpns-${userInfo().uid}`);
  return join(directory, 'radio.sock');
}

/**
 * Reads a moniker.
 * @throws MonikerError saying what is wrong and which forms there are
 */
export function parseMoniker(text: string): Moniker {
  const colon = text.indexOf(':');
  const scheme = colon < 0 ? text : text.slice(0, colon);
  const rest = colon < 0 ? undefined : text.slice(colon + 1);
  if (scheme === 'hci') return parseAdapter(text, rest);
  if (scheme === 'virtual') {
    return { kind: 'unix', path: socketPath(text, rest ?? defaultRadioPath()), virtual: true };
  }
  if (scheme === 'h4' && rest?.startsWith('unix:')) {
    return { kind: 'unix', path: socketPath(text, rest.slice('unix:'.length)), virtual: false };
  }
  if (scheme === 'h4' && rest?.startsWith('tcp:')) return parseTcp(text, rest.slice('tcp:'.length));
  throw new MonikerError(`"${text}" names no controller; write ${FORMS}`);
}

/** The text that `parseMoniker` reads back as the same moniker. */
export function formatMoniker(moniker: Moniker): string {
  switch (moniker.kind) {
    case 'hci':
      return `hci:${moniker.index}${moniker.channel === undefined ? '' : `/${moniker.channel}`}`;
    case 'unix':
      return `${moniker.virtual ? 'virtual' : 'h4:unix'}:${moniker.path}`;
    case 'tcp':
      return `h4:tcp:${moniker.host.includes(':') ? `[${moniker.host}]` : moniker.host}:${moniker.port}`;
  }
}

function parseAdapter(text: string, rest: string | undefined): Moniker {
  const match = /^(\d{1,3})(?:\/(user|raw))?$/.exec(rest ?? '');
  if (!match) {
    throw new MonikerError(`"${text}": the adapter is a number, as in hci:0, hci:0/user or hci:0/raw`);
  }
  return { kind: 'hci', index: Number(match[1]), channel: match[2] as 'user' | 'raw' | undefined };
}

function parseTcp(text: string, rest: string): Moniker {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(rest);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (!host || !(port >= 1 && port <= 65_535)) {
    throw new MonikerError(`"${text}": write h4:tcp:HOST:PORT with a port from 1 to 65535`);
  }
  return { kind: 'tcp', host, port };
}

function socketPath(text: string, path: string): string {
  if (path === '') throw new MonikerError(`"${text}": the path of the socket is missing`);
  if (path.includes('\0')) throw new MonikerError('the path of the socket holds a NUL');
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES) {
    throw new MonikerError(`"${text}": the path of a UNIX socket has at most ${MAX_SOCKET_PATH_BYTES} bytes`);
  }
  return path;
}
