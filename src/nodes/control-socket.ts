/**
 * How a person's command reaches a running daemon: `control.sock` of mode 0600 in the state directory, a JSON object a
 * line, answers that may stream events first. Owns socket file, bounds on peers and lines, and the lock that keeps two
 * daemons off one state directory. Must not know any method; who may connect is the file system's to say.
 */
import { rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { CpnsError, statusOfError } from '../base/errors.ts';
import { STATUSES, type Status } from '../base/statuses.ts';
import { makeDirectory } from '../security/durable-file.ts';
import { isBusy, openDatabase } from '../store/sqlite.ts';
import {
  type ControlReply,
  type ControlRequest,
  LineCutter,
  MAX_LINE_BYTES,
  parseReply,
  parseRequest,
} from './control-lines.ts';

export const CONTROL_SOCKET = 'control.sock';
/** sockaddr_un holds 108 bytes with the closing NUL. */
const MAX_PATH_BYTES = 107;
const MAX_PEERS = 16;
/** Requests one peer may have open. */
const MAX_OPEN_REQUESTS = 8;
/** What waits for a peer that does not read; past it the peer is cut off. */
const MAX_WAITING_BYTES = 4 * MAX_LINE_BYTES;

export interface ControlCall {
  readonly params: Readonly<Record<string, unknown>>;
  /** Sends one event before the answer. */
  readonly emit: (event: unknown) => void;
  /** Aborted when the client hangs up or the daemon stops. */
  readonly signal: AbortSignal;
}

export type ControlHandlers = Readonly<Record<string, (call: ControlCall) => unknown>>;

export interface ControlServer {
  readonly path: string;
  close(): Promise<void>;
}

/** No daemon answers at this place. */
export class NoDaemonError extends Error {
  override readonly name = 'NoDaemonError';
}

/** What a daemon answered that is no success. */
export class ControlError extends Error {
  override readonly name = 'ControlError';
  /** A status of the protocol, or `bad-request`. */
  readonly status: Status | 'bad-request';

  constructor(status: string, message: string) {
    super(message);
    this.status = status in STATUSES ? (status as Status) : status === 'bad-request' ? status : 'internal';
  }
}

/** The text of one parameter. @throws ControlError bad-request when it is missing or no text */
export function textParam(params: ControlCall['params'], name: string): string {
  const value = params[name];
  if (typeof value !== 'string') throw new ControlError('bad-request', `${name} has to be a text`);
  return value;
}

/** One yes or no; absent is no. @throws ControlError bad-request when it is neither */
export function flagParam(params: ControlCall['params'], name: string): boolean {
  const value = params[name] ?? false;
  if (typeof value !== 'boolean') throw new ControlError('bad-request', `${name} has to be true or false`);
  return value;
}

/**
 * Takes the state directory for this process until `release` or the end of the process, kill -9 included: a lock of the
 * operating system on a file of its own, so there is nothing stale to clean up. Creates the directory with mode 0700.
 * @throws CpnsError busy when another daemon has it
 */
export function lockState(stateDir: string): { release(): void } {
  makeDirectory(stateDir);
  try {
    const database = openDatabase(join(stateDir, 'lock.sqlite'), [], {
      busyTimeoutMs: 0,
      skipIntegrityCheck: true,
    });
    try {
      database.exec('BEGIN IMMEDIATE');
    } catch (error) {
      database.close();
      throw error;
    }
    return { release: () => database.close() };
  } catch (error) {
    if (!isBusy(error)) throw error;
    throw new CpnsError('busy', `another cpns daemon runs on ${stateDir}; stop it or use another --state`);
  }
}

/**
 * Serves the control socket of a state directory that this process has locked; a socket left by a dead daemon is
 * replaced.
 * @throws RangeError when the path is too long for a UNIX socket
 */
export async function serveControl(stateDir: string, handlers: ControlHandlers): Promise<ControlServer> {
  const path = controlPath(stateDir);
  rmSync(path, { force: true });
  const peers = new Set<Peer>();
  const server = createServer((socket) => {
    if (peers.size >= MAX_PEERS) {
      socket.on('error', () => {});
      socket.end(lineOf({ id: 0, error: { status: 'busy', message: 'too many control connections' } }));
      return;
    }
    const peer = new Peer(socket, handlers);
    peers.add(peer);
    socket.on('close', () => {
      peers.delete(peer);
      peer.end();
    });
  });
  await listen(server, path);
  return {
    path,
    close: () =>
      new Promise((resolve) => {
        for (const peer of peers) peer.end();
        server.close(() => resolve());
      }),
  };
}

function controlPath(stateDir: string): string {
  const path = join(stateDir, CONTROL_SOCKET);
  if (Buffer.byteLength(path) <= MAX_PATH_BYTES) return path;
  throw new RangeError(
    `${path} is longer than the ${MAX_PATH_BYTES} bytes of a UNIX socket; use a shorter --state`,
  );
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    // The file is made within this call, so it is never there with another mode than 0600.
    const umask = process.umask(0o177);
    server.listen(path, () => {
      server.off('error', reject);
      resolve();
    });
    process.umask(umask);
  });
}

