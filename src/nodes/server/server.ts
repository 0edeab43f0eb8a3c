/**
 * The CPNS server of an operator, put together: store, operator's keys, registrar, enrolment, HTTPS, channels, metrics.
 * Owns lifetimes and the log. Must not decide anything. Source: docs/protocol.md §9; design §6.
 */
import { join } from 'node:path';
import { type Logger, pino } from 'pino';
import { toHex } from '../../base/bytes.ts';
import { CpnsError, statusOfError } from '../../base/errors.ts';

import { STATUSES } from '../../base/statuses.ts';
import type { Clock } from '../../base/time.ts';
import {
  DEFAULT_SERVER_LIMITS,
  type ServerChange,
  type ServerLimits,
} from '../../establishment/server-types.ts';
import { type HttpsServer, openHttpsServer, type Seen } from '../../https/server.ts';
import { CallerReader } from '../../https/server-caller.ts';
import { ChannelHub, type ChannelTimers } from '../../https/server-channel.ts';
import { DEFAULT_TRANSPORT_LIMITS, type LimitName, type TransportLimits } from '../../https/server-limits.ts';
import { openMetricsPort, ServerMetrics } from '../../https/server-metrics.ts';
import type { Terms } from '../../messages/confirmation.ts';
import { thumbprintOf } from '../../security/cose-key.ts';
import { coordinatesOf } from '../../security/keystore.ts';
import { nodePrimitives } from '../../security/primitives-node.ts';
import { openServerStore, type ServerStore } from '../../store/server-store.ts';
import type { Vitals } from '../health.ts';
import { systemClock, systemRandom } from '../system-clock.ts';
import type { OnTrace, TraceEvent } from '../trace.ts';
import { type Caller, serverRoutes } from './api.ts';
import { TrustedClock } from './clock.ts';
import { type OutboxFrame, OutboxSource, waitingFrame, waitingTrace } from './deliveries.ts';
import { Enrolment } from './enrolment.ts';
import { Operator } from './identity.ts';
import { Registrar } from './registrar.ts';

export const DATABASE_FILE = 'server.db';
export const DEFAULT_TERMS: Terms = { currency: 'EUR', limit: 500, periodDays: 30 };
export const DEFAULT_PORT = 8443;

const SWEEP_MS = 1_000;
const PURGE_MS = 3_600_000;
const RENEW_TLS_MS = 30 * 86_400_000;
/** Public keys kept imported: those of gateways and PNEs that are busy. */
const CACHED_KEYS = 1_024;

export interface ServerOptions {
  /** Made by `initServer`. */
  readonly stateDir: string;
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Default 8443; 0 for any free one. */
  readonly port?: number;
  /** When given, the state directory has to be of this realm. */
  readonly realm?: string;
  /** What users of home gateways are asked to pay for; default 5.00 EUR in 30 days. */
  readonly terms?: Terms;
  readonly limits?: Partial<ServerLimits>;
  readonly transportLimits?: Partial<TransportLimits>;
  /** Default: silent. */
  readonly logger?: Logger;
  readonly clock?: Clock;
  readonly onTrace?: OnTrace;
  /** Prometheus text on 127.0.0.1; off when absent, 0 for any free port. */
  readonly metricsPort?: number;
  readonly channel?: ChannelTimers;
  /** Milliseconds for the TLS handshake, the headers, and the whole request; defaults 10 s, 10 s and 15 s. */
  readonly handshakeMs?: number;
  readonly headersMs?: number;
  readonly requestMs?: number;
}

export interface CpnsServer {
  /** `https://host:port`. */
  readonly url: string;
  readonly realm: string;
  readonly caPem: string;
  readonly metricsPort: number | undefined;
  /** Sees to deadlines now; for tests with a clock of their own. @returns how many had passed */
  sweep(): Promise<number>;
  /** Drops what has been kept long enough. @returns how many refusals went */
  purge(): number;
  /** How it is, for the watchdog. Nothing that a client does makes it look ill. */
  vitals(): Promise<Vitals>;
  close(): Promise<void>;
}

/**
 * Opens the server; resolves when it takes connections.
 * @throws CpnsError cannot-persist when the state can't be used, conflict when it is of another realm
 */
