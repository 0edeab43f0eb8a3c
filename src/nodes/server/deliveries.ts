/**
 * What goes down the channels: entries of the outbox as frames, acknowledgements back into the store.
 * Owns the correspondence of kinds and frames. When and how often something is sent is the hub's business.
 */
import { toHex } from '../../base/bytes.ts';
import type { GatewayId, JoinId } from '../../base/ids.ts';
import type { RegistrationKey } from '../../establishment/server-types.ts';
import type { DeliverySource, Frame } from '../../https/server-channel.ts';
import { ChannelFrame, JoinOutcome, PnRegistrationResponse } from '../../messages/channel.ts';
import { PneConfirmRequest } from '../../messages/confirmation.ts';
import type { Acknowledgement, Delivery, ServerStore } from '../../store/server-store.ts';
import type { TraceEvent } from '../trace.ts';

/** A frame with what the trace says of it. */
export interface OutboxFrame extends Frame {
  readonly delivery: Delivery;
}

const TRACED = {
  'pne-confirm-request': { step: 8, name: 'PneConfirmRequest', to: 'home-gateway' },
  'pn-registration-response': { step: 11, name: 'PnRegistrationResponse', to: 'gateway' },
  'join-outcome': { name: 'JoinOutcome', to: 'home-gateway' },
} as const;

export interface DeliveryPorts {
  readonly store: ServerStore;
  readonly txnOfJoin: (joinId: JoinId) => string | undefined;
  /** The home gateway has the question of this join on disk. */
  readonly onConfirmDelivered: (joinId: JoinId) => void;
  readonly onChange: (gatewayId: GatewayId, up: boolean) => void;
  readonly onNoise: (gatewayId: GatewayId) => void;
  readonly onError: (error: unknown) => void;
  readonly trace: (event: Omit<TraceEvent, 'atMs'>) => void;
}

/** Acknowledgements are written together, this long after the first of them. */
const FLUSH_MS = 10;

export class OutboxSource implements DeliverySource<OutboxFrame> {
  readonly onChange: DeliveryPorts['onChange'];
  readonly onNoise: DeliveryPorts['onNoise'];
  readonly #ports: DeliveryPorts;
  #acknowledged: Acknowledgement[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(ports: DeliveryPorts) {
    this.#ports = ports;
    this.onChange = ports.onChange;
    this.onNoise = ports.onNoise;
  }

  next(gatewayId: GatewayId, after: number, atMost: number): readonly OutboxFrame[] {
    // A new channel begins at the beginning: what was acknowledged on the last one must be gone by then.
    if (after === 0) this.flush();
    return this.#ports.store.outbox.deliveries(gatewayId, after, atMost).map((delivery) => ({
      deliveryId: delivery.deliveryId,
      bytes: frameOf(delivery),
      delivery,
    }));
  }

  acknowledge(gatewayId: GatewayId, deliveryId: number): void {
    this.#acknowledged.push({ gatewayId, deliveryId });
    this.#timer ??= setTimeout(() => this.flush(), FLUSH_MS);
  }

  /** Writes what was acknowledged. When that fails it is delivered again some time, which is harmless. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const acknowledged = this.#acknowledged.splice(0);
    if (acknowledged.length === 0) return;
    try {
      for (const { kind, joinId } of this.#ports.store.outbox.acknowledge(acknowledged))
        if (kind === 'pne-confirm-request') this.#ports.onConfirmDelivered(joinId);
    } catch (error) {
      this.#ports.onError(error);
    }
  }

  inGoodStanding(gatewayId: GatewayId): boolean {
    return this.#ports.store.directory.gateway(gatewayId)?.standing === 'ok';
  }

  onSent(_gatewayId: GatewayId, { delivery, bytes }: OutboxFrame): void {
    const joinKey = this.#ports.txnOfJoin(delivery.joinId);
    this.#ports.trace({
      ...TRACED[delivery.kind],
      ...{ from: 'server', via: 'https', bytes: bytes.length },
      ...(joinKey !== undefined && { joinKey }),
    });
  }
}

function frameOf({ deliveryId, kind, body }: Delivery): Frame['bytes'] {
  switch (kind) {
    case 'pne-confirm-request':
      return ChannelFrame.encode({ deliveryId, kind, body: PneConfirmRequest.decode(body) });
    case 'pn-registration-response':
      return ChannelFrame.encode({ deliveryId, kind, body: PnRegistrationResponse.decode(body) });
    case 'join-outcome':
      return ChannelFrame.encode({ deliveryId, kind, body: JoinOutcome.decode(body) });
  }
}

/** The transient notice for whom a transaction waits. */
export function waitingFrame(
  { txn }: RegistrationKey,
  status: 'awaiting-home-gateway' | 'awaiting-user',
): Frame['bytes'] {
  return ChannelFrame.encode({ kind: 'transaction-waiting', body: { txn, status } });
}

/** What the trace says of such a notice. */
export function waitingTrace(key: RegistrationKey, bytes: number): Omit<TraceEvent, 'atMs'> {
  return {
    name: 'TransactionWaiting',
    ...{ from: 'server', to: 'gateway', via: 'https', bytes },
    joinKey: toHex(key.txn),
  };
}
