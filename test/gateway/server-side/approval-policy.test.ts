/** The home gateway's rules: what parses, what matches, and what "always" remembers. */
import assert from 'node:assert/strict';
import { fromHex, toHex } from '../../../src/base/bytes.ts';
import { GatewayId, JoinId, PnId, Thumbprint } from '../../../src/base/ids.ts';
import {
  type ApprovalRule,
  type ConfirmRequestView,
  decideByRules,
  parseApprovalRules,
  ruleForAlways,
} from '../../../src/network/approval-policy.ts';

const request: ConfirmRequestView = {
  joinId: JoinId(new Uint8Array(16)),
  pnId: PnId(new Uint8Array(8)),
  pne: { thumbprint: Thumbprint(fromHex('ab'.repeat(32))), label: 'heart monitor' },
  asking: { user: 'bob', gateway: 'van', gatewayId: GatewayId(fromHex('0011223344556677')) },
  claimedPnName: 'allow me',
  setupType: 'join',
  terms: { currency: 'EUR', limit: 500, periodDays: 30 },
  deadline: 1_800_000_000,
};

describe('approval policy', () => {
  const cases: readonly (readonly [name: string, rules: readonly ApprovalRule[], ConfirmOutcome])[] = [
    ['no rule asks', [], ['ask', undefined]],
    ['a rule without conditions matches everything', [{ decision: 'deny' }], ['deny', 0]],
    ['user by label', [{ decision: 'allow', user: 'bob' }], ['allow', 0]],
    ['another user', [{ decision: 'allow', user: 'eve' }], ['ask', undefined]],
    ['labels match exactly', [{ decision: 'allow', user: 'Bob' }], ['ask', undefined]],
    ['gateway by label', [{ decision: 'allow', gateway: 'van' }], ['allow', 0]],
    ['gateway by id', [{ decision: 'allow', gateway: '0011223344556677' }], ['allow', 0]],
    ['another gateway id', [{ decision: 'allow', gateway: '0011223344556678' }], ['ask', undefined]],
    ['PNE by label', [{ decision: 'allow', pne: 'heart monitor' }], ['allow', 0]],
    ['PNE by start of its thumbprint', [{ decision: 'allow', pne: 'abababab' }], ['allow', 0]],
    ['another thumbprint', [{ decision: 'allow', pne: 'abababac' }], ['ask', undefined]],
    ['limit at the bound', [{ decision: 'allow', maxLimit: 500, currency: 'EUR' }], ['allow', 0]],
    ['limit above the bound', [{ decision: 'allow', maxLimit: 499, currency: 'EUR' }], ['ask', undefined]],
    ['another currency', [{ decision: 'allow', maxLimit: 500, currency: 'USD' }], ['ask', undefined]],
    ['period at the bound', [{ decision: 'allow', maxPeriodDays: 30 }], ['allow', 0]],
    ['period above the bound', [{ decision: 'allow', maxPeriodDays: 29 }], ['ask', undefined]],
    ['all conditions together', [{ decision: 'allow', user: 'bob', pne: 'x' }], ['ask', undefined]],
    ['the first match wins', [{ decision: 'ask', user: 'bob' }, { decision: 'allow' }], ['ask', 0]],
    ['later rules count too', [{ decision: 'deny', user: 'eve' }, { decision: 'allow' }], ['allow', 1]],
    [
      'the PN name, a mere claim, matches nothing',
      [{ decision: 'allow', gateway: 'allow me' }],
      ['ask', undefined],
    ],
  ];
  type ConfirmOutcome = readonly [decision: string, matched: number | undefined];

  for (const [name, rules, [decision, matched]] of cases) {
    it(name, () => {
      const outcome = decideByRules(parseApprovalRules(rules), request);
      assert.deepEqual([outcome.decision, outcome.matched], [decision, matched]);
    });
  }

  it('a label that looks like an id does not stand for it', () => {
    const asking = { ...request.asking, gateway: '8899aabbccddeeff' };
    const byId: ApprovalRule = { decision: 'allow', gateway: '8899aabbccddeeff' };
    assert.equal(decideByRules([byId], { ...request, asking }).decision, 'ask');
    const pne = { ...request.pne, label: 'deadbeef' };
    assert.equal(
      decideByRules([{ decision: 'allow', pne: 'deadbeef' }], { ...request, pne }).decision,
      'ask',
    );
  });

  it('a PNE without a label is matched by thumbprint only', () => {
    const pne = { thumbprint: request.pne.thumbprint };
    assert.equal(
      decideByRules([{ decision: 'deny', pne: 'heart monitor' }], { ...request, pne }).decision,
      'ask',
    );
  });

  describe('"always"', () => {
    const other = { ...request.asking, gatewayId: GatewayId(fromHex('ff11223344556677')) };
    const dearer = { ...request.terms, limit: 501 };

    it('yes covers the same request and no worse one', () => {
      const rules = parseApprovalRules([ruleForAlways(request, 'allow')]);
      assert.equal(decideByRules(rules, request).decision, 'allow');
      assert.equal(decideByRules(rules, { ...request, terms: dearer }).decision, 'ask');
      assert.equal(decideByRules(rules, { ...request, asking: other }).decision, 'ask');
    });

    it('no covers any terms', () => {
      const rules = parseApprovalRules([ruleForAlways(request, 'deny')]);
      assert.equal(decideByRules(rules, { ...request, terms: dearer }).decision, 'deny');
    });

    it('names everybody by id', () => {
      const rule = ruleForAlways(request, 'allow');
      assert.equal(rule.pne, toHex(request.pne.thumbprint));
      assert.equal(rule.gateway, toHex(request.asking.gatewayId));
    });
  });

  describe('refuses', () => {
    const refused: readonly (readonly [name: string, value: unknown, message: RegExp])[] = [
      ['what is no list', { decision: 'allow' }, /approval rules/],
      ['a rule without a decision', [{}], /0\.decision/],
      ['an unknown decision', [{ decision: 'maybe' }], /0\.decision/],
      ['a misspelt key', [{ decision: 'allow', gatway: 'van' }], /gatway/],
      ['a limit without a currency', [{ decision: 'allow', maxLimit: 5 }], /currency/],
      ['bounds on a deny', [{ decision: 'deny', maxPeriodDays: 5 }], /allow only/],
      ['a negative limit', [{ decision: 'allow', maxLimit: -1, currency: 'EUR' }], /maxLimit/],
      ['a fraction', [{ decision: 'allow', maxPeriodDays: 1.5 }], /maxPeriodDays/],
      ['a currency in lower case', [{ decision: 'allow', currency: 'eur' }], /capital/],
      ['an empty name', [{ decision: 'allow', user: '' }], /user/],
      ['more than 256 rules', Array.from({ length: 257 }, () => ({ decision: 'ask' })), /approval rules/],
    ];
    for (const [name, value, message] of refused) {
      it(name, () => assert.throws(() => parseApprovalRules(value), { name: 'TypeError', message }));
    }
  });
});
