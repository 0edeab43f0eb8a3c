/**
 * What a gateway does with the server's word under a key it does not know, while it can't ask for the present keys: nothing
 * of it may be judged, or an inventory would be acknowledged and thrown away and a good question answered with a no.
 */
import assert from 'node:assert/strict';
import type { Bytes } from '../../src/base/bytes.ts';
import { ServerKeyLearner } from '../../src/nodes/gateway/server-keys.ts';
import { assembleSign1 } from '../../src/security/cose.ts';
import { coseKeyOf, kidOf } from '../../src/security/cose-key.ts';
import { generateKey, type SoftwareSigner, softwareSigner } from '../../src/security/keystore.ts';
import { pinServerKeys } from '../../src/security/server-keys.ts';
import { primitives } from '../support/join.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const newKey = () => softwareSigner(generateKey());

class Bench {
  readonly root = newKey();
  nowMs = 0;
  known: readonly SoftwareSigner[];
  /** What the server answers; none when it can't be reached. */
  present: readonly SoftwareSigner[] | undefined;
  asked = 0;
  readonly learner: ServerKeyLearner;

  constructor(...known: readonly SoftwareSigner[]) {
    this.known = known;
    this.learner = new ServerKeyLearner({
      clock: { monotonicMs: () => this.nowMs },
      serverKeys: () => pinServerKeys(primitives, coseKeyOf(this.root.publicKey), this.known.map(cose)),
      renew: async () => {
        this.asked++;
        if (!this.present) throw new Error('unreachable');
        this.known = this.present;
      },
    });
  }

  learn(...signers: readonly SoftwareSigner[]): Promise<void> {
    return this.learner.learn(signers.map(signedBy));
  }
}

const cose = (key: SoftwareSigner) => coseKeyOf(key.publicKey);
const signedBy = (key: SoftwareSigner): Bytes =>
  assembleSign1(new Uint8Array(1), new Uint8Array(64), kidOf(primitives, key.publicKey));
const LATER = { status: 'server-unreachable' } as const;

describe('a gateway that learns server keys', () => {
  const [first, second, third, stranger] = [newKey(), newKey(), newKey(), newKey()];

  it('judges nothing under an unknown key until the server was reached', async () => {
    const bench = new Bench(first);
    await assert.rejects(bench.learn(second), LATER);
    bench.present = [second, first];
    await assert.rejects(bench.learn(second), LATER);
    bench.nowMs += MINUTE_MS;
    await bench.learn(second);
    assert.equal(bench.asked, 2);
    await bench.learn(first, second);
    assert.equal(bench.asked, 2);
  });

  it('does not take the answer of a moment ago for one about a key that came since', async () => {
    const bench = new Bench(first);
    bench.present = [second, first];
    await bench.learn(second);
    bench.present = [third, second, first];
    bench.nowMs += MINUTE_MS / 2;
    await assert.rejects(bench.learn(third), LATER);
    bench.nowMs += MINUTE_MS / 2;
    await bench.learn(third);
  });

  it('lets what a key signed that the server does not state be judged, and asks about it once', async () => {
    const bench = new Bench(first);
    bench.present = [first];
    await bench.learn(stranger);
    bench.nowMs += HOUR_MS;
    await bench.learn(stranger);
    assert.equal(bench.asked, 1);
  });

  it('asks because of a doubting peer at most once an hour, and sooner when the server was not reached', async () => {
    const bench = new Bench(first);
    bench.learner.doubted();
    await bench.learner.ask();
    bench.nowMs += MINUTE_MS;
    bench.present = [first];
    bench.learner.doubted();
    await bench.learner.ask();
    assert.equal(bench.asked, 2);
    bench.nowMs += HOUR_MS - 1;
    bench.learner.doubted();
    assert.equal(bench.asked, 2);
    bench.nowMs += 1;
    bench.learner.doubted();
    assert.equal(bench.asked, 3);
  });
});
