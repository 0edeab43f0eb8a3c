/**
 * `[console]` of a gateway: where its page listens, what it is reached by, and whose certificate it shows.
 * Owns keys and bounds. What they lead to is src/console/.
 */
import { isIP } from 'node:net';
import * as v from 'valibot';
import { value } from './schema-faults.ts';

export interface ConsoleConfig {
  readonly listen: ListenAddress;
  /** Host names and addresses, in lower case; the first is the one that links have. */
  readonly names: readonly string[];
  /** The owner's own certificate, PEM files; both or neither. */
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

export interface ListenAddress {
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
}

/** `HOST:PORT`, the address of IPv6 in brackets. */
function parseListen(text: string): ListenAddress | undefined {
  const [, bracketed, plain, digits = ''] = /^(?:\[([0-9a-f:.]+)\]|([^:[\]]+)):(\d{1,5})$/i.exec(text) ?? [];
  const host = bracketed ?? plain ?? '';
  const port = Number(digits);
  const known = bracketed === undefined ? isIP(host) === 4 || host === 'localhost' : isIP(host) === 6;
  return known && port <= 65_535 ? { host, port } : undefined;
}

export const listen = value(
  v.pipe(
    v.string(),
    v.check((text) => parseListen(text) !== undefined, 'no address with a port'),
    v.transform((text) => parseListen(text) as ListenAddress),
  ),
  'ADDRESS:PORT of this host, 0.0.0.0 or [::] for all of them',
  '"0.0.0.0:8444"',
);

const NAME = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/i;
const name = value(
  v.pipe(
    v.string(),
    v.check((text) => isIP(text) !== 0 || NAME.test(text), 'neither a host name nor an address'),
    v.transform((text) => text.toLowerCase()),
  ),
  'a host name or an address, without port',
  '"gateway.local"',
);

export const pemFile = (example: string) =>
  value(v.pipe(v.string(), v.minLength(1, 'empty')), 'the path of a PEM file', example);

export const Console = v.pipe(
  v.strictObject({
    listen,
    names: v.optional(v.pipe(v.array(name), v.maxLength(16, 'more than 16 names')), []),
    cert: v.optional(pemFile('"/etc/cpns/console.pem"')),
    key: v.optional(pemFile('"/etc/cpns/console.key"')),
  }),
  v.check(({ cert, key }) => (cert === undefined) === (key === undefined), 'cert and key belong together'),
  v.transform((config): ConsoleConfig => config),
);