function lineOf(reply: ControlReply): string {
  return `${JSON.stringify(reply)}\n`;
}

/** One connected client. */
class Peer {
  readonly #socket: Socket;
  readonly #handlers: ControlHandlers;
  readonly #gone = new AbortController();
  #open = 0;

  constructor(socket: Socket, handlers: ControlHandlers) {
    this.#socket = socket;
    this.#handlers = handlers;
    const cutter = new LineCutter();
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      if (cutter.push(chunk, (line) => this.#take(line))) return;
      this.#refuse(0, 'a line is too long');
      this.end();
    });
  }

  end(): void {
    this.#gone.abort();
    this.#socket.end();
    this.#socket.destroySoon();
  }

  #take(line: string): void {
    if (this.#gone.signal.aborted || line.trim() === '') return;
    const request = parseRequest(line);
    if (!request) {
      // Whoever does not speak the protocol is not listened to any longer.
      this.#refuse(0, 'not a request: a line is {"id":1,"method":"status","params":{}}');
      this.end();
    } else if (this.#open >= MAX_OPEN_REQUESTS) {
      this.#send({ id: request.id, error: { status: 'busy', message: 'too many open requests' } });
    } else void this.#answer(request);
  }

  async #answer({ id, method, params }: ControlRequest): Promise<void> {
    const handler = Object.hasOwn(this.#handlers, method) ? this.#handlers[method] : undefined;
    if (!handler)
      return this.#refuse(id, `no method of that name; there are ${Object.keys(this.#handlers).join(', ')}`);
    this.#open++;
    try {
      const emit = (event: unknown) => this.#send({ id, event });
      const result = await handler({ params, emit, signal: this.#gone.signal });
      this.#send({ id, result: result ?? null });
    } catch (error) {
      const status = error instanceof ControlError ? error.status : statusOfError(error);
      this.#send({ id, error: { status, message: error instanceof Error ? error.message : status } });
    } finally {
      this.#open--;
    }
  }

  #refuse(id: number, message: string): void {
    this.#send({ id, error: { status: 'bad-request', message } });
  }

  #send(reply: ControlReply): void {
    if (!this.#socket.writable) return;
    this.#socket.write(lineOf(reply));
    if (this.#socket.writableLength > MAX_WAITING_BYTES) this.#socket.destroy();
  }
}

export interface CallOptions {
  /** Called for each event before the answer. */
  readonly onEvent?: ((event: unknown) => void) | undefined;
  /** Hangs up and rejects with its reason. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * One question to the daemon of a state directory.
 * @throws NoDaemonError when none runs there; ControlError with what it answered
 */
export function callControl(
  stateDir: string,
  method: string,
  params: ControlCall['params'] = {},
  { onEvent, signal }: CallOptions = {},
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const socket = connect(controlPath(stateDir));
    const cutter = new LineCutter();
    const hangUp = () => finish(() => reject(signal?.reason));
    const finish = (settle: () => void) => {
      signal?.removeEventListener('abort', hangUp);
      socket.destroy();
      settle();
    };
    if (signal?.aborted) return hangUp();
    signal?.addEventListener('abort', hangUp);
    socket.on('error', (cause) => finish(() => reject(noDaemon(stateDir, cause))));
    socket.on('close', () =>
      finish(() => reject(new ControlError('shutting-down', 'the daemon hung up before it answered'))),
    );
    socket.write(`${JSON.stringify({ id: 1, method, params })}\n`);
    const take = (line: string) => {
      const reply = parseReply(line);
      if (!reply) return finish(() => reject(new ControlError('malformed', 'the daemon answered no JSON')));
      if ('event' in reply) onEvent?.(reply.event);
      else if ('result' in reply) finish(() => resolve(reply.result));
      else finish(() => reject(new ControlError(reply.error.status, reply.error.message)));
    };
    socket.on('data', (chunk) => {
      if (!cutter.push(chunk, take)) finish(() => reject(new ControlError('oversize', 'too long an answer')));
    });
  });
}

function noDaemon(stateDir: string, cause: Error): NoDaemonError {
  const code = 'code' in cause ? String(cause.code) : '';
  const why = code === 'EACCES' ? 'its socket may not be opened by this user' : 'no daemon runs there';
  return new NoDaemonError(`${stateDir}: ${why}`, { cause });
}
