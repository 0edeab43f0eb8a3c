/** Credentials that are forged, expired, borrowed, or signed by nobody the PNE knows. */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Bytes } from '../../../src/base/bytes.ts';
import type { Status } from '../../../src/base/statuses.ts';
import { createOperator, Operator } from '../../../src/nodes/server/identity.ts';
import { generateKey, softwareSigner } from '../../../src/security/keystore.ts';
import { primitives } from '../../support/join.ts';
import { declineOf } from './dialogue.ts';
import type { RogueGateway, SetupChanges } from './rogue-gateway.ts';
import { Stage, type Victim } from './stage.ts';

const DAY_SECONDS = 86_400;

describe('hostile on the air: credentials', function () {
  this.timeout(30_000);
  let stage: Stage;
  let mallory: RogueGateway;
  let neighbour: RogueGateway;
  let operator: Operator;
  let stranger: Operator;
  let x: Victim;
  const now = Math.floor(Date.now() / 1_000);

  before(async () => {
    stage = await Stage.open();
    mallory = await stage.mallory();
    neighbour = await stage.mallory('Attic');
    operator = new Operator(stage.network.serverDir, primitives);
    const strangerDir = join(stage.network.dir, 'another-operator');
    mkdirSync(strangerDir, { mode: 0o700 });
    createOperator(strangerDir, 'op.example', now);
    stranger = new Operator(strangerDir, primitives);
    x = await stage.victim('X');
  });
  after(() => stage.close());

  const spoilt = (bytes: Bytes): Bytes => {
    const copy = bytes.slice();
    copy[copy.length - 1] = (copy.at(-1) ?? 0) ^ 1;
    return copy;
  };
  const own = (by: Operator, at = now) => by.credential(mallory.signer.publicKey, 'Mallory', 'Cellar', at);
  /** A kid is only a hint: here that of the real server on another's signature. */
  const withKid = (credential: Bytes, kid: Bytes, in_: Bytes): Bytes => {
    const copy = credential.slice();
    const at = Buffer.from(copy).indexOf(Buffer.from(in_));
    assert.ok(at > 0);
    copy.set(kid, at);
    return copy;
  };

  const attacks: Readonly<Record<string, readonly [Status, () => SetupChanges]>> = {
    'expired, and once signed by the server': [
      'credential-expired',
      () => ({ credential: own(operator, now - 8 * DAY_SECONDS) }),
    ],
    'signed by another operator': ['credential-unknown-key', () => ({ credential: own(stranger) })],
    "signed by another operator under the server's kid": [
      'credential-invalid',
      () => ({ credential: withKid(own(stranger), operator.kid, stranger.kid) }),
    ],
    'one bit of the signature turned': ['credential-invalid', () => ({ credential: spoilt(own(operator)) })],
    "another gateway's, with one's own signature": [
      'setup-request-invalid',
      () => ({ credential: neighbour.identity.credential }),
    ],
    "one's own, with a signature of a key that has none": [
      'setup-request-invalid',
      () => ({ signer: softwareSigner(generateKey()) }),
    ],
  };

  for (const [name, [status, changes]] of Object.entries(attacks)) {
    it(`${name}: declined with ${status}`, async () => {
      await stage.during(async () => {
        const dialogue = await mallory.open(x.address);
        const { th1 } = await dialogue.opened();
        dialogue.send('PnSetupRequest', mallory.setupRequest(th1, changes()).m1);
        assert.equal(await declineOf(dialogue), status);
        await dialogue.close();
      });
      stage.assertNothingLeft(x);
    });
  }

  it('the same, rightly made, is taken', async () => {
    const { dialogue } = await mallory.invite(x.address, { credential: own(operator) });
    await dialogue.close();
  });
});
