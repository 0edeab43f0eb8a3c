/**
 * What the home gateway's owner has decided in advance: ordered rules, the first that matches answers, and `ask` when
 * none does. Owns the shape of a rule, the matching and what a person is shown of a request.
 * Must not verify anything: labels, ids and terms come here after their signatures were checked (home-gateway.ts).
 * CHOICE (docs/protocol.md is silent on how a home gateway decides): names match exactly, bounds belong to `allow` only.
 */
import * as v from 'valibot';
import { toHex } from '../base/bytes.ts';
import type { GatewayId, JoinId, PnId, Thumbprint } from '../base/ids.ts';
import type { ServerSeconds } from '../base/time.ts';

/** What joining may cost the PNE's user, as the server states it in step 8. */
export interface ChargingTerms {
  /** ISO 4217, three capital letters. */
  readonly currency: string;
  /** Most that may be charged in one period, in minor units (cents). */
  readonly limit: number;
  readonly periodDays: number;
}

/** A confirm request as a person or a rule sees it. Everything but `claimedPnName` was verified. */
export interface ConfirmRequestView {
  readonly joinId: JoinId;
  readonly pnId: PnId;
  /** The PNE in this gateway's own records; its label is what the owner enrolled it under. */
  readonly pne: { readonly thumbprint: Thumbprint; readonly label?: string };
  /** Who asks, as the server's signature on the credential says. */
  readonly asking: { readonly user: string; readonly gateway: string; readonly gatewayId: GatewayId };
  /** Chosen by whoever owns the asking gateway: nobody vouches for it. */
  readonly claimedPnName: string;
  readonly setupType: 'new' | 'join';
  readonly terms: ChargingTerms;
  /** Server seconds after which an answer comes too late. */
  readonly deadline: ServerSeconds;
}

export type PolicyDecision = 'allow' | 'deny' | 'ask';

export interface ApprovalRule {
  readonly decision: PolicyDecision;
  /** User label of the asking gateway's credential, exactly. */
  readonly user?: string | undefined;
  /** 16 lower-case hex digits: the asking gateway's id and nothing else; any other text: its label, exactly. */
  readonly gateway?: string | undefined;
  /** 8 to 64 lower-case hex digits: start of the PNE's thumbprint and nothing else; any other text: its label, exactly. */
  readonly pne?: string | undefined;
  /** `allow` only: most that may be charged in a period, minor units of `currency`. */
  readonly maxLimit?: number | undefined;
  readonly currency?: string | undefined;
  /** `allow` only: longest period in days. */
  readonly maxPeriodDays?: number | undefined;
}

/** The answer of the rules, and the place of the rule that gave it; no place when the default answered. */
export interface PolicyOutcome {
  readonly decision: PolicyDecision;
  readonly matched?: number;
}

export const MAX_APPROVAL_RULES = 256;
const MAX_NAME_CHARS = 64;

const name = v.pipe(v.string(), v.minLength(1), v.maxLength(MAX_NAME_CHARS));
const bound = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

/** One rule as it stands in a configuration file or in the store. Unknown keys are refused: a typo must not widen a rule. */
const RuleSchema = v.pipe(
  v.strictObject({
    decision: v.picklist(['allow', 'deny', 'ask']),
    user: v.optional(name),
    gateway: v.optional(name),
    pne: v.optional(name),
    maxLimit: v.optional(bound),
    currency: v.optional(v.pipe(v.string(), v.regex(/^[A-Z]{3}$/, 'three capital letters'))),
    maxPeriodDays: v.optional(bound),
  }),
  // "deny up to 5 EUR" would let the expensive ones through to the next rule, which nobody means.
  v.check(
    (rule) => rule.decision === 'allow' || (rule.maxLimit === undefined && rule.maxPeriodDays === undefined),
    'maxLimit and maxPeriodDays belong to allow only',
  ),
  v.check(
    (rule) => rule.maxLimit === undefined || rule.currency !== undefined,
    'maxLimit needs its currency',
  ),
);
const RulesSchema = v.pipe(v.array(RuleSchema), v.maxLength(MAX_APPROVAL_RULES));

/**
 * Reads rules from a configuration value, in order; at most 256.
 * @throws TypeError naming the rule's place and key when the value is not a list of rules
 */
export function parseApprovalRules(value: unknown): readonly ApprovalRule[] {
  const result = v.safeParse(RulesSchema, value);
  if (result.success) return result.output;
  const [issue] = result.issues;
  const where = v.getDotPath(issue);
  throw new TypeError(`approval rules${where ? ` at ${where}` : ''}: ${issue.message}`);
}

/** The first rule that matches decides; `ask` when none does. */
export function decideByRules(rules: readonly ApprovalRule[], request: ConfirmRequestView): PolicyOutcome {
  const matched = rules.findIndex((rule) => ruleMatches(rule, request));
  const rule = rules[matched];
  return rule ? { decision: rule.decision, matched } : { decision: 'ask' };
}

/**
 * The rule behind "always": this PNE with this very gateway of this user, and for a yes no worse terms than these.
 * By ids, not labels, so that no other gateway slips under it.
 */
export function ruleForAlways(request: ConfirmRequestView, decision: 'allow' | 'deny'): ApprovalRule {
  const who = {
    decision,
    user: request.asking.user,
    gateway: toHex(request.asking.gatewayId),
    pne: toHex(request.pne.thumbprint),
  };
  if (decision === 'deny') return who;
  const { limit, currency, periodDays } = request.terms;
  return { ...who, maxLimit: limit, currency, maxPeriodDays: periodDays };
}

function ruleMatches(rule: ApprovalRule, request: ConfirmRequestView): boolean {
  const { asking, pne, terms } = request;
  if (rule.user !== undefined && rule.user !== asking.user) return false;
  if (rule.gateway !== undefined && !gatewayMatches(rule.gateway, asking)) return false;
  if (rule.pne !== undefined && !pneMatches(rule.pne, pne)) return false;
  if (rule.currency !== undefined && rule.currency !== terms.currency) return false;
  if (rule.maxLimit !== undefined && terms.limit > rule.maxLimit) return false;
  return rule.maxPeriodDays === undefined || terms.periodDays <= rule.maxPeriodDays;
}

/** Text that looks like an id is never compared with a label, or a gateway could be named after another's id. */
function gatewayMatches(wanted: string, asking: ConfirmRequestView['asking']): boolean {
  return /^[0-9a-f]{16}$/.test(wanted) ? toHex(asking.gatewayId) === wanted : asking.gateway === wanted;
}

function pneMatches(wanted: string, pne: ConfirmRequestView['pne']): boolean {
  return /^[0-9a-f]{8,64}$/.test(wanted) ? toHex(pne.thumbprint).startsWith(wanted) : pne.label === wanted;
}
