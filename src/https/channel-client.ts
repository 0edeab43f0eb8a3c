/**
 * The channel a gateway dials and keeps: one WebSocket on which the server says what it has to say.
 * Owns dialling again, order, acknowledgement after the durable write, repeated deliveries and the watch on a silent
 * server. Must not know what a frame means: a handler gets each one and resolves when its effect is on disk.
 * Source: docs/protocol.md §9, "Channel".
 */
import { createHash } from 'node:crypto';
import { WebSocket } from 'ws';
import { CpnsError, statusOfError } from '../base/errors.ts';
import { ChannelAck, ChannelFrame } from '../messages/channel.ts';
import { Backoff, type BackoffPolicy } from './server-client-retry.ts';
import {
  API_PATH,
  MAX_BODY_BYTES,
  networkError,
  parseBaseUrl,
  readAnswer,
  type ServerAddress,
  type TlsIdentity,
  tlsOptions,
} from './server-client-transport.ts';

export const CHANNEL_SUBPROTOCOL = 'cpns1';
/** The server pings every 20 s; three missed ones and it is gone. */
const SILENCE_MS = 60_000;
const HANDSHAKE_MS = 10_000;
/** Frames read but not yet handled; at the limit nothing more is read from the socket. */
const MAX_QUEUED_FRAMES = 64;
/** Deliveries handled in this life, remembered to acknowledge a repetition without handling it again. */
const MAX_REMEMBERED = 1024;
const REDIAL: BackoffPolicy = { firstMs: 200, maxMs: 30_000 };
/** A channel that lived this long was a good one: the next dial is quick again. */
const STEADY_MS = 5_000;

export type ChannelEvent =
  | { readonly kind: 'up' }
  /** `nextDialMs`: when it is dialled again, from now; absent when it was closed on purpose. */
  | { readonly kind: 'down'; readonly error: CpnsError; readonly nextDialMs?: number }
  /** The handler rejected; the channel goes down, and on the next one the server delivers the frame again. */
  | { readonly kind: 'handler-failed'; readonly error: unknown };

export interface ChannelClientOptions extends ServerAddress {
  /**
   * Called with one frame at a time, in the order sent. Resolving acknowledges, so it must resolve only after the
   * durable write. It may see a frame again after a restart and must take that. Rejecting is for what may go better
   * later, such as a full disk: a frame that can never be handled is to be logged and resolved, or it blocks the rest.
   */
  readonly onFrame: (frame: ChannelFrame) => Promise<void>;
  readonly onEvent?: (event: ChannelEvent) => void;
  readonly redial?: BackoffPolicy;
  /** Milliseconds without anything from the server after which the channel is given up; default 60 s. */
  readonly silenceMs?: number;
}

/** Where a channel stands, for whoever watches over it. */
export type ChannelState =
  | { readonly kind: 'up' }
  | { readonly kind: 'dialling'; readonly forMs: number }
  /** Negative when the time to dial again has passed and nothing came of it. */
  | { readonly kind: 'waiting'; readonly dueInMs: number };

export interface ChannelClient {
  readonly isUp: boolean;
  readonly state: ChannelState;
  /** The next channel uses this certificate; the present one is replaced now. */
  useIdentity(identity: TlsIdentity): void;
  /** Stops dialling and waits for the frame being handled. */
  close(): Promise<void>;
}

/** Dials at once and for ever until closed. @throws TypeError when the address is not `https://host[:port]` */
export function openChannelClient(options: ChannelClientOptions): ChannelClient {
  const base = parseBaseUrl(options.baseUrl);
  return new Dialler(options, base);
}

