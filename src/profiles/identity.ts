/**
 * What is known of an adapter, and how far a profile's conditions hold for it: yes, no, or not known. Pure: who asks the
 * kernel and the controller is src/bluetooth/adapter-identity.ts.
 * Source of the rule for CSR clones: btusb_setup_csr() in drivers/bluetooth/btusb.c of Linux.
 */
import type { MatchConditions } from './schema.ts';

export type Bus = 'usb' | 'uart' | 'virtual' | 'socket';

/** Numbers of HCI Read Local Version Information. */
export interface HciVersion {
  readonly version: number;
  readonly revision: number;
  readonly lmpVersion: number;
  readonly manufacturer: number;
  readonly lmpSubversion: number;
}

/** `null` is not known, or not there. */
export interface AdapterIdentity {
  readonly deviceTreeModel: string | null;
  readonly bus: Bus | null;
  readonly usb: {
    readonly vendor: number;
    readonly product: number;
    readonly bcdDevice: number | null;
  } | null;
  readonly hci: HciVersion | null;
  readonly driver: string | null;
  /** `uname -r`. */
  readonly kernel: string | null;
}

export const UNKNOWN_ADAPTER: AdapterIdentity = {
  ...{ deviceTreeModel: null, bus: null, usb: null, hci: null, driver: null, kernel: null },
};

export interface Verdict {
  readonly holds: 'yes' | 'no' | 'unknown';
  /** One sentence for each condition that holds. */
  readonly because: readonly string[];
  /** What would have to be known. */
  readonly unknown: readonly string[];
  /** How much the conditions that hold say: a model or a USB id more than a maker. */
  readonly weight: number;
}

type Held = readonly [weight: number, because: string];
type Checked = Held | 'no' | { readonly unknown: string };

const hex = (number: number): string => number.toString(16).padStart(4, '0');
const same = (wanted: readonly string[], found: string, weight: number, what: string): Checked =>
  wanted.includes(found) ? [weight, `${what} is ${found}`] : 'no';

const HCI_UNKNOWN = { unknown: 'HCI version (the adapter was not opened)' } as const;

const CHECKS: Readonly<
  Record<
    Exclude<keyof MatchConditions, 'why' | 'sources'>,
    (wanted: MatchConditions, of: AdapterIdentity) => Checked
  >
> = {
  deviceTreeModel: ({ deviceTreeModel: wanted = [] }, { deviceTreeModel: found }) => {
    if (found === null) return { unknown: 'device-tree model' };
    const plain = found.replace(/ Rev \d+(\.\d+)*$/, '');
    return wanted.includes(plain) ? [8, `the device tree says ${found}`] : 'no';
  },
  bus: ({ bus: wanted = '' }, { bus: found }) =>
    found === null ? { unknown: 'bus' } : same([wanted], found, 1, 'the bus'),
  usb: ({ usb: wanted = [] }, { usb: found, bus }) => {
    if (found === null) return bus === null || bus === 'usb' ? { unknown: 'USB id' } : 'no';
    return same(wanted, `${hex(found.vendor)}:${hex(found.product)}`, 4, 'the USB id');
  },
  manufacturer: ({ manufacturer: wanted = [] }, { hci }) =>
    hci === null ? HCI_UNKNOWN : same(wanted, `0x${hex(hci.manufacturer)}`, 2, 'the manufacturer'),
  lmpSubversion: ({ lmpSubversion: wanted = [] }, { hci }) =>
    hci === null ? HCI_UNKNOWN : same(wanted, `0x${hex(hci.lmpSubversion)}`, 2, 'the LMP subversion'),
  csrFirmware: ({ csrFirmware: wanted }, { hci, usb }) => {
    if (hci === null) return HCI_UNKNOWN;
    const found = csrFirmware(hci, usb?.bcdDevice ?? null);
    return found.kind === wanted ? [2, found.because] : 'no';
  },
};

/** How far one alternative of a profile holds. */
export function checkConditions(wanted: MatchConditions, of: AdapterIdentity): Verdict {
  const because: string[] = [];
  const unknown = new Set<string>();
  let weight = 0;
  for (const [name, check] of Object.entries(CHECKS)) {
    if (wanted[name as keyof MatchConditions] === undefined) continue;
    const result = check(wanted, of);
    if (result === 'no') return { holds: 'no', because: [], unknown: [], weight: 0 };
    if ('unknown' in result) unknown.add(result.unknown);
    else {
      weight += result[0];
      because.push(result[1]);
    }
  }
  return { holds: unknown.size === 0 ? 'yes' : 'unknown', because, unknown: [...unknown], weight };
}

const MANUFACTURER_CSR = 10;
/** Newest firmware number of a real CSR chip up to each HCI version: 1.1, 1.2, 2.0, 2.1 and 4.0. */
const NEWEST_CSR: readonly (readonly [subversion: number, hciVersion: number])[] = [
  [0x034e, 1],
  [0x0529, 2],
  [0x0c5c, 3],
  [0x1899, 4],
  [0x22bb, 6],
];

/** Real CSR firmware states its number as HCI revision and as LMP subversion, and no newer Bluetooth than it had then. */
export function csrFirmware(
  { manufacturer, revision, lmpSubversion, version }: HciVersion,
  bcdDevice: number | null,
): { readonly kind: 'genuine' | 'clone'; readonly because: string } {
  const clone = (because: string) => ({ kind: 'clone', because }) as const;
  if (manufacturer !== MANUFACTURER_CSR) return clone(`manufacturer ${manufacturer} is not CSR (10)`);
  if (revision !== lmpSubversion) {
    return clone(`HCI revision 0x${hex(revision)} is not LMP subversion 0x${hex(lmpSubversion)}`);
  }
  const newest = NEWEST_CSR.find(([subversion]) => lmpSubversion <= subversion);
  if (newest && version > newest[1]) {
    return clone(`firmware 0x${hex(lmpSubversion)} is older than HCI version ${version} that it states`);
  }
  if (bcdDevice === 0x0134 && lmpSubversion === 0x0c5c && version === 3) {
    return clone('bcdDevice 0x0134 with firmware 0x0c5c is a known clone');
  }
  return { kind: 'genuine', because: `HCI revision and LMP subversion are both 0x${hex(lmpSubversion)}` };
}
