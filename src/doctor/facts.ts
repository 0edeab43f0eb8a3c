/**
 * What the doctor looks at, as plain records: the probes fill them in, the judges read nothing else. Owns their shapes, and
 * the difference between "is not so" and "could not be seen". Must not do I/O or hold an opinion.
 */
import type { ConnectedPeer, ControllerInfo } from '../bluetooth/hci/management.ts';
import type { Role } from '../config/paths.ts';
import type { AdapterIdentity, HciVersion } from '../profiles/identity.ts';

/** A thing that was looked at, or why it could not be. */
export type Seen<T> =
  | { readonly seen: true; readonly value: T }
  | { readonly seen: false; readonly why: string };

export const seen = <T>(value: T): Seen<T> => ({ seen: true, value });
export const unseen = (why: string): Seen<never> => ({ seen: false, why });

/** The value, when it was seen. */
export const known = <T>(fact: Seen<T>): T | undefined => (fact.seen ? fact.value : undefined);

export interface HostFacts {
  /** Of the Node that runs this. */
  readonly node: { readonly version: string; readonly path: string };
  /** Native package → why it can't be loaded; absent when it can. */
  readonly nativeFaults: Readonly<Record<string, string>>;
  /** What a Node started now by this user may do. */
  readonly capabilities: Seen<{ readonly netRaw: boolean; readonly netAdmin: boolean }>;
  readonly clock: {
    readonly wallSeconds: number;
    /** Whether the system says that its clock was set from the network. */
    readonly synchronised: Seen<boolean>;
    /** No clock that is right is behind this: when this program was made. */
    readonly madeAtSeconds: number;
  };
}

export interface ProcessFact {
  readonly pid: number;
  /** Name of the program, at most 15 characters. */
  readonly name: string;
  /** `NAME.service` when systemd started it. */
  readonly unit: string | undefined;
  /** It is a cpns daemon. */
  readonly own: boolean;
}

export interface KernelFacts {
  /** `uname -r`. */
  readonly release: string;
  readonly bluetooth: 'there' | 'not-loaded' | 'none';
  /** The firmware was told to switch the built-in adapter off (a Raspberry Pi's config.txt): the file that says so. */
  readonly disabledBy: string | undefined;
  readonly bluetoothd: ProcessFact | undefined;
  /** Programs that hold an HCI socket of any kind, as far as this user can see. */
  readonly hciPrograms: Seen<readonly ProcessFact[]>;
}

/** What the adapter's firmware profile says, as far as the doctor reads it. */
export interface ProfileFact {
  readonly name: string;
  readonly title: string;
  /** Links at once; undefined when nobody knows. */
  readonly links: number | undefined;
  readonly channel: 'raw' | 'user';
  /** Why that channel on this kernel, a sentence. */
  readonly why: string;
  /** Why it is not to be relied upon, sentences. */
  readonly warnings: readonly string[];
}

export interface AdapterFacts {
  readonly index: number;
  /** With the numbers of the controller, where it told them. */
  readonly identity: AdapterIdentity;
  readonly profile: ProfileFact;
  readonly rfkill: { readonly soft: boolean; readonly hard: boolean } | undefined;
  readonly up: Seen<boolean>;
  /** What the kernel's management knows; `hidden` while it is in set-up or in a user channel. */
  readonly info: Seen<ControllerInfo | 'hidden'>;
  /** `silent` when the controller did not answer. */
  readonly version: Seen<HciVersion | 'silent'>;
  /** Bits of LE Read Local Supported Features. */
  readonly leFeatures: Seen<bigint>;
  /** HCI status of setting scan parameters: 0x0c while somebody scans, 0 while nobody does. */
  readonly scanAnswer: Seen<number>;
  /** The same for advertising. */
  readonly advertiseAnswer: Seen<number>;
  readonly supervisionTimeoutMs: Seen<number>;
  readonly connections: Seen<readonly ConnectedPeer[]>;
}

export interface RoleFacts {
  readonly role: Role;
  readonly configFile: string | undefined;
  /** What is wrong with the configuration, in the words of src/config. */
  readonly configFault: string | undefined;
  /** Moniker of its adapter; absent for a server and where there is no configuration. */
  readonly adapter: string | undefined;
  /** Whether a virtual radio listens there, of an adapter that is one. */
  readonly radio: boolean | undefined;
  readonly randomAddress: boolean;
  /** The Bluetooth libraries it uses: `abandonware`, `stoprocent`. */
  readonly backEnd: string | undefined;
  /** Name of the firmware profile that its configuration names. */
  readonly profile: string | undefined;
  readonly stateDir: string;
  readonly state: StateFacts;
  /** `GET status` of its daemon; `none` when none runs, `silent` when it took the question and gave no answer. */
  readonly daemon: Seen<Readonly<Record<string, unknown>> | 'none' | 'silent'>;
  readonly enrolled: Seen<boolean>;
  /** A systemd unit for it gives it the capabilities. */
  readonly unit:
    | { readonly name: string; readonly user: string | undefined; readonly capable: boolean }
    | undefined;
  /** Of a gateway that knows its server. */
  readonly server: ServerFacts | undefined;
}

export interface StateFacts {
  readonly exists: boolean;
  /** This process may look into it. */
  readonly visible: boolean;
  /** Whoever runs the role may write into it. */
  readonly usable: boolean;
  /** Others may look into it. */
  readonly open: boolean;
  readonly owner: string;
  /** The user of the service that it is for; undefined for whoever runs this. */
  readonly user: string | undefined;
  readonly freeBytes: Seen<number>;
}

export interface ServerFacts {
  readonly url: string;
  /** Code of Node or OpenSSL when it could not be reached or believed; undefined when it answered. */
  readonly fault: string | undefined;
  /** How far this host's clock is ahead of the server's, seconds; negative when it is behind. */
  readonly aheadSeconds: Seen<number>;
}

export interface WifiFacts {
  readonly name: string;
  /** On the same chip as a built-in Bluetooth adapter, as far as its driver tells. */
  readonly combo: boolean;
  /** MHz of the channel; undefined while not connected. */
  readonly frequency: Seen<number | undefined>;
}

export interface Facts {
  readonly host: HostFacts;
  readonly kernel: KernelFacts;
  /** Those that somebody is to use. */
  readonly adapters: readonly AdapterFacts[];
  /** The rest, of which was looked at what they are. */
  readonly otherAdapters: readonly Pick<AdapterFacts, 'index' | 'profile'>[];
  readonly roles: readonly RoleFacts[];
  readonly wifi: readonly WifiFacts[];
  /** Whether a virtual radio listens where the command line says; undefined when it says nothing of one. */
  readonly radio: boolean | undefined;
}
