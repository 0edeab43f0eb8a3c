/**
 * Whose PNE this is and whom it believes, read back from its store: owner, pinned keys, home, and the server's time as
 * far as it can be known without a clock (docs/protocol.md §4.3, §4.4).
 */
import type { GatewayId } from '../../base/ids.ts';
import type { Clock, MonotonicMs, ServerSeconds } from '../../base/time.ts';
import type { Floor } from '../../establishment/pne-types.ts';
import { EnrolOfferPayload } from '../../messages/enrolment.ts';
import { gatewayIdOf, publicKeyOf } from '../../security/cose-key.ts';
import type { Primitives } from '../../security/primitives.ts';
import { pinServerKeys, type ServerKeys, verifyServerKeys } from '../../security/server-keys.ts';
import type { KeptOwnership } from '../../store/pne-kept.ts';

export interface Owner {
  readonly userLabel: string;
  readonly homeAddress: string;
  readonly homeGatewayId: GatewayId;
  readonly homeRms: Uint8Array;
  readonly serverKeys: ServerKeys;
}

/** The owner on record; undefined for a PNE that is nobody's yet. */
export function readOwner(
  store: { ownership(): KeptOwnership | undefined },
  primitives: Primitives,
): Owner | undefined {
  const stored = store.ownership();
  if (!stored) return undefined;
  const offer = EnrolOfferPayload.decode(stored.offer);
  // An older statement of the root may list a key that leaked and was replaced since.
  const pinned = pinServerKeys(primitives, offer.rootKey, offer.serverKeys, stored.enrolledAt);
  const statement = stored.serverKeysStatement;
  return {
    userLabel: stored.userLabel,
    homeAddress: offer.homeAddress,
    homeGatewayId: gatewayIdOf(primitives, publicKeyOf(primitives, offer.gatewayKey)),
    homeRms: stored.homeRms,
    serverKeys: statement ? verifyServerKeys(primitives, pinned, statement) : pinned,
  };
}

/** What counts powered time: the only clock a PNE has that survives a restart. */
export class PoweredClock {
  readonly #clock: Clock;
  readonly #startedMs: MonotonicMs;
  readonly #before: number;

  /** @param before powered seconds counted in earlier runs */
  constructor(clock: Clock, before: number) {
    this.#clock = clock;
    this.#startedMs = clock.monotonicMs();
    this.#before = before;
  }

  /** Whole seconds this PNE has ever been powered. */
  get seconds(): number {
    return this.#before + Math.floor((this.#clock.monotonicMs() - this.#startedMs) / 1000);
  }
}

/** The floor as stored counts from now: how long the PNE was off, it can't know. */
export function readFloor(store: { clock(): { readonly floor: ServerSeconds } }, clock: Clock): Floor {
  return { serverTime: store.clock().floor, atMs: clock.monotonicMs() };
}
