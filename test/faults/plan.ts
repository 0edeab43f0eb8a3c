/**
 * What the harness tells a process under test before it starts, and what the two say to each other over descriptor 3.
 * Types and encoding only; the process's side is preload.ts, the harness's side is party.ts.
 */
export const PARTIES = ['pne', 'gw2', 'server', 'gw1'] as const;
export type Party = (typeof PARTIES)[number];

export const ROLES: Readonly<Record<Party, 'pne' | 'gateway' | 'server'>> = {
  pne: 'pne',
  gw2: 'gateway',
  server: 'server',
  gw1: 'gateway',
};

/** `before` anything of it was done; `between` its durable write and what follows; `after` all of it, sends included. */
export type When = 'before' | 'between' | 'after';

/** Methods of the product's classes that handle something outside a machine. */
export type TrappedMethod = 'onConfirmRequest' | 'onRegistrationResponse' | 'saveInventory';

/** One kind of thing a process does. */
export type Point =
  /** A machine takes an input. `turn`: what it sent has left the process before `after`. */
  | {
      readonly machine: string;
      readonly state: string;
      readonly input: string;
      readonly turn?: boolean;
    }
  /** A machine hands a message to the link. */
  | { readonly machine: string; readonly sends: string }
  | { readonly method: TrappedMethod; readonly turn?: boolean };

/** Where a process stops, once, until it is told to go on. */
export interface Trap {
  readonly point: Point;
  readonly when: When;
}

export type FrameKind = 'pne-confirm-request' | 'pn-registration-response' | 'join-outcome';
export type Route = 'registration' | 'response' | 'confirmation';

/** Faults that the process makes itself, once, and reports. */
export type OwnFault =
  /** At the server: the connection is reset in place of handling the request, or in place of the answer. */
  | { readonly kind: 'reset-request'; readonly route: Route; readonly when: 'before' | 'after' }
  /** At the server: the channel is reset in place of a frame of this kind, or in place of reading its acknowledgement. */
  | { readonly kind: 'reset-frame'; readonly frame: FrameKind; readonly when: 'before' | 'after' }
  /** At a gateway: the request goes out twice. */
  | { readonly kind: 'request-twice'; readonly route: Route }
  /** At the server: the frame goes out twice. */
  | { readonly kind: 'frame-twice'; readonly frame: FrameKind }
  /** The input is fed twice. */
  | { readonly kind: 'input-twice'; readonly machine: string; readonly input: string };

/** Defects planted to see the harness bite. */
export const DEFECTS = ['pending-not-written', 'verified-before-written'] as const;
export type Defect = (typeof DEFECTS)[number];

export interface Plan {
  /** Name in the journal; of the matrix's four it is a {@link Party}. */
  readonly party: string;
  readonly role: 'pne' | 'gateway' | 'server';
  readonly stateDir: string;
  /** Holds the number of milliseconds that this party's wall clock is off. */
  readonly clockFile: string;
  /** Where it listens for errands, see preload-errands.ts; absent for none. */
  readonly errands?: string;
  readonly trap?: Trap;
  readonly fault?: OwnFault;
  readonly defect?: Defect;
}

export const PLAN_VARIABLE = 'CPNS_FAULT_PLAN';

/** A line from the process. Lines that are journal entries begin with `{"atNs"`. */
export type FromProcess =
  | { readonly stopped: When }
  /** An own fault, or a reset that was asked for, has happened. */
  | { readonly done: string }
  /** It could not be. */
  | { readonly failed: string };

/** What a stopped process may be told. */
export type ToProcess = 'go' | 'reset';
