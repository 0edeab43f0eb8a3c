/**
 * Which of the joins a gateway remembers a PNE's announcement belongs to (docs/protocol.md §2.2). Keeps the advertising
 * keys, which cost more to derive than a tag to compare.
 */
import { type Bytes, toHex } from '../base/bytes.ts';
import type { JoinId } from '../base/ids.ts';
import { type Announced, showsTag } from '../network/advertisement.ts';
import { deriveAdvertisingKey } from '../security/key-schedule.ts';
import type { Primitives } from '../security/primitives.ts';
import type { NetworkStore } from '../store/gateway-networks.ts';

export class Recognition {
  readonly #networks: NetworkStore;
  readonly #primitives: Primitives;
  readonly #advertisingKeys = new Map<string, Bytes>();

  constructor(networks: NetworkStore, primitives: Primitives) {
    this.#networks = networks;
    this.#primitives = primitives;
  }

  /** The join whose tag is shown; of several the newest, which may have overtaken the others. */
  joinOf(announced: Announced): JoinId | undefined {
    const joins = this.#networks.joins();
    // Keys of joins that are gone are not kept for ever.
    if (this.#advertisingKeys.size > 2 * joins.length + 16) this.#advertisingKeys.clear();
    return joins.findLast(({ joinId, rms }) => {
      const name = toHex(joinId);
      const key = this.#advertisingKeys.get(name) ?? deriveAdvertisingKey(this.#primitives, rms);
      this.#advertisingKeys.set(name, key);
      return showsTag(this.#primitives, announced, key);
    })?.joinId;
  }
}
