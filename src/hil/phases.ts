/**
 * The phases of a run, in order: what each is called, where it begins and ends, and how long it may take. Data only;
 * measured in run.ts.
 */

export interface Phase {
  readonly id: PhaseId;
  readonly title: string;
  /** From where to where, for people. */
  readonly says: string;
  readonly limitMs: number;
}

export const PHASE_IDS = [
  'find',
  'connect',
  'open',
  'establish',
  'to-pne',
  'from-pne',
  'disconnect',
  'find-again',
  'reconnect',
  'resume',
] as const;

export type PhaseId = (typeof PHASE_IDS)[number];

/** Before the first phase: the adapters are opened. */
export type FailurePhase = PhaseId | 'start';

const KIB = 'as four messages of 16 KiB';

export const PHASES: readonly Phase[] = [
  {
    id: 'find',
    title: 'find',
    says: 'the PNE advertises → the gateway asks its controller for a connection',
    limitMs: 20_000,
  },
  {
    id: 'connect',
    title: 'connect',
    says: 'LE Create Connection → service found, MTU exchanged, subscribed; all tries counted',
    limitMs: 20_000,
  },
  { id: 'open', title: 'open', says: 'subscribed → both OPENs exchanged, link keys made', limitMs: 10_000 },
  {
    id: 'establish',
    title: 'establish',
    says: 'steps 1 to 13 with server and home gateway → acknowledged by the PNE',
    limitMs: 30_000,
  },
  {
    id: 'to-pne',
    title: '64 KiB to the PNE',
    says: `${KIB} → digest of what came is back`,
    limitMs: 60_000,
  },
  {
    id: 'from-pne',
    title: '64 KiB from the PNE',
    says: `asked for → the last byte came, ${KIB}`,
    limitMs: 60_000,
  },
  {
    id: 'disconnect',
    title: 'disconnect',
    says: 'the gateway hangs up → both sides have seen the end',
    limitMs: 10_000,
  },
  {
    id: 'find-again',
    title: 'find again',
    says: 'end seen by the gateway → it asks for a connection again',
    limitMs: 20_000,
  },
  { id: 'reconnect', title: 'reconnect', says: 'as connect', limitMs: 20_000 },
  {
    id: 'resume',
    title: 'resume',
    says: 'subscribed → OPENs, Resume and Resumed: the member is live again',
    limitMs: 15_000,
  },
];
