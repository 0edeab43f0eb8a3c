/**
 * The failure branches that a single party can cause (design §2): each ends with its named status at the PNE and at the
 * initiating gateway, nothing provisional is left anywhere, nothing is due, and S1–S5 hold all the way.
 */
import assert from 'node:assert/strict';
import type { Bytes } from '../../src/base/bytes.ts';
import { PnId } from '../../src/base/ids.ts';
import type { Status } from '../../src/base/statuses.ts';
import type { Decision } from '../../src/establishment/home-gateway.ts';
import { PnSetupResponse, padPnSetupResponse, unpadPnSetupResponse } from '../../src/messages/setup.ts';
import type { MessageName } from '../../src/messages/types.ts';
import { VirtualGateway } from '../support/virtual-world-gateway.ts';
import { START_SECONDS } from '../support/virtual-world-operator.ts';
import { VirtualPne } from '../support/virtual-world-pne.ts';
import { Scene } from './scene.ts';

interface Branch {
  readonly what: string;
  readonly before: (scene: Scene) => void;
  /** What the PNE and the gateway call it. */
  readonly pne: Status;
  readonly gateway: Status;
  /** The PNE had signed: the status is the server's, and GW1 was told too where it was asked. */
  readonly signed?: boolean;
  readonly home?: Status;
}

/** Says something else in place of one message. */
const instead =
  (which: MessageName, make: (body: Bytes) => Bytes) =>
  (message: MessageName, body: Bytes): Bytes =>
    message === which ? make(body) : body;
const spoilt = (body: Bytes): Bytes => body.map((byte, i) => (i === body.length - 1 ? byte ^ 1 : byte));
const garbage = (): Bytes => Uint8Array.of(0xbf, 0xff);
const owner = (decision: Decision) => (scene: Scene) => {
  scene.home('alice').home.rules = [];
  scene.home('alice').home.owner = decision;
};
const thumbprint = (scene: Scene) => scene.pne.thumbprint;
/** Step 2 with another PN GW #1 address, which the PNE itself believes to have said. */
const withHome = (address: string) => (scene: Scene) => {
  scene.pne.homeAddress = address;
};
const TAKEN = PnId(Uint8Array.of(9, 9, 9, 9, 9, 9, 9, 9));

