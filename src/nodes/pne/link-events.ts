/**
 * What a PNE's links tell: memberships, refusals, data, what went wrong; and why a PNE makes a link itself. Types only,
 * the same on a host and in a browser.
 */
import type { Bytes } from '../../base/bytes.ts';
import type { Status } from '../../base/statuses.ts';
import type { KnownJoin } from '../../establishment/pne-types.ts';

export type PneLinkEvent =
  /** To be shown: the user of the gateway, which shows the code, is asked whether it shows the same digits. */
  | { readonly kind: 'comparing'; readonly digits: string }
  | { readonly kind: 'enrolled'; readonly userLabel: string; readonly homeAddress: string }
  | { readonly kind: 'joined' | 'resumed' | 'updated'; readonly pnId: string; readonly version: number }
  | { readonly kind: 'refused'; readonly pnId: string; readonly status: Status }
  | { readonly kind: 'data'; readonly bytes: Bytes }
  | { readonly kind: 'problem'; readonly what: string; readonly status: Status }
  | { readonly kind: 'link'; readonly state: 'up' | 'down'; readonly status?: Status };

/** A code that a gateway shows, as the PNE was given it. */
export interface GivenCode {
  readonly secret: Bytes;
  /** T: the first 16 bytes of the gateway's thumbprint. */
  readonly thumbprintPrefix: Bytes;
}

/** Why a PNE makes a link. */
export type PnePurpose =
  | { readonly kind: 'enrol'; readonly code: GivenCode }
  | { readonly kind: 'resume'; readonly join: KnownJoin }
  | { readonly kind: 'establish' };
