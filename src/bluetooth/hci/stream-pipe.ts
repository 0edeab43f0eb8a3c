/**
 * H4 over a byte stream: a UNIX or TCP socket with a controller behind it. Owns connecting, framing and batching of
 * writes. Bytes that are not H4 end the pipe, they never throw.
 */
import { connect, type Socket } from 'node:net';
import { H4Framer } from './h4.ts';
import type { Moniker } from './moniker.ts';
import { formatMoniker } from './moniker.ts';
import type { HciPipe } from './pipe.ts';
import { socketUnavailable } from './unavailable.ts';

type SocketMoniker = Extract<Moniker, { kind: 'unix' | 'tcp' }>;

const CONNECT_DEADLINE_MS = 5000;

/**
 * Connects to a controller.
 * @throws BluetoothUnavailableError when nobody listens there or the connection takes more than 5 s
 */
export function openStreamPipe(moniker: SocketMoniker): Promise<HciPipe> {
  return new Promise((resolve, reject) => {
    const socket =
      moniker.kind === 'unix' ? connect(moniker.path) : connect({ host: moniker.host, port: moniker.port });
    const fail = (cause: unknown): void => {
      clearTimeout(deadline);
      socket.destroy();
      reject(socketUnavailable(formatMoniker(moniker), moniker.kind === 'unix' && moniker.virtual, cause));
    };
    const deadline = setTimeout(
      () => fail(Object.assign(new Error('connect timed out'), { code: 'ETIMEDOUT' })),
      CONNECT_DEADLINE_MS,
    );
    socket.once('error', fail);
    socket.once('connect', () => {
      clearTimeout(deadline);
      socket.off('error', fail);
      socket.setNoDelay(true);
      resolve(new StreamPipe(socket));
    });
  });
}

class StreamPipe implements HciPipe {
  readonly exclusive = true;
  onPacket: (packet: Buffer) => void = () => {};
  onEnd: (error: Error | undefined) => void = () => {};
  readonly #socket: Socket;
  readonly #framer = new H4Framer('to-host');
  #ended = false;
  #corked = false;
  // One bound function each for the life of the pipe: nothing is allocated per packet.
  readonly #deliver = (packet: Buffer): void => this.onPacket(packet);
  readonly #uncork = (): void => {
    this.#corked = false;
    this.#socket.uncork();
  };

  constructor(socket: Socket) {
    this.#socket = socket;
    let failure: Error | undefined;
    socket.on('error', (error) => {
      failure = error;
    });
    socket.on('close', () => this.#end(failure));
    socket.on('data', (chunk) => {
      try {
        this.#framer.push(chunk, this.#deliver);
      } catch (error) {
        this.#end(error instanceof Error ? error : new Error(String(error)));
        socket.destroy();
      }
    });
  }

  send(packet: Buffer): void {
    if (this.#ended) return;
    // Packets of one turn of the event loop leave in one system call.
    if (!this.#corked) {
      this.#corked = true;
      this.#socket.cork();
      process.nextTick(this.#uncork);
    }
    this.#socket.write(packet);
  }

  close(): void {
    this.#ended = true;
    // end, not destroy: a Disconnect or Advertise Disable written just before must still reach the controller.
    if (this.#corked) this.#uncork();
    this.#socket.end(() => this.#socket.destroy());
  }

  isUp(): boolean {
    return !this.#ended;
  }

  #end(error: Error | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    this.onEnd(error);
  }
}
