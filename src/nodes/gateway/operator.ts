/**
 * A gateway's side towards its operator's server: requests, the channel, and certificate, credential and server keys, which
 * are renewed while the program runs. Owns what of it is open and when that is closed; what the server says is for others
 * to act upon.
 */
import { statusOfError } from '../../base/errors.ts';
import type { Status } from '../../base/statuses.ts';
import type { Clock } from '../../base/time.ts';
import { type ChannelClient, openChannelClient } from '../../https/channel-client.ts';
import { openServerClient, type ServerClient } from '../../https/server-client.ts';
import type { ChannelFrame } from '../../messages/channel.ts';
import type { StoredSigner } from '../../security/keystore.ts';
import type { Primitives } from '../../security/primitives.ts';
import type { GatewayStore } from '../../store/gateway-store.ts';
import { GatewayRenewal } from './enrol.ts';
import { type Hear, heardFrame, hearingClient } from './heard.ts';
import { type GatewayIdentity, readGatewayIdentity } from './identity.ts';
import { ServerKeyLearner, signedIn } from './server-keys.ts';

export interface OperatorSideOptions {
  readonly store: GatewayStore;
  readonly signer: StoredSigner;
  readonly primitives: Primitives;
  readonly clock: Clock;
  /** As it was at the start. */
  readonly identity: GatewayIdentity;
  readonly hear: Hear | undefined;
}

export interface OperatorEvents {
  /** The keys in it are known, if the server has such keys. What this does is done before the frame is acknowledged. */
  readonly onFrame: (frame: ChannelFrame) => void | Promise<void>;
  readonly onChannel: (state: 'up' | 'down') => void;
  readonly onRenewed: (identity: GatewayIdentity) => void;
  readonly onProblem: (what: 'channel' | 'renewal', status: Status) => void;
}

export class OperatorSide {
  readonly client: ServerClient;
  readonly keys: ServerKeyLearner;
  readonly #options: OperatorSideOptions;
  #identity: GatewayIdentity;
  #channel: ChannelClient | undefined;
  #renewal: GatewayRenewal | undefined;

  constructor(options: OperatorSideOptions) {
    this.#options = options;
    this.#identity = options.identity;
    const { serverUrl: baseUrl, caPem, tls } = options.identity;
    const client = openServerClient({ baseUrl, caPem, identity: tls });
    this.client = options.hear ? hearingClient(client, options.hear) : client;
    this.keys = new ServerKeyLearner({
      clock: options.clock,
      serverKeys: () => this.#identity.serverKeys,
      renew: async () => this.#renewal?.renewNow(),
    });
  }

  /** As it was renewed last. */
  get identity(): GatewayIdentity {
    return this.#identity;
  }

  /** Of the channel; undefined before {@link start}. */
  get channel(): Pick<ChannelClient, 'isUp' | 'state'> | undefined {
    return this.#channel;
  }

  start({ onFrame, onChannel, onRenewed, onProblem }: OperatorEvents): void {
    const { store, signer, primitives, clock, hear } = this.#options;
    const { serverUrl: baseUrl, caPem, tls } = this.#identity;
    this.#channel = openChannelClient({
      ...{ baseUrl, caPem, identity: tls },
      onFrame: async (frame) => {
        const heard = hear && heardFrame(frame);
        if (heard) hear(heard);
        await this.keys.learn(signedIn(frame));
        await onFrame(frame);
      },
      onEvent: (event) => {
        if (event.kind === 'handler-failed') onProblem('channel', statusOfError(event.error));
        else onChannel(event.kind);
      },
    });
    this.#renewal = new GatewayRenewal({
      ...{ store, signer, primitives, clock, client: this.client },
      onRenewed: () => {
        this.#identity = readGatewayIdentity(store, primitives, signer);
        this.client.useIdentity(this.#identity.tls);
        this.#channel?.useIdentity(this.#identity.tls);
        onRenewed(this.#identity);
      },
      onProblem: (status) => onProblem('renewal', status),
    });
  }

  /** Ends renewal and channel; the client stays, for what is still to be told the server. */
  async stop(): Promise<void> {
    await this.#renewal?.close();
    await this.#channel?.close();
  }

  close(): void {
    this.client.close();
  }
}
