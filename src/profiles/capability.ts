/**
 * What a PNE says of itself in step 2 when its configuration states no capability: kind, model and radio, from its
 * configuration first and its adapter's profile second. Pure; owns no limit: src/config/capability.ts encodes and bounds.
 */
import type { Profile } from './schema.ts';

export interface StatedDevice {
  readonly kind: string | undefined;
  readonly model: string | undefined;
}

const ANY_DEVICE = 'device';

/** A table for `encodeCapability`; unknown facts are left out. */
export function profileCapability(device: StatedDevice, { capability, radio }: Profile): object {
  const model = device.model ?? capability.model.value;
  const facts = Object.entries({
    chip: capability.chip.value,
    bluetooth: capability.bluetooth.value,
    octets: radio.dataLength.value,
    phys: radio.phys.value,
  }).filter(([, value]) => value !== null);
  return {
    class: device.kind ?? capability.class.value ?? ANY_DEVICE,
    ...(model !== null && { model }),
    ...(facts.length > 0 && { radio: Object.fromEntries(facts) }),
  };
}
