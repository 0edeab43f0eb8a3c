/**
 * Figures about the server in Prometheus text, on a plain HTTP port of the loopback interface only.
 * Owns names and units. Must not carry an identifier of anybody. The only import of prom-client.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';

export interface MetricSources {
  /** Registrations by state. */
  readonly registrations: () => Readonly<Record<string, number>>;
  readonly channels: () => number;
}

/** Seconds; a signature in software takes some tens of microseconds. */
const SIGNATURE_BUCKETS = [0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.005, 0.05, 0.5];
const REQUEST_BUCKETS = [0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5];

export class ServerMetrics {
  readonly #registry = new Registry();
  readonly #signature: Histogram;
  readonly #request: Histogram;
  readonly #settled: Counter;
  readonly #limited: Counter;
  readonly #refused: Counter;

  constructor({ registrations, channels }: MetricSources) {
    const registers = [this.#registry];
    this.#signature = new Histogram({
      name: 'cpns_signature_seconds',
      help: 'Time to make one signature with the server key',
      buckets: SIGNATURE_BUCKETS,
      registers,
    });
    this.#request = new Histogram({
      name: 'cpns_http_request_seconds',
      help: 'Time from a request to its answer',
      labelNames: ['route', 'status'],
      buckets: REQUEST_BUCKETS,
      registers,
    });
    this.#settled = new Counter({
      name: 'cpns_registrations_settled_total',
      help: 'Registrations that came to an end, by status, since the start',
      labelNames: ['status'],
      registers,
    });
    this.#refused = new Counter({
      name: 'cpns_requests_refused_total',
      help: 'Requests answered with a problem, by its status, since the start',
      labelNames: ['status'],
      registers,
    });
    this.#limited = new Counter({
      name: 'cpns_limited_total',
      help: 'Connections, requests and channels turned away, by the limit of the transport that was reached, since the start',
      labelNames: ['limit'],
      registers,
    });
    new Gauge({
      name: 'cpns_registrations',
      help: 'Registrations on record by state',
      labelNames: ['state'],
      registers,
      collect() {
        for (const [state, count] of Object.entries(registrations())) this.set({ state }, count);
      },
    });
    new Gauge({
      name: 'cpns_open_transactions',
      help: 'Registrations that are challenged or verified',
      registers,
      collect() {
        const { challenged = 0, verified = 0 } = registrations();
        this.set(challenged + verified);
      },
    });
    new Gauge({
      name: 'cpns_channels',
      help: 'Gateways whose channel is up',
      registers,
      collect() {
        this.set(channels());
      },
    });
  }

  signed(durationMs: number): void {
    this.#signature.observe(durationMs / 1_000);
  }

  answered(route: string, httpStatus: number, durationMs: number): void {
    this.#request.observe({ route, status: String(httpStatus) }, durationMs / 1_000);
  }

  settled(status: string): void {
    this.#settled.inc({ status });
  }

  refused(status: string): void {
    this.#refused.inc({ status });
  }

  /** @param limit one of a fixed set of names */
  limited(limit: string): void {
    this.#limited.inc({ limit });
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }
}

/** Serves `GET /metrics` on 127.0.0.1. @param port 0 for any free one */
export async function openMetricsPort(
  metrics: ServerMetrics,
  port: number,
): Promise<{ readonly port: number; close(): Promise<void> }> {
  const server = createServer({ requestTimeout: 5_000, headersTimeout: 5_000 }, (request, response) => {
    if (request.method !== 'GET' || request.url !== '/metrics') {
      response.writeHead(404).end();
      return;
    }
    metrics.text().then(
      (text) => response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' }).end(text),
      () => response.writeHead(500).end(),
    );
  });
  server.maxConnections = 16;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
