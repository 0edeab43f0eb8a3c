/**
 * Parts that the configurations of several roles share: labels, the Bluetooth adapter, the log.
 * Owns their bounds and defaults. Must not know a role.
 */
import * as v from 'valibot';
import { BACK_ENDS, type BackEnd } from '../bluetooth/back-end.ts';
import { parseMoniker } from '../bluetooth/hci/moniker.ts';
import { labelRule } from '../messages/label.ts';
import { shippedProfiles } from '../profiles/load.ts';
import { value } from './schema-faults.ts';

/** A name that people see, bounded in bytes of UTF-8 as on the wire. */
export function label(maxBytes: number, example: string) {
  return value(
    v.pipe(
      v.string(),
      v.check(
        (text) => labelRule(text, maxBytes) === undefined,
        `longer than ${maxBytes} bytes, empty, or with characters that are not allowed`,
      ),
    ),
    `a name of 1 to ${maxBytes} bytes without control characters`,
    JSON.stringify(example),
  );
}

export function integer(least: number, most: number, what: string, example: number) {
  return value(
    v.pipe(
      v.number(),
      v.check((number) => Number.isInteger(number) && number >= least && number <= most, 'out of range'),
    ),
    `${what}, ${least} to ${most}`,
    String(example),
  );
}

const isMoniker = (text: string): boolean => {
  try {
    parseMoniker(text);
    return true;
  } catch {
    return false;
  }
};

/** Moniker of a Bluetooth controller. */
export const adapter = value(
  v.pipe(v.string(), v.check(isMoniker, 'names no Bluetooth controller')),
  'hci:N, hci:N/user, hci:N/raw, h4:unix:PATH, h4:tcp:HOST:PORT, virtual or virtual:PATH',
  '"hci:0"',
);
const path = (example: string) =>
  value(v.pipe(v.string(), v.minLength(1, 'empty')), 'the path of a file', JSON.stringify(example));

const isProfile = (text: string): boolean =>
  text.endsWith('.json') || shippedProfiles().some(({ name }) => name === text);

const profile = value(
  v.pipe(v.string(), v.check(isProfile, 'names no firmware profile')),
  'a name that `cpns profile list` shows, or the path of a .json file',
  '"raspberry-pi-4b"',
);

/** Long enough to find the plug, short enough for a supervisor to hear of it. */
export const DEFAULT_WAIT_MINUTES = 10;

const GATT_ROLES = ['central', 'peripheral', 'both'] as const;
export type GattRole = (typeof GATT_ROLES)[number];

export const Bluetooth = v.optional(
  v.pipe(
    v.strictObject({
      adapter: v.optional(adapter, 'hci:0'),
      capture: v.optional(path('/var/lib/cpns/radio.btsnoop')),
      random_address: v.optional(value(v.boolean(), 'true or false', 'true'), true),
      as: v.optional(value(v.picklist(GATT_ROLES), '"central", "peripheral" or "both"', '"central"')),
      peripheral_adapter: v.optional(adapter),
      profile: v.optional(profile),
      backend: v.optional(
        value(v.picklist(BACK_ENDS), BACK_ENDS.map((name) => `"${name}"`).join(' or '), '"stoprocent"'),
        'abandonware',
      ),
      wait_minutes: v.optional(integer(0, 10_080, 'minutes', 10), DEFAULT_WAIT_MINUTES),
    }),
    v.transform(
      ({
        random_address: randomAddress,
        backend: backEnd,
        wait_minutes: waitMinutes,
        as,
        peripheral_adapter: peripheralAdapter,
        ...rest
      }): BluetoothConfig => ({
        ...{ adapter: rest.adapter, capture: rest.capture, profile: rest.profile },
        ...{ randomAddress, backEnd, waitMinutes },
        ...(as !== undefined && { as }),
        ...(peripheralAdapter !== undefined && { peripheralAdapter }),
      }),
    ),
  ),
  {},
);

export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export const Log = v.optional(
  v.strictObject({
    level: v.optional(value(v.picklist(LOG_LEVELS), `one of ${LOG_LEVELS.join(', ')}`, '"info"'), 'info'),
  }),
  {},
);

export interface BluetoothConfig {
  /** Moniker of the controller. */
  readonly adapter: string;
  /** Path of a btsnoop file that gets every packet. */
  readonly capture: string | undefined;
  readonly randomAddress: boolean;
  /** Which side makes links; by default a gateway is central and a PNE peripheral. */
  readonly as?: GattRole | undefined;
  /** With `both`: the controller of the peripheral, where it is another one. */
  readonly peripheralAdapter?: string | undefined;
  /** Firmware profile, by name or file; without it the one that fits the adapter. */
  readonly profile?: string | undefined;
  /** How long a daemon waits for its adapter to come back, when it is gone, before it ends; 0: not at all, 10 when absent. */
  readonly waitMinutes?: number | undefined;
  /** Whose noble and bleno; without it those of abandonware. */
  readonly backEnd?: BackEnd | undefined;
}
