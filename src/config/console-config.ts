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
  /** `HOST[:PORT]` of push services besides the known ones, in lower case. */
  readonly pushHosts: readonly string[];
  /** Whom a push service may turn to: `mailto:…` or `https://…`. */
  readonly pushContact: string;
}

/** Nobody reads it; a push service that wants to reach its senders gets one from the configuration. */
export const NO_CONTACT = 'mailto:nobody@example.invalid';

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

const isPushHost = (text: string): boolean => {
  const url = URL.canParse(`https://${text}/`) ? new URL(`https://${text}/`) : undefined;
  return url !== undefined && url.host === text.toLowerCase() && url.hostname !== '';
};
const pushHost = value(
  v.pipe(
    v.string(),
    v.check(isPushHost, 'no host of a push service'),
    v.transform((text) => text.toLowerCase()),
  ),
  'HOST[:PORT] of a push service, the port only when it is not 443',
  '"push.example.net"',
);
const contact = value(
  v.pipe(v.string(), v.maxLength(256), v.regex(/^(mailto:[^@\s]+@[^@\s]+|https:\/\/\S+)$/, 'no contact')),
  'mailto: and an address, or the https:// address of a page',
  '"mailto:me@example.net"',
);

export const Console = v.pipe(
  v.strictObject({
    listen,
    names: v.optional(v.pipe(v.array(name), v.maxLength(16, 'more than 16 names')), []),
    cert: v.optional(pemFile('"/etc/cpns/console.pem"')),
    key: v.optional(pemFile('"/etc/cpns/console.key"')),
    push_hosts: v.optional(v.pipe(v.array(pushHost), v.maxLength(16, 'more than 16 hosts')), []),
    push_contact: v.optional(contact, NO_CONTACT),
  }),
  v.check(({ cert, key }) => (cert === undefined) === (key === undefined), 'cert and key belong together'),
  v.transform(({ push_hosts: pushHosts, push_contact: pushContact, ...config }): ConsoleConfig => {
    return { ...config, pushHosts, pushContact };
  }),
);
