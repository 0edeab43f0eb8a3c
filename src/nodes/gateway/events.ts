/**
 * What a gateway tells whoever runs it: links, members, what a join waits for, what went wrong. Types only.
 */
import type { Bytes } from '../../base/bytes.ts';
import type { Status } from '../../base/statuses.ts';
import type { RadioState } from '../../bluetooth/returning.ts';
import type { HomeGatewayEvent } from './home-gateway.ts';
import type { WaitingFor } from './registrations.ts';

export type GatewayEvent =
  | HomeGatewayEvent
  | ({ readonly kind: 'radio' } & RadioState)
  | { readonly kind: 'channel'; readonly state: 'up' | 'down' }
  | {
      readonly kind: 'link';
      readonly address: string;
      readonly state: 'up' | 'down';
      readonly status?: Status;
    }
  | { readonly kind: 'member'; readonly pnId: string; readonly joinId: string; readonly version: number }
  | {
      readonly kind: 'waiting';
      readonly pnId: string;
      readonly joinId: string;
      readonly status: WaitingFor;
    }
  | { readonly kind: 'problem'; readonly what: string; readonly status: Status; readonly txn?: string }
  | { readonly kind: 'data'; readonly pnId: string; readonly joinId: string; readonly bytes: Bytes };
