/**
 * What a PNE tells whoever runs it: what its links tell, and of its radio. Types only.
 */
import type { RadioState } from '../../bluetooth/returning.ts';
import type { PneLinkEvent } from './link-events.ts';

export type PneEvent = PneLinkEvent | ({ readonly kind: 'radio' } & RadioState);
