/**
 * Who may come in, and how often: connections and handshakes by address, connections, requests and channels by the key of
 * a gateway. Owns the counting at the server's door, where nothing has been read of a peer yet. What is counted in
 * memory here concerns the present load only, so that a restart may forget it; what a gateway makes the server keep is
 * counted on disk (src/store/server-registrations.ts). Source: docs/protocol.md §10.
 */
import type { Server } from 'node:https';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { RefusedError } from './problem.ts';
import { addressName, Buckets, Counts, type LimitName, type TransportLimits } from './server-limits.ts';

/** How many seconds' worth of a gateway's requests may come at once: what waited while its server was away. */
const BURST_SECONDS = 20;
/** Requests without an acceptable certificate, by address: a few operators' probes, and gateways that enrol. */
const STRANGERS = { burst: 60, perSecond: 5 };
/** Those of them that try a token. */
const TOKENS = { burst: 20, perSecond: 0.5 };
/** Channels dialled by a gateway: one that flaps, not one that hammers. */
const DIALS = { burst: 30, perSecond: 0.5 };
/** When somebody whose connections are too many may look again whether some have ended. */
const CONNECTION_RETRY_SECONDS = 5;

export interface AdmissionOptions {
  readonly limits: TransportLimits;
  /** A short name of the peer's certified key; undefined when it has none that counts. */
  readonly peerOf: (socket: TLSSocket) => string | undefined;
  readonly onLimited: (limit: LimitName) => void;
}

export class Admission {
  readonly #options: AdmissionOptions;
  readonly #addresses = new Counts();
  readonly #gateways = new Counts();
  readonly #handshakes: Buckets;
  readonly #requests: Buckets;
  readonly #strangers = new Buckets(STRANGERS);
  readonly #tokens = new Buckets(TOKENS);
  readonly #dials = new Buckets(DIALS);
  readonly #peers = new WeakMap<Socket, string>();
  /** Connections that are one too many: they get their answer and end. */
  readonly #surplus = new WeakSet<Socket>();

  constructor(options: AdmissionOptions) {
    this.#options = options;
    const { handshakesPerAddressPerSecond, connectionsPerAddress, requestsPerGatewayPerSecond } =
      options.limits;
    // An address may open at once what it may hold.
    this.#handshakes = new Buckets({
      burst: connectionsPerAddress,
      perSecond: handshakesPerAddressPerSecond,
    });
    this.#requests = new Buckets({
      burst: BURST_SECONDS * requestsPerGatewayPerSecond,
      perSecond: requestsPerGatewayPerSecond,
    });
  }

  /** Stands at the door of a server that does not listen yet. */
  guard(server: Server): void {
    server.maxConnections = this.#options.limits.connections;
    server.on('drop', () => this.#options.onLimited('connections'));
    // Before TLS has cost anything: the listener that begins the handshake is asked after this one, or not at all.
    const handshake = server.listeners('connection');
    server.removeAllListeners('connection');
    server.on('connection', (socket: Socket) => {
      if (this.#admit(socket)) for (const begin of handshake) begin.call(server, socket);
      else socket.destroy();
    });
    server.on('secureConnection', (socket: TLSSocket) => this.#recognise(socket));
  }

  #admit(socket: Socket): boolean {
    const { limits, onLimited } = this.#options;
    const name = addressName(socket.remoteAddress);
    if (this.#addresses.of(name) >= limits.connectionsPerAddress) {
      onLimited('connections-per-address');
      return false;
    }
    if (this.#handshakes.take(name, performance.now()) > 0) {
      onLimited('handshakes-per-address');
      return false;
    }
    this.#addresses.add(name);
    socket.once('close', () => this.#addresses.remove(name));
    return true;
  }

  #recognise(socket: TLSSocket): void {
    const name = this.#options.peerOf(socket);
    if (name === undefined) return;
    this.#peers.set(socket, name);
    if (this.#gateways.of(name) >= this.#options.limits.connectionsPerGateway) {
      this.#surplus.add(socket);
      return;
    }
    this.#gateways.add(name);
    socket.once('close', () => this.#gateways.remove(name));
  }

  /** One request, whatever it asks for. @throws RefusedError too-many-requests, quota-exceeded */
  request(socket: Socket): void {
    if (this.#surplus.has(socket))
      this.#refuse('connections-per-gateway', CONNECTION_RETRY_SECONDS, 'quota-exceeded');
    const peer = this.#peers.get(socket);
    if (peer === undefined) this.#take(this.#strangers, addressOf(socket), 'requests-per-address');
    else this.#take(this.#requests, peer, 'requests-per-gateway');
  }

  /** One that brings a token. @throws RefusedError too-many-requests */
  token(socket: Socket): void {
    this.#take(this.#tokens, addressOf(socket), 'tokens-per-address');
  }

  /** One that asks for a channel. @throws RefusedError too-many-requests */
  dial(socket: Socket): void {
    this.#take(this.#dials, this.#peers.get(socket) ?? '', 'dials-per-gateway');
  }

  #take(buckets: Buckets, name: string, limit: LimitName): void {
    const waitSeconds = buckets.take(name, performance.now());
    if (waitSeconds > 0) this.#refuse(limit, waitSeconds, 'too-many-requests');
  }

  #refuse(limit: LimitName, seconds: number, status: 'too-many-requests' | 'quota-exceeded'): never {
    this.#options.onLimited(limit);
    throw new RefusedError(status, seconds);
  }
}

const addressOf = (socket: Socket): string => addressName(socket.remoteAddress);
