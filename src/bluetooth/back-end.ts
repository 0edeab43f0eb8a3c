/**
 * The back-ends there are, by the name that a configuration writes. Owns the table; a back-end's packages are loaded only
 * when something is opened on it.
 */
import type { LoadCentral } from './central.ts';
import { abandonwareCentral } from './central-abandonware.ts';
import { stoprocentCentral } from './central-stoprocent.ts';
import type { LoadPeripheral } from './peripheral.ts';
import { abandonwarePeripheral } from './peripheral-abandonware.ts';
import { stoprocentPeripheral } from './peripheral-stoprocent.ts';

/** Whose noble and bleno: those of abandonware are always installed, those of stoprocent only where wanted. */
export const BACK_ENDS = ['abandonware', 'stoprocent'] as const;
export type BackEnd = (typeof BACK_ENDS)[number];

export interface BackEndChoice {
  /** Default: `abandonware`. */
  readonly backEnd?: BackEnd | undefined;
}

interface Libraries {
  readonly central: LoadCentral;
  readonly peripheral: LoadPeripheral;
}

const LIBRARIES: Readonly<Record<BackEnd, Libraries>> = {
  abandonware: { central: abandonwareCentral, peripheral: abandonwarePeripheral },
  stoprocent: { central: stoprocentCentral, peripheral: stoprocentPeripheral },
};

export function librariesOf({ backEnd = 'abandonware' }: BackEndChoice): Libraries {
  return LIBRARIES[backEnd];
}
