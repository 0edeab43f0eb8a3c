/**
 * By which names and addresses this host is reached: what a new certificate holds, what links begin with, and the check
 * that a request means this host. That check is what stops DNS rebinding: a page of somebody else's name that resolves to
 * this address says that name in Host.
 */
import { isIP } from 'node:net';
import { hostname, type NetworkInterfaceInfo, networkInterfaces } from 'node:os';

export class Hosts {
  /** In lower case. */
  readonly #configured: readonly string[];

  constructor(configured: readonly string[]) {
    this.#configured = configured;
  }

  /** Names first: the configured ones, this host's own, its addresses. */
  names(): readonly string[] {
    const own = hostname().toLowerCase();
    const local = own === '' || own.includes('.') || isIP(own) !== 0 ? [] : [`${own}.local`];
    return [
      ...new Set([...this.#configured, ...local, own, ...lanAddresses(), 'localhost', '127.0.0.1']),
    ].filter((name) => name !== '');
  }

  /** @param host of a Host header: a name or an address, with or without port */
  isOwn(host: string | undefined): boolean {
    const name = hostPart(host);
    if (name === undefined) return false;
    return this.names().includes(name) || (isIP(name) !== 0 && addresses().includes(name));
  }
}

/** What a Host header names, without port and brackets, in lower case; undefined when it is no host. */
function hostPart(host: string | undefined): string | undefined {
  const [, bracketed, plain] =
    /^(?:\[([0-9a-f:.]{2,45})\]|([a-z0-9.-]{1,253}))(?::\d{1,5})?$/i.exec(host ?? '') ?? [];
  return (bracketed ?? plain)?.toLowerCase();
}

/** Whether it is a name, which passkeys are for, and no address. @param host without port */
export function isName(host: string): boolean {
  return isIP(host.replace(/^\[|\]$/g, '')) === 0;
}

/** A host as it stands in an address of the web. */
export function hostInUrl(name: string): string {
  return isIP(name) === 6 ? `[${name}]` : name;
}

/** Of all of this host's interfaces; none where the system does not let them be listed. */
function interfaces(): readonly NetworkInterfaceInfo[] {
  try {
    return Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  } catch {
    return [];
  }
}

function addresses(): readonly string[] {
  return interfaces().map(({ address }) => address.toLowerCase());
}

/** Those that another host can use: no loopback, nothing that needs a zone. */
function lanAddresses(): readonly string[] {
  return interfaces()
    .filter(({ internal, address }) => !internal && !/^fe80:/i.test(address))
    .map(({ address }) => address.toLowerCase());
}
