/**
 * What a PNE tells whoever runs it: links, memberships, refusals, data, what went wrong. Types only.
 */
import type { Bytes } from '../base/bytes.ts';
import type { Status } from '../base/statuses.ts';
import type { RadioState } from '../bluetooth/returning.ts';

export type PneEvent =
  | { readonly kind: 'enrolled'; readonly userLabel: string; readonly homeAddress: string }
  | { readonly kind: 'joined' | 'resumed' | 'updated'; readonly pnId: string; readonly version: number }
  | { readonly kind: 'refused'; readonly pnId: string; readonly status: Status }
  | { readonly kind: 'data'; readonly bytes: Bytes }
  | { readonly kind: 'problem'; readonly what: string; readonly status: Status }
  | ({ readonly kind: 'radio' } & RadioState)
  | { readonly kind: 'link'; readonly state: 'up' | 'down'; readonly status?: Status };
