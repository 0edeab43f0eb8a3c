/** Facts of a host on which nothing is wrong, to be spoiled one thing at a time. */
import {
  type AdapterFacts,
  type Facts,
  type HostFacts,
  type KernelFacts,
  type RoleFacts,
  seen,
  type WifiFacts,
} from '../../src/doctor/facts.ts';
import { type HciVersion, UNKNOWN_ADAPTER } from '../../src/profiles/identity.ts';

export const HOST: HostFacts = {
  node: { version: '20.19.0', path: '/usr/bin/node' },
  nativeFaults: {},
  capabilities: seen({ netRaw: true, netAdmin: true }),
  clock: { wallSeconds: 1_790_000_000, synchronised: seen(true), madeAtSeconds: 1_780_000_000 },
};

export const KERNEL: KernelFacts = {
  release: '6.6.31+rpt-rpi-v8',
  bluetooth: 'there',
  disabledBy: undefined,
  bluetoothd: undefined,
  hciPrograms: seen([]),
};

const VERSION: HciVersion = {
  ...{ version: 9, revision: 0x017e, lmpVersion: 9, manufacturer: 305, lmpSubversion: 0x6119 },
};

export const ADAPTER: AdapterFacts = {
  index: 0,
  identity: { ...UNKNOWN_ADAPTER, bus: 'uart', hci: VERSION, kernel: KERNEL.release },
  profile: {
    ...{ name: 'raspberry-pi-4b', title: 'Raspberry Pi 4 Model B', links: 5 },
    ...{ channel: 'user', why: 'nobody else can drive the adapter meanwhile', warnings: [] },
  },
  rfkill: { soft: false, hard: false },
  up: seen(false),
  info: seen({
    address: 'dc:a6:32:00:00:01',
    manufacturer: 305,
    powered: false,
    lowEnergy: true,
    advertising: false,
  }),
  version: seen(VERSION),
  leFeatures: seen(0x21n),
  scanAnswer: seen(0),
  advertiseAnswer: seen(0),
  supervisionTimeoutMs: seen(2000),
  connections: seen([]),
};

export const GATEWAY: RoleFacts = {
  role: 'gateway',
  configFile: '/etc/cpns/gateway.toml',
  configFault: undefined,
  adapter: 'hci:0',
  radio: undefined,
  randomAddress: true,
  profile: undefined,
  backEnd: 'abandonware',
  stateDir: '/var/lib/cpns/gateway',
  state: {
    ...{ exists: true, visible: true, usable: true, open: false, owner: 'pi', user: undefined },
    freeBytes: seen(1e9),
  },
  daemon: seen('none'),
  enrolled: seen(true),
  unit: undefined,
  server: { url: 'https://cpns.example.net:8443', fault: undefined, aheadSeconds: seen(1) },
};

export const PNE: RoleFacts = {
  ...GATEWAY,
  role: 'pne',
  configFile: '/etc/cpns/pne.toml',
  stateDir: '/var/lib/cpns/pne',
  server: undefined,
};

export const WIFI: WifiFacts = { name: 'wlan0', combo: true, frequency: seen(5180) };

/** One gateway on a Raspberry Pi with one built-in adapter. */
export const WELL: Facts = {
  host: HOST,
  kernel: KERNEL,
  adapters: [ADAPTER],
  otherAdapters: [],
  roles: [GATEWAY],
  wifi: [WIFI],
  radio: undefined,
};

type Spoiling = {
  readonly host?: Partial<HostFacts>;
  readonly kernel?: Partial<KernelFacts>;
  readonly adapter?: Partial<AdapterFacts>;
  readonly role?: Partial<RoleFacts>;
};

/** The same with these things otherwise. */
export function spoiled({ host, kernel, adapter, role }: Spoiling, from = WELL): Facts {
  return {
    ...from,
    host: { ...from.host, ...host },
    kernel: { ...from.kernel, ...kernel },
    adapters: from.adapters.map((facts) => ({ ...facts, ...adapter })),
    roles: from.roles.map((facts) => ({ ...facts, ...role })),
  };
}
