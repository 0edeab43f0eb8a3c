/** An enrolment machine to play with: its table, and the honest step from each of its states. */
import { GATEWAY_ENROL_TABLE } from '../../../src/enrolment/gateway.ts';
import { PNE_ENROL_TABLE } from '../../../src/enrolment/pne.ts';
import {
  GATEWAY_STATES,
  GATEWAY_STEPS,
  gatewayOf,
  PNE_STATES,
  PNE_STEPS,
  pneOf,
} from '../../enrolment/bench.ts';
import type { Played } from './machines.ts';

/** Fresh, in its first state. @param codeOf who shows the code: of the gateway's the digits are compared */
export function enrolmentBench(side: 'pne' | 'gateway', codeOf: 'pne' | 'gateway'): Played {
  if (side === 'pne') {
    const bench = pneOf(codeOf);
    const next = () => {
      const { state } = bench.machine;
      const step = PNE_STEPS[PNE_STATES.indexOf(state === 'comparing' ? 'awaiting-receipt' : state)];
      return step?.(bench) ?? { kind: 'stop' };
    };
    return {
      ...{ machine: bench.machine as never, table: PNE_ENROL_TABLE as never },
      ...{ feed: (input) => bench.feed(input as never), next },
    };
  }
  const bench = gatewayOf(codeOf);
  const next = () => {
    const { state } = bench.machine;
    if (state === 'comparing') return { kind: 'compared', status: 'ok' };
    return GATEWAY_STEPS[GATEWAY_STATES.indexOf(state)]?.(bench) ?? { kind: 'stop' };
  };
  return {
    ...{ machine: bench.machine as never, table: GATEWAY_ENROL_TABLE as never },
    ...{ feed: (input) => bench.feed(input as never), next },
  };
}
