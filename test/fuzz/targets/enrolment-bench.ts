/** An enrolment machine to play with: its table, and the honest step from each of its states. */
import { GATEWAY_ENROL_TABLE } from '../../../src/enrolment/gateway.ts';
import { PNE_ENROL_TABLE } from '../../../src/enrolment/pne.ts';
import {
  GATEWAY_STATES,
  GATEWAY_STEPS,
  gatewayAt,
  PNE_STATES,
  PNE_STEPS,
  pneAt,
} from '../../enrolment/bench.ts';
import type { Played } from './machines.ts';

/** Fresh, in its first state. */
export function enrolmentBench(side: 'pne' | 'gateway'): Played {
  if (side === 'pne') {
    const bench = pneAt('opening');
    const next = () => PNE_STEPS[PNE_STATES.indexOf(bench.machine.state)]?.(bench) ?? { kind: 'stop' };
    return {
      ...{ machine: bench.machine as never, table: PNE_ENROL_TABLE as never },
      ...{ feed: (input) => bench.feed(input as never), next },
    };
  }
  const bench = gatewayAt('opening');
  const next = () => GATEWAY_STEPS[GATEWAY_STATES.indexOf(bench.machine.state)]?.(bench) ?? { kind: 'stop' };
  return {
    ...{ machine: bench.machine as never, table: GATEWAY_ENROL_TABLE as never },
    ...{ feed: (input) => bench.feed(input as never), next },
  };
}