const BRANCHES: readonly Branch[] = [
  {
    what: 'the PNE declines',
    before: ({ pne }) => {
      pne.answer = 'declined';
    },
    pne: 'declined',
    gateway: 'declined',
  },
  {
    ...{
      what: 'the PNE is in too many networks',
      pne: 'too-many-memberships',
      gateway: 'too-many-memberships',
    },
    before: (scene) => fill(scene, 8, 'member'),
  },
  {
    ...{ what: 'the PNE is busy with pending joins', pne: 'busy', gateway: 'busy' },
    before: (scene) => fill(scene, 4, 'pending'),
  },
  {
    ...{ what: 'the credential has expired', pne: 'credential-expired', gateway: 'credential-expired' },
    before: ({ gw2, server }) => {
      gw2.credential = server.operator.credential(gw2.signer, { expiresAt: START_SECONDS - 1 });
    },
  },
  {
    ...{ what: 'the credential is of nobody', pne: 'credential-invalid', gateway: 'credential-invalid' },
    before: ({ gw2 }) => {
      gw2.credential = spoilt(gw2.credential);
    },
  },
  {
    ...{ what: 'step 1 has a bad signature', pne: 'setup-request-invalid', gateway: 'setup-request-invalid' },
    before: ({ gw2 }) => {
      gw2.instead = instead('PnSetupRequest', spoilt);
    },
  },
  {
    ...{ what: 'step 1 is malformed', pne: 'malformed', gateway: 'malformed' },
    before: ({ gw2 }) => {
      gw2.instead = instead('PnSetupRequest', garbage);
    },
  },
  {
    ...{ what: 'step 1 is oversize', pne: 'link-violation', gateway: 'link-lost' },
    before: ({ gw2 }) => {
      gw2.instead = instead('PnSetupRequest', () => new Uint8Array(3_000));
    },
  },
  {
    ...{ what: 'step 2 is malformed', pne: 'malformed', gateway: 'malformed' },
    before: ({ pne }) => {
      pne.instead = instead('PnSetupResponse', garbage);
    },
  },
  {
    ...{ what: 'step 2 is padded with something', pne: 'malformed', gateway: 'malformed' },
    before: ({ pne }) => {
      pne.instead = instead('PnSetupResponse', spoilt);
    },
  },
  {
    ...{
      what: 'the PN GW #1 address is none',
      pne: 'home-address-malformed',
      gateway: 'home-address-malformed',
    },
    before: withHome('nowhere'),
    signed: true,
  },
  {
    ...{ what: 'step 5 is not for this transcript', pne: 'challenge-invalid', gateway: 'challenge-invalid' },
    before: ({ pne }) => {
      pne.instead = instead('PnSetupResponse', (padded) => {
        const body = PnSetupResponse.decode(unpadPnSetupResponse(padded));
        return padPnSetupResponse(
          PnSetupResponse.encode(body.status === 'ok' ? { ...body, pneId: 'another' } : body),
        );
      });
    },
  },
  {
    ...{ what: 'step 5 has a bad signature', pne: 'challenge-invalid', gateway: 'challenge-invalid' },
    before: ({ gw2 }) => {
      gw2.instead = instead('AuthenticationChallenge', spoilt);
    },
  },
  {
    ...{
      what: 'the home is another than on record',
      pne: 'home-address-mismatch',
      gateway: 'home-address-mismatch',
    },
    before: (scene) => withHome(scene.server.operator.homeAddressOf(scene.gw2.signer))(scene),
    signed: true,
  },
  {
    ...{ what: 'the PNE is unknown', pne: 'unknown-pne', gateway: 'unknown-pne', signed: true },
    before: (scene) => void scene.server.store.directory.endPne(thumbprint(scene), 'released'),
  },
  {
    ...{ what: 'the PNE is revoked', pne: 'revoked-pne', gateway: 'revoked-pne', signed: true },
    before: (scene) => void scene.server.store.directory.endPne(thumbprint(scene), 'revoked'),
  },
  {
    ...{ what: "the PNE's user is revoked", pne: 'revoked-user', gateway: 'revoked-user', signed: true },
    before: ({ server, world }) => void server.store.directory.revokeUser('alice', world.seconds),
  },
  {
    ...{ what: 'the gateway is revoked', pne: 'revoked-gateway', gateway: 'revoked-gateway' },
    before: ({ server, gw2, world }) =>
      void server.store.directory.revokeGateway(gw2.gatewayId, world.seconds),
  },
  {
    ...{
      what: 'step 6 has a bad signature',
      pne: 'response-invalid',
      gateway: 'response-invalid',
      signed: true,
    },
    before: ({ pne }) => {
      pne.instead = instead('AuthenticationResponse', spoilt);
    },
  },
  {
    ...{
      what: "the PNE is not the home's",
      pne: 'not-owned',
      gateway: 'not-owned',
      signed: true,
      home: 'not-owned',
    },
    before: owner({ yours: false, chargeable: false, reason: 'not-owned' }),
  },
  {
    ...{ what: 'it may not be charged', pne: 'not-chargeable', gateway: 'not-chargeable', signed: true },
    before: owner({ yours: true, chargeable: false, reason: 'not-chargeable' }),
    home: 'not-chargeable',
  },
  {
    ...{
      what: 'its user refuses',
      pne: 'user-refused',
      gateway: 'user-refused',
      signed: true,
      home: 'user-refused',
    },
    before: owner({ yours: true, chargeable: false, reason: 'user-refused' }),
  },
  {
    ...{
      what: 'its user never answers',
      pne: 'confirmation-timeout',
      gateway: 'confirmation-timeout',
      signed: true,
    },
    before: (scene) => {
      scene.home('alice').home.rules = [];
    },
    home: 'confirmation-timeout',
  },
];

