/**
 * The gateway's configuration: schema, defaults, the commented example that `cpns gateway init` writes.
 * Owns the keys. What a rule means is src/network/approval-policy.ts.
 */
import * as v from 'valibot';
import type { Bytes } from '../base/bytes.ts';
import { LIMITS } from '../messages/common.ts';
import type { ApprovalRule, PolicyDecision } from '../network/approval-policy.ts';
import { Capability, encodeCapability } from './capability.ts';
import { Console, type ConsoleConfig } from './console-config.ts';
import {
  Bluetooth,
  type BluetoothConfig,
  DEFAULT_WAIT_MINUTES,
  integer,
  Log,
  type LogLevel,
  label,
} from './parts.ts';
import { value } from './schema-faults.ts';

export interface GatewayConfig {
  readonly server: { readonly url: string };
  readonly bluetooth: BluetoothConfig;
  readonly pn: {
    /** Name of the PN that this gateway opens. */
    readonly name: string;
    /** Whether PNEs of strangers that set JOIN are asked to join. */
    readonly invite: boolean;
    /** Of this gateway, opaque to the protocol; at most 512 bytes. */
    readonly capability: Bytes;
    readonly subscription: string;
  };
  readonly approvals: {
    /** When no rule matches. */
    readonly default: PolicyDecision;
    readonly rules: readonly ApprovalRule[];
  };
  /** The page for the owner; absent for none. */
  readonly console?: ConsoleConfig | undefined;
  readonly log: { readonly level: LogLevel };
}

const isServerUrl = (text: string): boolean => {
  if (!URL.canParse(text)) return false;
  const url = new URL(text);
  return url.protocol === 'https:' && url.pathname === '/' && !url.search && !url.hash && !url.username;
};

/** `https://HOST[:PORT]` of a server. */
export const serverUrl = value(
  v.pipe(v.string(), v.check(isServerUrl, 'not the address of a server')),
  'https://HOST[:PORT] without a path',
  '"https://cpns.example.net:8443"',
);

const decision = value(v.picklist(['allow', 'deny', 'ask']), '"allow", "deny" or "ask"', '"ask"');
const name = (example: string) =>
  value(
    v.pipe(v.string(), v.minLength(1, 'empty'), v.maxLength(64, 'longer than 64 characters')),
    'a name of 1 to 64 characters',
    JSON.stringify(example),
  );

const Rule = v.pipe(
  v.strictObject({
    decision,
    user: v.optional(name('bob')),
    gateway: v.optional(name('living room')),
    pne: v.optional(name('headset')),
    max_limit: v.optional(integer(0, Number.MAX_SAFE_INTEGER, 'minor units of the currency', 500)),
    currency: v.optional(
      value(
        v.pipe(v.string(), v.regex(/^[A-Z]{3}$/, 'not a currency code')),
        'three capital letters (ISO 4217)',
        '"EUR"',
      ),
    ),
    max_period_days: v.optional(integer(0, 65_535, 'days', 31)),
  }),
  v.check(
    (rule) =>
      rule.decision === 'allow' || (rule.max_limit === undefined && rule.max_period_days === undefined),
    'max_limit and max_period_days belong to decision = "allow" only',
  ),
  v.check(
    (rule) => rule.max_limit === undefined || rule.currency !== undefined,
    'max_limit needs its currency, as in currency = "EUR"',
  ),
  v.transform(({ max_limit, max_period_days, ...rest }): ApprovalRule => {
    return { ...rest, maxLimit: max_limit, maxPeriodDays: max_period_days };
  }),
);

export const GatewaySchema = v.pipe(
  v.strictObject({
    server: v.strictObject({ url: serverUrl }),
    bluetooth: Bluetooth,
    pn: v.optional(
      v.strictObject({
        name: v.optional(label(LIMITS.pnName, 'Living room'), 'Personal network'),
        invite: v.optional(value(v.boolean(), 'true or false', 'true'), false),
        capability: v.optional(Capability, { class: 'gateway' }),
        subscription: v.optional(label(LIMITS.subscription, 'basic'), 'basic'),
      }),
      {},
    ),
    approvals: v.optional(
      v.pipe(
        v.strictObject({
          default: v.optional(decision, 'ask'),
          rule: v.optional(v.pipe(v.array(Rule), v.maxLength(256, 'more than 256 rules')), []),
        }),
        v.transform(({ default: otherwise, rule }) => ({ default: otherwise, rules: rule })),
      ),
      {},
    ),
    console: v.optional(Console),
    log: Log,
  }),
  v.transform((config): GatewayConfig => config),
);

/** The rules in order, with the default as a last one that matches everything; `ask` is what no rule gives. */
export function approvalRules({ approvals }: Pick<GatewayConfig, 'approvals'>): readonly ApprovalRule[] {
  if (approvals.default === 'ask') return approvals.rules;
  return [...approvals.rules, { decision: approvals.default }];
}

/** A configuration from values alone, for tests and the demo. */
export function gatewayDefaults(url: string): GatewayConfig {
  return {
    server: { url },
    bluetooth: {
      adapter: 'hci:0',
      capture: undefined,
      randomAddress: true,
      profile: undefined,
      backEnd: 'abandonware',
      waitMinutes: DEFAULT_WAIT_MINUTES,
    },
    pn: {
      name: 'Personal network',
      invite: false,
      capability: encodeCapability({ class: 'gateway' }),
      subscription: 'basic',
    },
    approvals: { default: 'ask', rules: [] },
    log: { level: 'info' },
  };
}

export function gatewayExample(url = 'https://cpns.example.net:8443', adapter = 'hci:0'): string {
  return `# cpns gateway
[server]
url = ${JSON.stringify(url)}

[bluetooth]
adapter = ${JSON.stringify(adapter)}      # hci:N, hci:N/user, hci:N/raw, h4:unix:PATH, h4:tcp:HOST:PORT, virtual[:PATH]
random_address = true
# as = "both"            # be connected to as well, as phones do; "peripheral": only; "central" unless it is said
# peripheral_adapter = "hci:1"   # for as = "both"
# profile = "generic"    # else the one that fits: cpns profile detect, cpns profile list
# backend = "stoprocent" # other Bluetooth libraries, to be installed beside: docs/decisions/0007-second-back-end.md
# capture = "/var/lib/cpns/gateway.btsnoop"
# wait_minutes = 10      # how long an adapter that is gone is waited for; 0: end at once

[pn]
name = "Personal network"
invite = true            # ask PNEs of other users that want to join
# capability = { class = "gateway", uplink = "lte" }
# subscription = "basic"

[approvals]
default = "ask"          # what to say when someone's gateway wants to take in one of your PNEs

# [[approvals.rule]]     # the first rule that matches answers
# decision = "allow"
# user = "bob"
# pne = "headset"
# max_limit = 500        # minor units (cents) in one period
# currency = "EUR"

# [console]              # a page to answer and look on, on this network: docs/console.md, cpns gateway console
# listen = "0.0.0.0:8444"
# names = ["gateway.local"]   # what it is reached by, besides this host's own name and addresses
# cert = "/etc/cpns/console.pem"   # your own certificate instead of the one that it makes
# key = "/etc/cpns/console.key"
# push_contact = "mailto:me@example.net"   # for the push services of browsers that you add on the page

[log]
level = "info"
`;
}