export async function openServer(options: ServerOptions): Promise<CpnsServer> {
  const store = openServerStore(join(options.stateDir, DATABASE_FILE));
  try {
    const realm = store.realm;
    if (realm === undefined) throw new CpnsError('cannot-persist', 'run `cpns server init` first');
    if (options.realm !== undefined && options.realm !== realm)
      throw new CpnsError('conflict', 'the state directory is of another realm');
    const running = new Running(options, store, realm);
    await running.listen();
    return running;
  } catch (error) {
    store.close();
    throw error;
  }
}

class Running implements CpnsServer {
  readonly realm: string;
  readonly caPem: string;
  readonly #options: ServerOptions;
  readonly #store: ServerStore;
  readonly #log: Logger;
  readonly #clock: TrustedClock;
  readonly #wall: Clock;
  readonly #operator: Operator;
  readonly #registrar: Registrar;
  readonly #enrolment: Enrolment;
  readonly #outbox: OutboxSource;
  readonly #hub: ChannelHub<OutboxFrame>;
  readonly #metrics: ServerMetrics;
  readonly #primitives = nodePrimitives(CACHED_KEYS);
  readonly #timers: NodeJS.Timeout[] = [];
  #https: HttpsServer | undefined;
  #metricsServer: Awaited<ReturnType<typeof openMetricsPort>> | undefined;
  #sweeping: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(options: ServerOptions, store: ServerStore, realm: string) {
    this.#options = options;
    this.#store = store;
    this.realm = realm;
    this.#log = options.logger ?? pino({ level: 'silent' });
    this.#wall = options.clock ?? systemClock;
    this.#clock = new TrustedClock(this.#wall, store);
    const primitives = this.#primitives;
    this.#operator = new Operator(options.stateDir, primitives);
    this.caPem = this.#operator.caPem;
    const limits = { ...DEFAULT_SERVER_LIMITS, ...options.limits };
    const common = {
      limits,
      store,
      operator: this.#operator,
      primitives,
      clock: this.#clock,
      random: systemRandom,
      realm,
    };
    this.#registrar = new Registrar({
      ...common,
      terms: options.terms ?? DEFAULT_TERMS,
      isOnline: (gatewayId) => this.#hub.isOnline(gatewayId),
      wake: (gatewayId) => this.#hub.wake(gatewayId),
      tellWaiting: (key, status) => {
        const frame = waitingFrame(key, status);
        if (this.#hub.say(key.gatewayId, frame)) this.#trace(waitingTrace(key, frame.length));
      },
      onCommitted: (change) => this.#committed(change),
      onSignature: (durationMs) => this.#metrics.signed(durationMs),
    });
    this.#enrolment = new Enrolment(common);
    this.#outbox = new OutboxSource({
      store,
      txnOfJoin: (joinId) => this.#registrar.txnOfJoin(joinId),
      onConfirmDelivered: (joinId) => this.#background('delivery', this.#registrar.delivered(joinId)),
      onChange: (gatewayId, up) => this.#log.info({ gateway: toHex(gatewayId), up }, 'channel'),
      onNoise: () => this.#limited('noise-per-gateway'),
      onError: (error) => this.#background('acknowledgements', Promise.reject(error)),
      trace: (event) => this.#trace(event),
    });
    this.#hub = new ChannelHub<OutboxFrame>(this.#outbox, options.channel);
    this.#metrics = new ServerMetrics({
      registrations: () => store.registrations.counts(),
      channels: () => this.#hub.count,
    });
  }

  get url(): string {
    return this.#https?.url ?? '';
  }

  get metricsPort(): number | undefined {
    return this.#metricsServer?.port;
  }

  async listen(): Promise<void> {
    const {
      host = '127.0.0.1',
      port = DEFAULT_PORT,
      metricsPort,
      handshakeMs,
      headersMs,
      requestMs,
    } = this.#options;
    const reader = new CallerReader(coordinatesOf);
    if (metricsPort !== undefined) this.#metricsServer = await openMetricsPort(this.#metrics, metricsPort);
    try {
      this.#https = await openHttpsServer<Caller>({
        host,
        port,
        tls: this.#tls(),
        routes: serverRoutes({
          registrar: this.#registrar,
          enrolment: this.#enrolment,
          checkReady: () => this.#checkReady(),
          trace: (event) => this.#trace(event),
        }),
        callerOf: ({ socket }) => this.#callerOf(reader, socket),
        nobody: undefined,
        onChannel: (caller, channel) => {
          if (caller) this.#hub.attach(caller.gatewayId, channel);
        },
        onRequest: (seen) => this.#requested(seen),
        limits: { ...DEFAULT_TRANSPORT_LIMITS, ...this.#options.transportLimits },
        peerOf: (socket) => reader.peerOf(socket),
        onLimited: (limit) => this.#limited(limit),
        ...(handshakeMs !== undefined && { handshakeMs }),
        ...(headersMs !== undefined && { headersMs }),
        ...(requestMs !== undefined && { requestMs }),
      });
    } catch (error) {
      await this.#metricsServer?.close();
      this.#hub.close();
      throw error;
    }
    this.#every(SWEEP_MS, () => this.#background('sweep', this.sweep()));
    this.#every(PURGE_MS, () => this.purge());
    this.#every(RENEW_TLS_MS / 30, () => this.#https?.useTls(this.#tls()));
    this.#log.info({ url: this.url, realm: this.realm }, 'listening');
  }

  sweep(): Promise<number> {
    const sweeping = this.#sweeping.then(() => (this.#closed ? 0 : this.#registrar.sweep()));
    this.#sweeping = sweeping.catch(() => 0);
    return sweeping;
  }

  purge(): number {
    return this.#store.registrations.purge(this.#clock.now());
  }

  async vitals(): Promise<Vitals> {
    const serving = this.#https?.isListening === true && this.#store.realm !== undefined;
    return { serving, remark: `gateways: ${this.#hub.count}` };
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const timer of this.#timers) clearInterval(timer);
    this.#hub.close();
    await Promise.all([this.#https?.close(), this.#metricsServer?.close(), this.#sweeping]);
    this.#outbox.flush();
    this.#store.close();
    this.#log.info('closed');
  }

  #tls() {
    return this.#operator.tls(this.#store.hosts, this.#store.highWater, this.#wall.wallSeconds());
  }

  #callerOf(reader: CallerReader, socket: Parameters<CallerReader['keyOf']>[0]): Caller {
    const thumbprint = thumbprintOf(this.#primitives, reader.keyOf(socket));
    const gateway = this.#store.directory.gatewayOfKey(thumbprint);
    if (!gateway) throw new CpnsError('unknown-gateway');
    if (gateway.standing !== 'ok') throw new CpnsError(gateway.standing);
    return gateway;
  }

  /** @throws CpnsError clock-implausible, cannot-persist */
  #checkReady(): void {
    this.#clock.now();
    if (!this.#store.isWritable()) throw new CpnsError('cannot-persist');
  }

  #committed(change: ServerChange): void {
    const key = change.to === 'challenged' ? change.row : change.key;
    const txn = toHex(key.txn);
    const gateway = toHex(key.gatewayId);
    const status = change.to === 'refused' ? change.status : 'ok';
    this.#log.info({ txn, gateway, state: change.to, status }, 'registration');
    if (change.to === 'registered' || change.to === 'refused') this.#metrics.settled(status);
    if (change.to !== 'registered') return;
    const bytes = change.inventory.length;
    this.#trace({
      step: 10,
      name: 'PnRegistration',
      from: 'server',
      to: 'server',
      via: 'local',
      bytes,
      joinKey: txn,
    });
  }

  #requested({ route, httpStatus, durationMs, error }: Seen): void {
    this.#metrics.answered(route, httpStatus, durationMs);
    if (error === undefined) return;
    const status = statusOfError(error);
    this.#metrics.refused(status);
    const ours = !(error instanceof CpnsError) || STATUSES[status].class === 'local';
    // A defect of ours is worth its stack; what a peer got wrong is not.
    if (ours) this.#log.error({ route, httpStatus, err: error }, 'request failed');
    else this.#log.info({ route, httpStatus, status }, 'request refused');
  }

  #limited(limit: LimitName): void {
    this.#metrics.limited(limit);
    // Once a refusal would let whoever is refused fill the log.
    this.#log.debug({ limit }, 'limit reached');
  }

  #trace(event: Omit<TraceEvent, 'atMs'>): void {
    this.#options.onTrace?.({ ...event, atMs: this.#wall.wallMs() });
  }

  #background(what: string, work: Promise<unknown>): void {
    work.catch((error: unknown) => {
      const status = statusOfError(error);
      if (status === 'clock-implausible') this.#log.warn({ what, status }, 'the clock is not believed');
      else this.#log.error({ what, err: error }, 'background work failed');
    });
  }

  #every(ms: number, work: () => void): void {
    const timer = setInterval(() => {
      try {
        work();
      } catch (error) {
        this.#background('timer', Promise.reject(error));
      }
    }, ms);
    timer.unref();
    this.#timers.push(timer);
  }
}