class Dialler implements ChannelClient {
  readonly #options: ChannelClientOptions;
  readonly #url: string;
  readonly #backoff: Backoff;
  /** Delivery id → digest of its frame: a server that was set back may give an id a second meaning. */
  readonly #done = new Map<number, string>();
  #identity: TlsIdentity | undefined;
  #channel: Channel | undefined;
  #redialTimer: NodeJS.Timeout | undefined;
  /** When the present channel was dialled, or the next one is due. */
  #dialAt = 0;
  /** Handling goes on over the end of a channel: the next one must not overtake it. */
  #handling: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: ChannelClientOptions, base: URL) {
    this.#options = options;
    this.#identity = options.identity;
    this.#url = `wss://${base.host}${API_PATH}channel`;
    this.#backoff = new Backoff(options.redial ?? REDIAL);
    this.#dial();
  }

  get isUp(): boolean {
    return this.#channel?.isUp ?? false;
  }

  get state(): ChannelState {
    if (this.isUp) return { kind: 'up' };
    const sinceMs = performance.now() - this.#dialAt;
    return this.#channel ? { kind: 'dialling', forMs: sinceMs } : { kind: 'waiting', dueInMs: -sinceMs };
  }

  useIdentity(identity: TlsIdentity): void {
    this.#identity = identity;
    this.#channel?.end(new CpnsError('shutting-down', 'certificate renewed'));
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#redialTimer);
    this.#channel?.end(new CpnsError('shutting-down'));
    await this.#handling;
  }

  #dial(): void {
    const { caPem, silenceMs = SILENCE_MS } = this.#options;
    const identity = this.#identity;
    let upAt: number | undefined;
    this.#dialAt = performance.now();
    this.#channel = new Channel({
      url: this.#url,
      tls: tlsOptions({ caPem, ...(identity ? { identity } : {}) }),
      silenceMs,
      onUp: () => {
        upAt = performance.now();
        this.#options.onEvent?.({ kind: 'up' });
      },
      onFrame: (received, channel) => this.#enqueue(received, channel),
      onEnd: (error) => {
        if (upAt !== undefined && performance.now() - upAt >= STEADY_MS) this.#backoff.reset();
        this.#ended(error);
      },
    });
  }

  #ended(error: CpnsError): void {
    this.#channel = undefined;
    if (this.#closed) {
      this.#options.onEvent?.({ kind: 'down', error });
      return;
    }
    const nextDialMs = this.#backoff.nextMs();
    this.#dialAt = performance.now() + nextDialMs;
    // What is still being handled goes first: its acknowledgement is lost, and its repetition must find it done.
    this.#redialTimer = setTimeout(() => {
      void this.#handling.then(() => {
        if (!this.#closed) this.#dial();
      });
    }, nextDialMs);
    this.#options.onEvent?.({ kind: 'down', error, nextDialMs });
  }

  #enqueue(received: Received, channel: Channel): Promise<void> {
    this.#handling = this.#handling.then(async () => {
      // The frames of a channel that ended come again, in order, on the next.
      if (!channel.ended) await this.#handle(received, channel);
    });
    return this.#handling;
  }

  async #handle({ frame, digest }: Received, channel: Channel): Promise<void> {
    const id = 'deliveryId' in frame ? frame.deliveryId : undefined;
    if (id === undefined || this.#done.get(id) !== digest) {
      try {
        await this.#options.onFrame(frame);
      } catch (error) {
        this.#options.onEvent?.({ kind: 'handler-failed', error });
        channel.end(new CpnsError(statusOfError(error), 'a frame could not be handled'));
        return;
      }
    }
    if (id === undefined) return;
    this.#remember(id, digest);
    channel.acknowledge(id);
  }

  #remember(id: number, digest: string): void {
    this.#done.set(id, digest);
    const [oldest] = this.#done.keys();
    if (this.#done.size > MAX_REMEMBERED && oldest !== undefined) this.#done.delete(oldest);
  }
}

interface Received {
  readonly frame: ChannelFrame;
  readonly digest: string;
}

interface ChannelOptions {
  readonly url: string;
  readonly tls: ReturnType<typeof tlsOptions>;
  readonly silenceMs: number;
  readonly onUp: () => void;
  /** Resolves when the frame is out of the way, handled or not. */
  readonly onFrame: (received: Received, channel: Channel) => Promise<void>;
  /** Called once. */
  readonly onEnd: (error: CpnsError) => void;
}

/** One WebSocket, from dial to end. */
class Channel {
  readonly #options: ChannelOptions;
  readonly #socket: WebSocket;
  #silence: NodeJS.Timeout | undefined;
  #queued = 0;
  #ended = false;

  constructor(options: ChannelOptions) {
    this.#options = options;
    this.#socket = new WebSocket(options.url, CHANNEL_SUBPROTOCOL, {
      ...options.tls,
      handshakeTimeout: HANDSHAKE_MS,
      maxPayload: MAX_BODY_BYTES,
      perMessageDeflate: false,
      followRedirects: false,
    });
    this.#socket.on('open', () => {
      this.#heard();
      options.onUp();
    });
    this.#socket.on('ping', () => this.#heard());
    this.#socket.on('pong', () => this.#heard());
    this.#socket.on('message', (data, isBinary) => this.#take(data, isBinary));
    this.#socket.on('unexpected-response', (_request, response) => {
      readAnswer(response).then(
        () => this.end(new CpnsError('malformed', 'channel answered without an upgrade')),
        (error: CpnsError) => this.end(error),
      );
    });
    this.#socket.on('error', (error) => this.end(networkError(error)));
    this.#socket.on('close', () => this.end(new CpnsError('server-unreachable', 'channel closed')));
  }

  get isUp(): boolean {
    return !this.#ended && this.#socket.readyState === WebSocket.OPEN;
  }

  get ended(): boolean {
    return this.#ended;
  }

  acknowledge(deliveryId: number): void {
    if (this.isUp) this.#socket.send(ChannelAck.encode({ deliveryId }), { binary: true });
  }

  end(error: CpnsError): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#silence);
    this.#socket.terminate();
    this.#options.onEnd(error);
  }

  #heard(): void {
    clearTimeout(this.#silence);
    // While paused it is we who don't listen.
    if (this.#ended || this.#socket.isPaused) return;
    const gone = () => this.end(new CpnsError('peer-lost', 'the server is silent'));
    this.#silence = setTimeout(gone, this.#options.silenceMs);
  }

  #take(data: WebSocket.RawData, isBinary: boolean): void {
    if (this.#ended) return;
    const received = decodeFrame(data, isBinary);
    if (received instanceof CpnsError) {
      this.end(received);
      return;
    }
    if (++this.#queued >= MAX_QUEUED_FRAMES) this.#socket.pause();
    this.#heard();
    void this.#options.onFrame(received, this).then(() => {
      this.#queued--;
      if (this.#ended || !this.#socket.isPaused) return;
      this.#socket.resume();
      this.#heard();
    });
  }
}

function decodeFrame(data: WebSocket.RawData, isBinary: boolean): Received | CpnsError {
  if (!isBinary || !Buffer.isBuffer(data)) return new CpnsError('malformed', 'channel frame is not binary');
  try {
    const frame = ChannelFrame.decode(new Uint8Array(data));
    return { frame, digest: createHash('sha256').update(data).digest('base64') };
  } catch (error) {
    return new CpnsError(statusOfError(error), 'channel frame', { cause: error });
  }
}