/** So many joins that the PNE has on disk already, and the audit knows nothing of. */
function fill(scene: Scene, count: number, state: 'member' | 'pending'): void {
  scene.audit.pause = true;
  for (let i = 1; i <= count; i++) {
    const [th3, rms] = [new Uint8Array(32).fill(i), new Uint8Array(32).fill(100 + i)];
    const pnId = PnId(new Uint8Array(8).fill(i));
    const join = {
      state,
      pnId,
      gatewayId: scene.gw2.gatewayId,
      th3,
      rms,
      capability: scene.pne.capability,
      version: 0,
    };
    if (state === 'pending') scene.pne.store.savePending(join, START_SECONDS, 0);
    else scene.pne.store.saveMember(join, th3, 0);
  }
}

/** The end of every failed join. */
function assertOver(scene: Scene, { pne, gateway, home }: Pick<Branch, 'pne' | 'gateway' | 'home'>): void {
  assert.ok(scene.pne.statuses.includes(pne), `PNE: ${scene.pne.statuses.join(', ')}`);
  assert.ok(scene.gw2.statuses.includes(gateway), `gateway: ${scene.gw2.statuses.join(', ')}`);
  if (home) assert.ok(scene.home('alice').home.statuses.includes(home), 'home gateway');
  assert.deepEqual(scene.gw2.problems, []);
  scene.gw2.inviting = undefined;
  scene.end();
  assert.deepEqual(scene.world.armed, []);
  assert.equal(scene.server.store.registrations.pns().length, 0);
}

