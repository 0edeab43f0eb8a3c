/** Money as people read it, in the digits that each currency has. */
import assert from 'node:assert/strict';
import { limitInWords, money } from '../../src/base/money.ts';

describe('money in words', () => {
  it('has as many digits as its currency', () => {
    assert.deepEqual(
      ['EUR', 'JPY', 'KWD'].map((currency) => money(500, currency)),
      ['EUR 5.00', 'JPY 500', 'KWD 0.500'],
    );
    assert.equal(money(500, 'no currency'), '500 minor units of no currency');
  });

  it('is for a day, or for days', () => {
    assert.equal(limitInWords(500, 'EUR', 1), 'EUR 5.00 in 1 day');
    assert.equal(limitInWords(500, 'EUR', 30), 'EUR 5.00 in 30 days');
  });
});
