/**
 * The PNE's configuration: schema, defaults, the commented example that `cpns pne init` writes, and how its join rules
 * answer. Owns the keys and the matching. Must not verify: labels come here after their credential was checked.
 */
import * as v from 'valibot';
import type { Bytes } from '../base/bytes.ts';
import { LIMITS } from '../messages/common.ts';
import { Capability } from './capability.ts';
import { Bluetooth, type BluetoothConfig, Log, type LogLevel, label } from './parts.ts';
import { value } from './schema-faults.ts';

export type JoinDecision = 'accept' | 'decline' | 'ask';

export interface JoinRule {
  readonly decision: JoinDecision;
  /** User label of the asking gateway, exactly. */
  readonly user?: string | undefined;
  /** Label of the asking gateway, exactly. */
  readonly gateway?: string | undefined;
}

export interface PneConfig {
  readonly bluetooth: BluetoothConfig;
  readonly device: {
    /** Undefined for what the adapter's profile says. */
    readonly kind: string | undefined;
    readonly model: string | undefined;
    /** Shown to users and to the gateway; absent for a PNE that wants a handle only. */
    readonly pneId: string | undefined;
    /** Undefined for what device and adapter are known to be. */
    readonly capability: Bytes | undefined;
    readonly contents: readonly { readonly name: string; readonly mediaType: string }[];
  };
  readonly join: { readonly policy: 'ask' | 'accept'; readonly rules: readonly JoinRule[] };
  readonly log: { readonly level: LogLevel };
}

const shortText = (maxChars: number, example: string) =>
  value(
    v.pipe(v.string(), v.minLength(1, 'empty'), v.maxLength(maxChars, `longer than ${maxChars} characters`)),
    `a text of 1 to ${maxChars} characters`,
    JSON.stringify(example),
  );

const Content = v.pipe(
  v.strictObject({ name: label(32, 'music'), media_type: label(24, 'audio/flac') }),
  v.transform(({ name, media_type: mediaType }) => ({ name, mediaType })),
);

const Rule = v.strictObject({
  decision: value(v.picklist(['accept', 'decline', 'ask']), '"accept", "decline" or "ask"', '"accept"'),
  user: v.optional(label(LIMITS.userLabel, 'bob')),
  gateway: v.optional(label(LIMITS.gatewayLabel, 'living room')),
});

export const PneSchema = v.pipe(
  v.strictObject({
    bluetooth: v.pipe(
      Bluetooth,
      v.check(({ as }) => as !== 'both', 'a PNE is "central" or "peripheral", not both'),
    ),
    device: v.optional(
      v.pipe(
        v.strictObject({
          kind: v.optional(shortText(32, 'headset')),
          model: v.optional(shortText(64, 'Acme H1')),
          pne_id: v.optional(label(LIMITS.pneId, "Ann's headset")),
          capability: v.optional(Capability),
          content: v.optional(v.pipe(v.array(Content), v.maxLength(16, 'more than 16 contents')), []),
        }),
        v.transform(({ kind, model, capability, pne_id: pneId, content: contents }) => ({
          ...{ kind, model, capability, pneId, contents },
        })),
      ),
      {},
    ),
    join: v.optional(
      v.pipe(
        v.strictObject({
          policy: v.optional(value(v.picklist(['ask', 'accept']), '"ask" or "accept"', '"ask"'), 'ask'),
          rule: v.optional(v.pipe(v.array(Rule), v.maxLength(256, 'more than 256 rules')), []),
        }),
        v.transform(({ policy, rule }) => ({ policy, rules: rule as readonly JoinRule[] })),
      ),
      {},
    ),
    log: Log,
  }),
  v.transform((config): PneConfig => config),
);

/** What the rules say to a gateway that asks; `ask` means that a person has to. */
export function decideJoin(
  join: PneConfig['join'],
  asking: { readonly user: string; readonly gateway: string },
): JoinDecision {
  const rule = join.rules.find(
    ({ user, gateway }) =>
      (user === undefined || user === asking.user) && (gateway === undefined || gateway === asking.gateway),
  );
  return rule?.decision ?? join.policy;
}

export function pneExample(adapter = 'hci:0'): string {
  return `# cpns pne
[bluetooth]
adapter = ${JSON.stringify(adapter)}      # hci:N, hci:N/user, hci:N/raw, h4:unix:PATH, h4:tcp:HOST:PORT, virtual[:PATH]
random_address = true
# as = "central"                  # connect to gateways, and enrol with a code that a gateway shows; else they connect
# profile = "generic"             # else the one that fits: cpns profile detect, cpns profile list
# backend = "stoprocent"          # other Bluetooth libraries, installed beside: docs/decisions/0007-second-back-end.md
# capture = "/var/lib/cpns/pne.btsnoop"
# wait_minutes = 10      # how long an adapter that is gone is waited for; 0: end at once

[device]
kind = "headset"
# model = "Acme H1"
# pne_id = "Ann's headset"        # leave it out to be known by a number only
# capability = { class = "headset", audio = ["sbc", "lc3"] }   # or hexadecimal

# [[device.content]]
# name = "music"
# media_type = "audio/flac"

[join]
policy = "ask"                     # or "accept"

# [[join.rule]]                    # the first rule that matches answers
# decision = "accept"
# user = "bob"

[log]
level = "info"
`;
}
