/**
 * Which defects the libraries of each back-end have as they come; the conformance suite (guards-*.test.ts) shows the marks
 * of N, B1 to B7, X2 and S1 to be true, S2 and S3 were read in the source. docs/decisions/0007-second-back-end.md has the
 * same table. Numbers as in the guards.
 */
import type { BackEnd } from '../../src/bluetooth/back-end.ts';

export interface Defect {
  readonly number: string;
  readonly what: string;
  /** Said where it is not there, or has another face. */
  readonly inFork: string;
  readonly abandonware: boolean;
  readonly stoprocent: boolean;
}

const defect = (
  number: string,
  what: string,
  in_: 'both' | 'abandonware' | 'stoprocent',
  inFork = '',
): Defect => ({
  ...{ number, what, inFork },
  abandonware: in_ !== 'stoprocent',
  stoprocent: in_ !== 'abandonware',
});

export const DEFECTS: readonly Defect[] = [
  defect('N1', 'a write in the tick of a disconnect ends the process', 'abandonware'),
  defect('N2', 'an ATT error in answer to a write: the promise never settles', 'both'),
  defect('N5', 'takes the MTU of the peer without min()', 'both'),
  defect('N6', 'connected before the MTU is known', 'both'),
  defect('N7', 'an oversize write goes out as it is', 'both'),
  defect('N8', 'a peer that refuses the MTU exchange blocks every request', 'both'),
  defect('N10', 'disconnecting what is not connected drops handle 0', 'both'),
  defect('N11', "giving up a queued connect cancels another's", 'both'),
  defect('N12', 'connecting to a vanished peer pends for ever, with all behind it', 'both'),
  defect('N13', 'supervision timeout of 420 ms', 'both'),
  defect('N14', 'what is awaited at a disconnect never settles', 'abandonware'),
  defect('N15', 'a scan that the controller ended stays ended; every address heard is kept', 'both'),
  defect('B1', 'a notify after the disconnect: deaf to all later centrals', 'abandonware', 'it throws'),
  defect('B2', 'disconnecting handle 0 does nothing', 'abandonware', 'it ends every link'),
  defect('B3', 'connections of noble on its adapter, and failed ones, count as its own', 'both'),
  defect('B5', 'a notify over the MTU is cut without a word', 'both'),
  defect('B6', 'a refusal to advertise: the callback is never called', 'abandonware'),
  defect('B7', 'a second central makes the first deaf', 'abandonware', 'serves several, without a limit'),
  defect('X2', 'a timer and listeners stay on the process', 'both'),
  defect('S1', 'resets the controller at start and before a first connection', 'stoprocent'),
  defect('S2', "a central whose radio takes nothing holds up the others' packets", 'stoprocent'),
  defect('S3', 'a management socket of the kernel for each central', 'stoprocent'),
];

export function isThere(number: string, backEnd: BackEnd): boolean {
  const found = DEFECTS.find((each) => each.number === number);
  if (found === undefined) throw new Error(`no defect ${number}`);
  return found[backEnd];
}
