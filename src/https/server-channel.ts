/**
 * The server's end of the channels: one WebSocket a gateway, what it has to be told, and its acknowledgements.
 * Owns delivery: oldest first, a bounded number in flight, again from the start on a new channel until acknowledged; the
 * newer channel of a gateway takes the older's place; a silent one ends. Must not know what a frame means.
 * Source: docs/protocol.md §9, "Channel".
 */
import { type RawData, WebSocket } from 'ws';
import { type Bytes, toHex } from '../base/bytes.ts';
import type { GatewayId } from '../base/ids.ts';
import { ChannelAck } from '../messages/channel.ts';
import { Buckets } from './server-limits.ts';

export const CHANNEL_SUBPROTOCOL = 'cpns1';
/** Longest frame either way. */
export const MAX_FRAME_BYTES = 65_536;
/** Fragments of one frame, and chunks that wait for the rest of one: acknowledgements come whole. */
export const MAX_FRAGMENTS = 16;
export const MAX_CHUNKS = 1_024;
/** Deliveries sent and not yet acknowledged, a channel. */
const MAX_IN_FLIGHT = 16;
/** A peer that reads so slowly that this many bytes wait in our memory is given up. */
const MAX_BUFFERED_BYTES = 1_048_576;
/**
 * Pings, unasked pongs and acknowledgements of what is not in flight, of one gateway: each costs us work and nobody needs
 * any, but for a few that crossed something on the way.
 */
const NOISE = { burst: 256, perSecond: 4 };
const PING_MS = 20_000;
const SILENCE_MS = 60_000;
/** WebSocket close codes: going away; policy violation; an application's own. */
const GOING_AWAY = 1001;
const POLICY = 1008;
const REPLACED = 4000;
/** How long a peer has to answer a close frame. */
const CLOSING_MS = 2_000;

export interface Frame {
  readonly deliveryId: number;
  /** A whole ChannelFrame. */
  readonly bytes: Bytes;
}

/** Where deliveries come from and go to. */
export interface DeliverySource<F extends Frame = Frame> {
  next(gatewayId: GatewayId, after: number, atMost: number): readonly F[];
  acknowledge(gatewayId: GatewayId, deliveryId: number): void;
  /** False once the gateway was revoked: its channel ends. */
  inGoodStanding(gatewayId: GatewayId): boolean;
  onChange?(gatewayId: GatewayId, up: boolean): void;
  onSent?(gatewayId: GatewayId, frame: F): void;
  /** A channel was ended because it brought too much that is no use. */
  onNoise?(gatewayId: GatewayId): void;
}

export interface ChannelTimers {
  readonly pingMs?: number;
  readonly silenceMs?: number;
}

export class ChannelHub<F extends Frame = Frame> {
  readonly #source: DeliverySource<F>;
  readonly #silenceMs: number;
  readonly #channels = new Map<string, Channel<F>>();
  readonly #noise = new Buckets(NOISE);
  readonly #pinging: NodeJS.Timeout;
  #closed = false;

  constructor(source: DeliverySource<F>, { pingMs = PING_MS, silenceMs = SILENCE_MS }: ChannelTimers = {}) {
    this.#source = source;
    this.#silenceMs = silenceMs;
    this.#pinging = setInterval(() => this.#ping(), pingMs);
    this.#pinging.unref();
  }

  get count(): number {
    return this.#channels.size;
  }

  isOnline(gatewayId: GatewayId): boolean {
    return this.#channels.has(toHex(gatewayId));
  }

  /** Takes over an open WebSocket and sends what waits. */
  attach(gatewayId: GatewayId, socket: WebSocket): void {
    // It was on its way in while we closed: nobody else would end it, and the server could not come to its end.
    if (this.#closed) {
      hangUp(socket, GOING_AWAY);
      return;
    }
    const name = toHex(gatewayId);
    const older = this.#channels.get(name);
    const channel = new Channel(gatewayId, socket, this.#source, {
      onEnd: () => {
        // The older channel's end must not take the newer one down with it.
        if (this.#channels.get(name) !== channel) return;
        this.#channels.delete(name);
        this.#source.onChange?.(gatewayId, false);
      },
      isTooMuch: () => this.#noise.take(name, performance.now()) > 0,
    });
    this.#channels.set(name, channel);
    older?.end(REPLACED);
    if (!older) this.#source.onChange?.(gatewayId, true);
    channel.pump();
  }

  /** There is something new for a gateway. */
  wake(gatewayId: GatewayId): void {
    this.#channels.get(toHex(gatewayId))?.pump();
  }

