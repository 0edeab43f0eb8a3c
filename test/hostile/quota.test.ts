/** A gateway with a certificate that fills the server's disk: joins of PNEs that never signed anything. */
import assert from 'node:assert/strict';
import { CpnsError } from '../../src/base/errors.ts';
import { generateKey, softwareSigner } from '../../src/security/keystore.ts';
import { joinOf, ServerKit, type TestGateway, type TestPne } from '../support/server-kit.ts';

describe('a hostile gateway at steps 3 and 7', function () {
  this.timeout(30_000);
  const kit = new ServerKit();
  let mallory: TestGateway;
  let pne: TestPne;

  before(async () => {
    await kit.start();
    kit.addUser('Mallory');
    mallory = await kit.addGateway('Mallory', 'Cellar');
    pne = await kit.addPne(mallory);
  });
  after(() => kit.close());

  /** One join whose step 6 nobody but the gateway signed. @returns the server's last word */
  async function forge(): Promise<string> {
    const join = joinOf(mallory, pne);
    try {
      const { challenge } = await mallory.client.registerPn(join.txn, join.body);
      const { response } = join.respond(challenge, softwareSigner(generateKey()));
      return (await mallory.client.respond(join.txn, response)).status;
    } catch (error) {
      assert.ok(error instanceof CpnsError, String(error));
      return error.status;
    }
  }

  it('is held up after some forged answers, each of which is kept for a month', async () => {
    const words: string[] = [];
    for (let i = 0; i < 120; i++) words.push(await forge());
    assert.equal(words[0], 'response-invalid');
    assert.equal(words.at(-1), 'too-many-requests');
    assert.ok(words.filter((word) => word === 'response-invalid').length <= 80);
  });

  it('does not hold up another gateway', async () => {
    kit.addUser('Bob');
    const bob = await kit.addGateway('Bob', 'Kitchen');
    const join = joinOf(bob, pne);
    const { challenge } = await bob.client.registerPn(join.txn, join.body);
    const { response } = join.respond(challenge);
    assert.equal((await bob.client.respond(join.txn, response)).state, 'verified');
  });
});
