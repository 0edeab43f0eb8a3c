/** Digits that come twice under one code: somebody saw them, and tried until a claim of their own led to them. */
import assert from 'node:assert/strict';
import type { Bytes } from '../../src/base/bytes.ts';
import { type Comparison, Pairings } from '../../src/nodes/gateway/pairing.ts';
import { systemClock } from '../../src/nodes/system-clock.ts';
import { coseKeyOf } from '../../src/security/cose-key.ts';
import { claimOf, Enrolment } from '../enrolment/bench.ts';
import { PRIMITIVES } from '../establishment/bench.ts';

describe('a code that the gateway shows', () => {
  it('is void when the same digits come a second time, and the PNE is shown none before the gateway knows them', async () => {
    const world = new Enrolment();
    world.codeOf = 'gateway';
    const { gateway, operator, homeAddress, credential, opened } = world.table;
    const nonce = new Uint8Array(16);
    const pairings = new Pairings({
      ...{ primitives: PRIMITIVES, clock: systemClock, home: {}, onStaleKeys: () => {} },
      client: { enrolmentNonce: async () => ({ nonce }) },
      offer: () => ({
        ...{ gatewayKey: coseKeyOf(gateway.publicKey), rootKey: coseKeyOf(operator.root.publicKey) },
        ...{ serverKeys: [coseKeyOf(operator.server.publicKey)], homeAddress, userLabel: 'bob', credential },
      }),
    } as never);
    const asked: (Comparison | undefined)[] = [];
    const { used } = pairings.show((comparison) => asked.push(comparison));
    const spent = assert.rejects(used, { status: 'enrolment-code-spent' });

    // What an attacker has to work for, by a link that is the same to the last bit.
    let signature: Bytes | undefined;
    let claim: Bytes | undefined;
    const link = async (): Promise<readonly string[]> => {
      const said: string[] = [];
      const effects = {
        send: ({ message, body }: { message: string; body: Bytes }) => {
          said.push(`${message}, ${asked.length} asked`);
          if (message === 'EnrolOffer') world.e1 = body;
        },
        sign: async ({ message }: { message: Bytes }) => {
          signature ??= gateway.sign(message);
          return { kind: 'signed', signature };
        },
        close: ({ status }: { status: string }) => said.push(`close ${status}`),
      };
      const pairing = pairings.shown ?? assert.fail();
      const driver = pairings.start(
        pairing,
        nonce,
        { ...opened, th1: world.th1 } as never,
        { effects } as never,
        () => {},
      );
      while (said.length === 0) await new Promise((resolve) => setImmediate(resolve));
      claim ??= claimOf(world);
      driver.feed({ kind: 'EnrolClaim', body: claim } as never);
      driver.feed({ kind: 'linkClosed', status: 'link-lost' } as never);
      await new Promise((resolve) => setImmediate(resolve));
      return said;
    };
    assert.deepEqual(await link(), ['EnrolOffer, 0 asked', 'Waiting, 1 asked', 'close link-lost']);
    const again = await link();
    await spent;
    assert.ok(again.includes('close enrolment-code-spent'), again.join('; '));
    assert.deepEqual(asked.slice(1), [undefined]);
    assert.equal(pairings.shown, undefined);
  });
});
