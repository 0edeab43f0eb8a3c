/** Digits that nobody can aim at: what somebody who has read a gateway's code, and sees what is shown, can't work towards. */
import assert from 'node:assert/strict';
import type { Bytes } from '../../src/base/bytes.ts';
import { type Comparison, MAX_QUESTIONS, Pairings } from '../../src/nodes/gateway/pairing.ts';
import { systemClock } from '../../src/nodes/system-clock.ts';
import { coseKeyOf } from '../../src/security/cose-key.ts';
import { claimOf, Enrolment } from '../enrolment/bench.ts';
import { PRIMITIVES } from '../establishment/bench.ts';

type Sent = { readonly message: string; readonly body: Bytes };

/** A gateway's codes, and an attacker who has made every link the same to the last bit: all that he has to do with. */
class Attacked {
  readonly world = new Enrolment();
  readonly asked: (Comparison | undefined)[] = [];
  readonly pairings: Pairings;
  #signature: Bytes | undefined;
  #claim: Bytes | undefined;

  constructor() {
    this.world.codeOf = 'gateway';
    const { gateway, operator, homeAddress, credential } = this.world.table;
    this.pairings = new Pairings({
      ...{ primitives: PRIMITIVES, clock: systemClock, home: {}, onStaleKeys: () => {} },
      client: { enrolmentNonce: async () => ({ nonce: new Uint8Array(16) }) },
      offer: () => ({
        ...{ gatewayKey: coseKeyOf(gateway.publicKey), rootKey: coseKeyOf(operator.root.publicKey) },
        ...{ serverKeys: [coseKeyOf(operator.server.publicKey)], homeAddress, userLabel: 'bob', credential },
      }),
    } as never);
  }

  show() {
    return this.pairings.show((comparison) => this.asked.push(comparison));
  }

  /** @returns what the gateway said and when, and how it closed; the link is lost as soon as E2 was answered */
  async link(): Promise<readonly string[]> {
    const { gateway, opened } = this.world.table;
    const said: string[] = [];
    const effects = {
      send: ({ message, body }: Sent) => {
        said.push(`${message}, ${this.asked.length} asked`);
        if (message === 'EnrolOffer') this.world.e1 = body;
      },
      sign: async ({ message }: { message: Bytes }) => {
        this.#signature ??= gateway.sign(message);
        return { kind: 'signed', signature: this.#signature };
      },
      close: ({ status }: { status: string }) => said.push(`close ${status}`),
    };
    const driver = this.pairings.start(
      this.pairings.shown ?? assert.fail('no code'),
      new Uint8Array(16),
      { ...opened, th1: this.world.th1 } as never,
      { effects } as never,
      () => {},
    );
    while (said.length === 0) await new Promise((resolve) => setImmediate(resolve));
    this.#claim ??= claimOf(this.world);
    driver.feed({ kind: 'EnrolClaim', body: this.#claim } as never);
    driver.feed({ kind: 'linkClosed', status: 'link-lost' } as never);
    await new Promise((resolve) => setImmediate(resolve));
    return said;
  }

  /** Of all questions so far. */
  get digits(): readonly string[] {
    return this.asked.flatMap((comparison) => (comparison ? [comparison.digits] : []));
  }
}

describe('a code that the gateway shows', () => {
  it('the same E2 on the same transcript leads to other digits, under this code and the next', async () => {
    const attacked = new Attacked();
    const first = attacked.show();
    first.used.catch(() => {});
    assert.deepEqual(await attacked.link(), [
      'EnrolOffer, 0 asked',
      'EnrolComparison, 1 asked',
      'close link-lost',
    ]);
    await attacked.link();
    // The PNE still shows the first ones; the gateway's user has another code shown.
    const next = attacked.show();
    next.used.catch(() => {});
    await attacked.link();
    assert.equal(attacked.digits.length, 3);
    assert.equal(new Set(attacked.digits).size, 3, attacked.digits.join(', '));
    next.hide();
  });

  it('is void when its user was asked often enough for somebody to hope for chance', async () => {
    const attacked = new Attacked();
    const { used } = attacked.show();
    const spent = assert.rejects(used, { status: 'enrolment-code-spent' });
    for (let i = 0; i < MAX_QUESTIONS; i++)
      assert.ok((await attacked.link()).includes('close link-lost'), `question ${i + 1}`);
    const oneMore = await attacked.link();
    await spent;
    assert.ok(oneMore.includes('close enrolment-code-spent'), oneMore.join('; '));
    assert.equal(attacked.digits.length, MAX_QUESTIONS);
    assert.equal(attacked.pairings.shown, undefined);
  });
});
