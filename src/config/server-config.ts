/**
 * The server's configuration: schema, defaults, the commented example that `cpns server init` writes.
 * Owns the keys. What a limit does is the server's.
 */
import * as v from 'valibot';
import { LIMITS } from '../messages/common.ts';
import { Page, type PageConfig } from './page-config.ts';
import { integer, Log, type LogLevel } from './parts.ts';
import { value } from './schema-faults.ts';
import { Limits, type LimitsConfig, limitsExample } from './server-limits.ts';

export interface ServerConfig {
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  /** The operator's domain, the part of a home address after the @; when given it has to be that of the state. */
  readonly realm: string | undefined;
  /** DNS names and addresses that the server's certificate holds. */
  readonly names: readonly string[];
  readonly terms: { readonly currency: string; readonly limit: number; readonly periodDays: number };
  readonly limits: LimitsConfig;
  /** Prometheus text, health and readiness on 127.0.0.1; absent for none. */
  readonly metricsPort: number | undefined;
  /** The PNE's page on a port of its own; absent for none. */
  readonly page?: PageConfig | undefined;
  readonly log: { readonly level: LogLevel };
}

const hostName = (example: string) =>
  value(
    v.pipe(v.string(), v.regex(/^[A-Za-z0-9.:-]{1,253}$/, 'neither a host name nor an address')),
    'a host name or an IP address',
    JSON.stringify(example),
  );

export const ServerSchema = v.pipe(
  v.strictObject({
    host: v.optional(hostName('0.0.0.0'), '127.0.0.1'),
    port: v.optional(integer(0, 65_535, 'a TCP port', 8443), 8443),
    realm: v.optional(
      value(
        v.pipe(
          v.string(),
          v.regex(/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/, 'not a domain name in lower case'),
          v.maxLength(LIMITS.realm, `longer than ${LIMITS.realm} bytes`),
        ),
        `a domain name in lower case, at most ${LIMITS.realm} bytes`,
        '"cpns.example.net"',
      ),
    ),
    names: v.optional(
      value(
        v.pipe(
          v.array(hostName('cpns.example.net')),
          v.minLength(1, 'empty'),
          v.maxLength(16, 'more than 16'),
        ),
        'a list of 1 to 16 host names and addresses',
        '["cpns.example.net", "192.0.2.7"]',
      ),
      ['localhost', '127.0.0.1'],
    ),
    terms: v.optional(
      v.pipe(
        v.strictObject({
          currency: v.optional(
            value(
              v.pipe(v.string(), v.regex(/^[A-Z]{3}$/, 'not a currency code')),
              'three capital letters (ISO 4217)',
              '"EUR"',
            ),
            'EUR',
          ),
          limit: v.optional(integer(0, 0xffffffff, 'minor units of the currency', 500), 500),
          period_days: v.optional(integer(1, 3660, 'days', 30), 30),
        }),
        v.transform(({ period_days: periodDays, ...rest }) => ({ ...rest, periodDays })),
      ),
      {},
    ),
    limits: v.optional(Limits, {}),
    page: v.optional(Page),
    metrics: v.optional(v.strictObject({ port: integer(0, 65_535, 'a TCP port', 9464) })),
    log: Log,
  }),
  v.transform(
    ({ metrics, ...rest }): ServerConfig => ({ ...rest, realm: rest.realm, metricsPort: metrics?.port }),
  ),
);

export function serverExample(realm = 'cpns.example.net', host = '127.0.0.1', port = 8443): string {
  const names = [...new Set([realm, 'localhost', '127.0.0.1'])];
  return `# cpns server
host = ${JSON.stringify(host)}
port = ${port}
realm = ${JSON.stringify(realm)}      # home addresses end in @realm
names = ${JSON.stringify(names)}   # what the server's certificate holds

[terms]                          # what joining may cost the user of a PNE
currency = "EUR"
limit = 500                      # minor units (cents) in one period
period_days = 30

${limitsExample()}

# [page]                         # the PNE's page at https://NAME:8445/pne/, with a certificate that browsers know
# listen = "0.0.0.0:8445"
# cert = "/etc/letsencrypt/live/cpns.example.net/fullchain.pem"
# key = "/etc/letsencrypt/live/cpns.example.net/privkey.pem"

# [metrics]                      # Prometheus text, health and readiness on 127.0.0.1
# port = 9464

[log]
level = "info"
`;
}
