/**
 * A capability in a configuration: hexadecimal for bytes that are made elsewhere, or a table that becomes one
 * deterministic CBOR map with text keys. The protocol carries the bytes and never looks inside.
 */
import * as v from 'valibot';
import { type Bytes, fromHex } from '../base/bytes.ts';
import { type CborKey, type CborValue, encodeCbor } from '../messages/cbor.ts';
import { LIMITS } from '../messages/common.ts';
import { profileCapability, type StatedDevice } from '../profiles/capability.ts';
import type { Profile } from '../profiles/schema.ts';
import { value } from './schema-faults.ts';

function toCbor(item: unknown): CborValue {
  if (typeof item === 'string' || typeof item === 'boolean') return item;
  if (typeof item === 'number' && Number.isSafeInteger(item)) return item;
  if (Array.isArray(item)) return item.map(toCbor);
  if (typeof item === 'object' && item !== null && !(item instanceof Date)) {
    return new Map<CborKey, CborValue>(Object.entries(item).map(([key, inner]) => [key, toCbor(inner)]));
  }
  throw new TypeError('only text, whole numbers, booleans, arrays and tables have a place in a capability');
}

/** The bytes of a capability. @throws TypeError saying what has no place in one */
export function encodeCapability(item: unknown): Bytes {
  const bytes = typeof item === 'string' ? fromHex(item.replaceAll(/\s/g, '')) : encodeCbor(toCbor(item));
  if (bytes.length > LIMITS.capability) {
    throw new TypeError(`${bytes.length} bytes, but at most ${LIMITS.capability} are carried`);
  }
  return bytes;
}

/** What a configuration states, or else what is known of the device and of its adapter. */
export function deviceCapability(
  device: StatedDevice & { readonly capability: Bytes | undefined },
  profile: Profile,
): Bytes {
  return device.capability ?? encodeCapability(profileCapability(device, profile));
}

/** Hexadecimal or a table, as bytes. */
export const Capability = value(
  v.pipe(
    v.unknown(),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      const { value: item } = dataset;
      try {
        if (typeof item !== 'string' && (typeof item !== 'object' || item === null || Array.isArray(item))) {
          throw new TypeError('neither text nor a table');
        }
        return encodeCapability(item);
      } catch (error) {
        addIssue({ message: error instanceof Error ? error.message : 'not a capability' });
        return NEVER;
      }
    }),
  ),
  `hexadecimal, or a table of at most ${LIMITS.capability} bytes as CBOR`,
  '{ class = "headset", audio = ["sbc", "lc3"] }',
);
