/** The libraries behind both ports by back-end. Owns the table; a package is loaded only when something is opened on it. */
import type { BackEnd, BackEndChoice } from './back-end.ts';
import { abandonwareCentral } from './central-abandonware.ts';
import type { LoadCentral } from './central-library.ts';
import { stoprocentCentral } from './central-stoprocent.ts';
import type { LoadPeripheral } from './peripheral.ts';
import { abandonwarePeripheral } from './peripheral-abandonware.ts';
import { stoprocentPeripheral } from './peripheral-stoprocent.ts';

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
