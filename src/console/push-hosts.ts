/**
 * Where the gateway may send a push message. The address comes from a browser, so it is bounded: HTTPS, a push service that
 * is known here or that the configuration names, and for the known ones no address of a private network, whatever DNS says.
 */
import { lookup as resolve } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';

/** Of Chromium and Chrome, Firefox, Safari, Edge; `*.` is any name below. */
const KNOWN = [
  'fcm.googleapis.com',
  'updates.push.services.mozilla.com',
  '*.push.apple.com',
  '*.notify.windows.com',
] as const;
const MAX_ENDPOINT_CHARS = 1_024;

/** A place that may be sent to. */
export interface PushTarget {
  readonly url: URL;
  /** Named in the configuration: its owner knows where it is, be it in the house. */
  readonly isNamed: boolean;
}

/** @param named `HOST[:PORT]` of the configuration @returns undefined for any other place */
export function pushTarget(endpoint: string, named: readonly string[]): PushTarget | undefined {
  if (endpoint.length > MAX_ENDPOINT_CHARS || !URL.canParse(endpoint)) return undefined;
  const url = new URL(endpoint);
  if (url.protocol !== 'https:' || url.username !== '' || url.password !== '' || url.hash !== '')
    return undefined;
  if (named.includes(url.host)) return { url, isNamed: true };
  const isKnown = KNOWN.some((known) =>
    known.startsWith('*.') ? url.hostname.endsWith(known.slice(1)) : url.hostname === known,
  );
  return isKnown && url.port === '' ? { url, isNamed: false } : undefined;
}

const NOT_PUBLIC = new BlockList();
for (const [net, bits] of [
  ...([
    ['0.0.0.0', 8],
    ['10.0.0.0', 8],
    ['100.64.0.0', 10],
    ['127.0.0.0', 8],
    ['169.254.0.0', 16],
  ] as const),
  ...([
    ['172.16.0.0', 12],
    ['192.0.0.0', 24],
    ['192.0.2.0', 24],
    ['192.88.99.0', 24],
  ] as const),
  ...([
    ['192.168.0.0', 16],
    ['198.18.0.0', 15],
    ['198.51.100.0', 24],
    ['203.0.113.0', 24],
  ] as const),
  ...([
    ['224.0.0.0', 4],
    ['240.0.0.0', 4],
  ] as const),
] as const)
  NOT_PUBLIC.addSubnet(net, bits, 'ipv4');
/** Of IPv6 the other way round: only what is given out for the whole world, and of that no way back to IPv4. */
const PUBLIC_6 = new BlockList();
PUBLIC_6.addSubnet('2000::', 3, 'ipv6');
for (const [net, bits] of [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
] as const)
  NOT_PUBLIC.addSubnet(net, bits, 'ipv6');

export function isPublicAddress(address: string): boolean {
  if (isIP(address) === 4) return !NOT_PUBLIC.check(address, 'ipv4');
  return isIP(address) === 6 && PUBLIC_6.check(address, 'ipv6') && !NOT_PUBLIC.check(address, 'ipv6');
}

/** As `dns.lookup`, but a name that leads to any address that is not public leads nowhere. */
export const publicLookup: LookupFunction = (hostname, options, callback) => {
  resolve(hostname, { ...options, all: true }, (error, found) => {
    const [first] = found ?? [];
    if (error || !first) return callback(error ?? new Error('no address'), '', 0);
    if (!found.every(({ address }) => isPublicAddress(address)))
      return callback(new Error('a push service with a private address'), '', 0);
    if (options.all) callback(null, found);
    else callback(null, first.address, first.family);
  });
};
