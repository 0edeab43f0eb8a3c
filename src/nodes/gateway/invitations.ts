/**
 * Which network a gateway invites to: the one of its configuration, minted when there is none and provisional until a
 * first member is committed. Owns how long a provisional one stays. Must not know links or messages.
 * Source: docs/protocol.md §12, §14.
 */
import { PN_ID_BYTES, PnId } from '../../base/ids.ts';
import type { Clock } from '../../base/time.ts';
import type { Invitation } from '../../establishment/gateway-types.ts';
import type { Primitives } from '../../security/primitives.ts';
import type { NetworkStore } from '../../store/gateway-networks.ts';

export interface InvitationsOptions {
  readonly networks: NetworkStore;
  readonly primitives: Primitives;
  readonly clock: Pick<Clock, 'wallSeconds'>;
  readonly pn: { readonly name: string; readonly invite: boolean };
}

export class Invitations {
  readonly #options: InvitationsOptions;

  constructor(options: InvitationsOptions) {
    this.#options = options;
  }

  /** The PN to invite to. @throws CpnsError cannot-persist when one has to be minted and can't be written */
  current(): Invitation {
    const { networks, primitives, clock, pn: own } = this.#options;
    const { name } = own;
    const pn = networks.pns().find((known) => known.name === name && known.inviting);
    if (pn) return { pnId: pn.pnId, name, setupType: pn.setup === 'live' ? 'join' : 'new' };
    const pnId = PnId(primitives.randomBytes(PN_ID_BYTES));
    networks.createPn({ pnId, name, inviting: true }, clock.wallSeconds());
    return { pnId, name, setupType: 'new' };
  }

  /**
   * What a crash left of attempts that never came to a join: no link is there that would end and take it along. Where this
   * gateway still invites to it, it stays and is used: a PNE may have signed for it, and forgets that at its next join there.
   */
  dropLeft(): void {
    const { networks, pn: own } = this.#options;
    for (const pn of networks.pns())
      if (pn.setup === 'provisional' && !(own.invite && pn.inviting && pn.name === own.name))
        networks.removePn(pn.pnId, 'provisional');
  }
}
