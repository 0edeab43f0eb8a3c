/**
 * The rows of the fault matrix: for each step of docs/protocol.md §1 the party that handles its message, the exact points
 * around that handling, the message's way, and the deadline (§10) that runs while its handler is silent. Data only.
 */
import type { FrameKind, Party, Point, Route } from './plan.ts';

export interface StepRow {
  readonly step: number;
  readonly name: string;
  readonly handler: Party;
  /** Where the handler stops. An absent `between` means that the handler writes nothing in this step. */
  readonly points: { readonly before: Point; readonly between?: Point; readonly after: Point };
  /** How the message comes; absent for what happens inside one party. */
  readonly way?:
    | { readonly over: 'ble'; readonly sender: Party; readonly sends: Point; readonly fed: [string, string] }
    | { readonly over: 'request'; readonly route: Route }
    | { readonly over: 'answer'; readonly route: Route; readonly fed: [string, string] }
    | { readonly over: 'channel'; readonly frame: FrameKind };
  /** Who waits for the handler's next word, and how long. */
  readonly stall: { readonly waits: Party; readonly deadlineMs: number };
}

const PNE = 'pne';
const GW2 = 'initiating gateway';
const GW1 = 'home gateway';
const SERVER = 'server';

const at = (machine: string, state: string, input: string, turn = false): Point => ({
  machine,
  state,
  input,
  ...(turn && { turn }),
});

/** Before and after one input of one machine. */
const around = (machine: string, state: string, input: string) => ({
  before: at(machine, state, input),
  after: at(machine, state, input, true),
});

const ble = (sender: Party, message: string) => {
  const [from, to] = sender === 'pne' ? [PNE, GW2] : [GW2, PNE];
  return {
    over: 'ble',
    sender,
    sends: { machine: from, sends: message },
    fed: [to, message] as [string, string],
  } as const;
};

/** The server's word on an HTTPS request: longest a gateway waits for one answer. */
const ANSWER_MS = 10_000;
/** In a stalled cell of step 8 the server's configuration says so, in place of ten minutes. */
export const STALLED_CONFIRM_SECONDS = 12;

export const STEPS: readonly StepRow[] = [
  {
    step: 0,
    name: 'discovery, OPEN',
    handler: 'gw2',
    points: {
      before: at(GW2, 'opening', 'opened'),
      after: at(GW2, 'opening', 'opened'),
    },
    stall: { waits: 'pne', deadlineMs: 3_000 },
  },
  {
    step: 1,
    name: 'setup request',
    handler: 'pne',
    points: {
      before: at(PNE, 'awaiting-setup-request', 'PnSetupRequest'),
      after: at(PNE, 'deciding', 'decided', true),
    },
    way: ble('gw2', 'PnSetupRequest'),
    stall: { waits: 'gw2', deadlineMs: 60_000 },
  },
  {
    step: 2,
    name: 'setup response',
    handler: 'gw2',
    points: around(GW2, 'awaiting-setup-response', 'PnSetupResponse'),
    way: ble('pne', 'PnSetupResponse'),
    stall: { waits: 'pne', deadlineMs: 30_000 },
  },
  {
    step: 3,
    name: 'registration request',
    handler: 'server',
    points: {
      before: at(SERVER, 'new', 'registrationRequest'),
      between: at(SERVER, 'signing-challenge', 'signed'),
      after: at(SERVER, 'signing-challenge', 'signed', true),
    },
    way: { over: 'request', route: 'registration' },
    stall: { waits: 'gw2', deadlineMs: ANSWER_MS },
  },
  {
    step: 4,
    name: 'challenge',
    handler: 'gw2',
    points: around(GW2, 'awaiting-challenge', 'challenged'),
    way: { over: 'answer', route: 'registration', fed: [GW2, 'challenged'] },
    stall: { waits: 'pne', deadlineMs: 30_000 },
  },
  {
    step: 5,
    name: 'challenge relayed',
    handler: 'pne',
    points: {
      before: at(PNE, 'awaiting-challenge', 'AuthenticationChallenge'),
      between: at(PNE, 'awaiting-challenge', 'AuthenticationChallenge'),
      after: at(PNE, 'signing', 'signed', true),
    },
    way: ble('gw2', 'AuthenticationChallenge'),
    stall: { waits: 'gw2', deadlineMs: 10_000 },
  },
  {
    step: 6,
    name: 'response',
    handler: 'gw2',
    points: {
      ...around(GW2, 'awaiting-response', 'AuthenticationResponse'),
      between: at(GW2, 'awaiting-response', 'AuthenticationResponse'),
    },
    way: ble('pne', 'AuthenticationResponse'),
    stall: { waits: 'pne', deadlineMs: 60_000 },
  },
  {
    step: 7,
    name: 'response relayed',
    handler: 'server',
    points: {
      ...around(SERVER, 'challenged', 'authenticationResponse'),
      between: at(SERVER, 'challenged', 'authenticationResponse'),
    },
    way: { over: 'request', route: 'response' },
    stall: { waits: 'gw2', deadlineMs: ANSWER_MS },
  },
  {
    step: 8,
    name: 'confirm request',
    handler: 'gw1',
    points: {
      before: { method: 'onConfirmRequest' },
      between: at(GW1, 'signing', 'signed'),
      after: at(GW1, 'signing', 'signed', true),
    },
    way: { over: 'channel', frame: 'pne-confirm-request' },
    stall: { waits: 'server', deadlineMs: STALLED_CONFIRM_SECONDS * 1000 },
  },
  {
    step: 9,
    name: 'confirm response',
    handler: 'server',
    points: {
      before: at(SERVER, 'verified', 'confirmAnswer'),
      after: at(SERVER, 'verified', 'confirmAnswer'),
    },
    way: { over: 'request', route: 'confirmation' },
    stall: { waits: 'gw1', deadlineMs: ANSWER_MS },
  },
  {
    step: 10,
    name: 'registration',
    handler: 'server',
    points: {
      ...around(SERVER, 'signing-inventory', 'signed'),
      between: at(SERVER, 'signing-inventory', 'signed'),
    },
    stall: { waits: 'gw1', deadlineMs: ANSWER_MS },
  },
  {
    step: 11,
    name: 'registration response',
    handler: 'gw2',
    points: {
      before: { method: 'onRegistrationResponse' },
      after: { method: 'onRegistrationResponse', turn: true },
    },
    way: { over: 'channel', frame: 'pn-registration-response' },
    stall: { waits: 'pne', deadlineMs: 60_000 },
  },
  {
    step: 12,
    name: 'inventory stored',
    handler: 'gw2',
    points: { before: { method: 'saveInventory' }, after: { method: 'saveInventory' } },
    stall: { waits: 'pne', deadlineMs: 60_000 },
  },
  {
    step: 13,
    name: 'setup notify',
    handler: 'pne',
    points: {
      ...around(PNE, 'awaiting-notify', 'PnSetupNotify'),
      between: at(PNE, 'awaiting-notify', 'PnSetupNotify'),
    },
    way: ble('gw2', 'PnSetupNotify'),
    stall: { waits: 'gw2', deadlineMs: 10_000 },
  },
  {
    step: 14,
    name: 'acknowledgement',
    handler: 'gw2',
    points: {
      ...around(GW2, 'notifying', 'Ack'),
      between: at(GW2, 'notifying', 'Ack'),
    },
    way: ble('pne', 'Ack'),
    stall: { waits: 'pne', deadlineMs: 30_000 },
  },
];