describe('simulation: failures that one party can cause', () => {
  for (const branch of BRANCHES)
    it(`${branch.what}: ${branch.gateway}`, () => {
      const scene = new Scene({ owners: ['alice'] });
      branch.before(scene);
      for (const party of [scene.pne, scene.gw2]) party.statuses.length = 0;
      const known = scene.pne.store.joins().length;
      scene.invite();
      scene.world.until(
        'the attempt to end',
        () => scene.gw2.statuses.length > 0 && scene.noLinks(),
        1_000_000,
      );
      scene.gw2.inviting = undefined;
      assert.equal(scene.pne.signed.size, branch.signed ? 1 : 0, 'signed');
      assert.equal(scene.pne.store.joins().length, known, 'the PNE remembers nothing of it');
      scene.world.pass(70_000);
      assertOver(scene, branch);
      if (known === 0) scene.assertNothingProvisional();
    });

  it('the PN ID is taken: the gateway mints another and sets up again', () => {
    const scene = new Scene({ owners: ['alice'] });
    const other = new VirtualGateway(scene.world, scene.server, 'carol', 'gw-carol');
    scene.gateways.push(other);
    const second = new VirtualPne(scene.world, 'pne2', [other, scene.home('alice')]);
    scene.home('alice').pair(second.showCode());
    scene.world.until('the second PNE to be enrolled', () => second.owner !== undefined && !second.linkUp);
    other.pnIds.push(TAKEN);
    other.invite('cellar');
    second.announce();
    scene.world.until('the first network', () => other.liveJoins().length === 1);
    scene.gw2.pnIds.push(TAKEN);
    scene.gw2.statuses.length = 0;
    scene.invite().untilMembers();
    assert.deepEqual(scene.gw2.statuses, ['pn-id-collision']);
    assert.ok(scene.pne.statuses.includes('pn-id-collision'));
    assert.equal(scene.server.store.registrations.pns().length, 2);
    second.powerOff();
    scene.end();
    scene.assertNothingProvisional();
    assert.deepEqual(scene.world.armed, []);
  });

  it('a replayed challenge of an earlier session: challenge-invalid, nothing signed twice', () => {
    const scene = new Scene({ owners: ['alice'] });
    let recorded: Bytes | undefined;
    scene.gw2.instead = instead('AuthenticationChallenge', (body) => {
      recorded ??= body;
      return recorded;
    });
    owner({ yours: true, chargeable: false, reason: 'user-refused' })(scene);
    scene.invite();
    scene.world.until('the first attempt to end', () => scene.gw2.statuses.includes('user-refused'));
    scene.world.pass(70_000);
    scene.world.until('the second', () => scene.gw2.statuses.includes('challenge-invalid'), 1_000_000);
    scene.gw2.inviting = undefined;
    assert.equal(scene.pne.signed.size, 1);
    scene.world.pass(120_000);
    assertOver(scene, { pne: 'challenge-invalid', gateway: 'challenge-invalid' });
    scene.assertNothingProvisional();
  });

  it('asked again too soon after a no: backing-off, and nothing is signed', () => {
    const scene = new Scene({ owners: ['alice'] });
    owner({ yours: true, chargeable: false, reason: 'user-refused' })(scene);
    scene.invite();
    scene.world.until('the second attempt to end', () => scene.gw2.statuses.includes('backing-off'));
    scene.gw2.inviting = undefined;
    assert.equal(scene.pne.signed.size, 1);
    scene.world.pass(120_000);
    assertOver(scene, { pne: 'backing-off', gateway: 'backing-off' });
    scene.assertNothingProvisional();
  });

  it('a disk that is full: nothing is sent that relies on it', () => {
    for (const [who, kind] of [
      ['pne', 'persistPending'],
      ['gateway', 'persistJoin'],
    ] as const) {
      const scene = new Scene({ owners: ['alice'] });
      (who === 'pne' ? scene.pne : scene.gw2).broken.add(kind);
      for (const party of [scene.pne, scene.gw2]) party.statuses.length = 0;
      scene.invite();
      scene.world.until('the attempt to end', () => scene.gw2.statuses.length > 0 && scene.noLinks());
      scene.gw2.inviting = undefined;
      assert.equal(scene.pne.signed.size, who === 'pne' ? 0 : 1);
      assert.equal(scene.said().includes('gw-bob AuthenticationRelay'), false);
      scene.world.pass(70_000);
      assertOver(scene, { pne: 'cannot-persist', gateway: 'cannot-persist' });
      assert.equal(
        scene.pne.store.joins().length,
        scene.pne.signed.size,
        'what was signed stays pending for a day',
      );
    }
  });

  it('the home gateway is away: the question waits for it, and ends at its deadline', () => {
    const back = new Scene({ owners: ['alice'] });
    back.server.hangUp(back.home('alice').gatewayId);
    back.invite();
    back.world.until('the server to wait', () => back.said().includes('server verified'));
    back.world.pass(600_000);
    back.home('alice').online();
    back.untilMembers();
    back.end();
    back.assertNothingProvisional();

    const away = new Scene({ owners: ['alice'] });
    away.server.limits = { ...away.server.limits, confirmOfflineSeconds: 3_600 };
    away.server.hangUp(away.home('alice').gatewayId);
    away.invite();
    away.world.until('the end', () => away.gw2.statuses.includes('home-gateway-unreachable'), 100_000_000);
    away.gw2.inviting = undefined;
    assert.ok(away.pne.statuses.includes('home-gateway-unreachable'));
    away.world.pass(10_000);
    away.end();
    away.assertNothingProvisional();
  });

  it('a notify that is lost after the commit: told at the next contact', () => {
    const scene = new Scene({ owners: ['alice'] });
    scene.gw2.instead = (message, body) => (message === 'PnSetupNotify' ? undefined : body);
    scene.invite();
    scene.world.until('step 13 to be lost', () => scene.gw2.statuses.includes('timeout'));
    scene.gw2.instead = undefined;
    scene.untilMembers();
    assert.equal(scene.server.store.registrations.pns()[0]?.version, 1, 'no second registration');
    scene.end();
    scene.assertNothingProvisional();
  });
});