  /** Sends a frame that is neither stored nor acknowledged. @returns false when the gateway is not there */
  say(gatewayId: GatewayId, frame: Bytes): boolean {
    return this.#channels.get(toHex(gatewayId))?.say(frame) ?? false;
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#pinging);
    for (const channel of [...this.#channels.values()]) channel.end(GOING_AWAY);
  }

  #ping(): void {
    for (const channel of [...this.#channels.values()]) {
      if (!this.#source.inGoodStanding(channel.gatewayId)) channel.end(POLICY);
      else channel.ping(this.#silenceMs);
    }
  }
}

interface ChannelHooks {
  readonly onEnd: () => void;
  /** Counts one thing that is no use. */
  readonly isTooMuch: () => boolean;
}

function hangUp(socket: WebSocket, code: number): void {
  socket.on('error', () => {});
  socket.close(code);
  // A peer that does not close in return must not keep the socket.
  setTimeout(() => socket.terminate(), CLOSING_MS).unref();
}

class Channel<F extends Frame> {
  readonly gatewayId: GatewayId;
  readonly #socket: WebSocket;
  readonly #source: DeliverySource<F>;
  readonly #hooks: ChannelHooks;
  readonly #inFlight = new Set<number>();
  #sentUpTo = 0;
  #heardAtMs = performance.now();
  #pongsDue = 0;
  #ended = false;

  constructor(gatewayId: GatewayId, socket: WebSocket, source: DeliverySource<F>, hooks: ChannelHooks) {
    this.gatewayId = gatewayId;
    this.#socket = socket;
    this.#source = source;
    this.#hooks = hooks;
    socket.on('message', (data, isBinary) => this.#take(data, isBinary));
    socket.on('pong', () => {
      this.#heard();
      if (this.#pongsDue > 0) this.#pongsDue--;
      else this.#useless();
    });
    socket.on('ping', () => {
      this.#heard();
      this.#useless();
    });
    socket.on('error', () => this.end());
    socket.on('close', () => this.end());
  }

  pump(): void {
    if (this.#ended) return;
    const room = MAX_IN_FLIGHT - this.#inFlight.size;
    if (room <= 0) return;
    if (!this.#source.inGoodStanding(this.gatewayId)) {
      this.end(POLICY);
      return;
    }
    for (const frame of this.#source.next(this.gatewayId, this.#sentUpTo, room)) {
      this.#inFlight.add(frame.deliveryId);
      this.#sentUpTo = frame.deliveryId;
      if (!this.say(frame.bytes)) return;
      this.#source.onSent?.(this.gatewayId, frame);
    }
  }

  say(frame: Bytes): boolean {
    if (this.#ended || this.#socket.readyState !== WebSocket.OPEN) return false;
    if (this.#socket.bufferedAmount > MAX_BUFFERED_BYTES) {
      this.end();
      return false;
    }
    this.#socket.send(frame, { binary: true });
    return true;
  }

  ping(silenceMs: number): void {
    if (performance.now() - this.#heardAtMs > silenceMs) this.end();
    else if (this.#socket.readyState === WebSocket.OPEN) {
      this.#pongsDue++;
      this.#socket.ping();
    }
  }

  /** @param code says why in a close frame; without one the connection is just cut */
  end(code?: number): void {
    if (this.#ended) return;
    this.#ended = true;
    if (code === undefined) this.#socket.terminate();
    else hangUp(this.#socket, code);
    this.#hooks.onEnd();
  }

  #heard(): void {
    this.#heardAtMs = performance.now();
  }

  #useless(): void {
    if (this.#ended || !this.#hooks.isTooMuch()) return;
    this.#source.onNoise?.(this.gatewayId);
    this.end(POLICY);
  }

  #take(data: RawData, isBinary: boolean): void {
    if (this.#ended) return;
    this.#heard();
    try {
      if (!isBinary || !Buffer.isBuffer(data)) throw new TypeError('not binary');
      const { deliveryId } = ChannelAck.decode(new Uint8Array(data));
      // Only what was sent on this channel: a gateway can't acknowledge what it never got.
      if (!this.#inFlight.delete(deliveryId)) {
        this.#useless();
        return;
      }
      this.#source.acknowledge(this.gatewayId, deliveryId);
    } catch {
      // Nothing but acknowledgements goes this way; or it could not be written, and the next channel delivers again.
      this.end(POLICY);
      return;
    }
    this.pump();
  }
}
