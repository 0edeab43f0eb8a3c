/** Sizes of the messages against docs/protocol.md's byte budget and the reference model's real encodings. */
import assert from 'node:assert/strict';
import { GatewayId, JoinId, PnId, Thumbprint } from '../../src/base/ids.ts';
import { GatewayCredentialPayload } from '../../src/messages/credential.ts';
import { EnrolClaimPayload, EnrolOfferPayload, EnrolReceiptPayload } from '../../src/messages/enrolment.ts';
import { InventoryPayload, OutcomePayload } from '../../src/messages/inventory.ts';
import { Open } from '../../src/messages/link.ts';
import { signedBytes } from '../../src/messages/message.ts';
import { FreshnessPayload, Resume, Resumed } from '../../src/messages/resumption.ts';
import {
  Ack,
  AuthenticationChallengePayload,
  AuthenticationResponsePayload,
  PnSetupNotify,
  PnSetupRequestPayload,
  PnSetupResponse,
} from '../../src/messages/setup.ts';
import { b } from './samples.ts';

const pnId = PnId(b(8));
const gatewayId = GatewayId(b(8));
const thumbprint = Thumbprint(b(32));
const TIME = 1893456000;
const key = { x: b(32), y: true };

describe('byte budget (docs/protocol.md, measured with 60-byte capability, no contents, no PNE ID)', () => {
  const open = { versions: [1], suites: [1], segmentBytes: 244, credits: 16, ephemeral: b(32) };
  const capability = b(60);
  const name = 'Kitchen PN';
  const credential = b(169);
  const inventory = (count: number) =>
    InventoryPayload.encode({
      pnId,
      version: 1,
      issuedAt: TIME,
      gatewayId,
      name,
      members: Array.from({ length: count }, (_, i) => ({
        handle: i + 1,
        joinId: JoinId(b(16)),
        capability,
      })),
    });
  const notify = (count: number) =>
    PnSetupNotify.encode({ status: 'ok', inventory: b(signedBytes(inventory(count).length, true)) }).length;
  const outcome = OutcomePayload.encode({ status: 'user-refused', serverTime: TIME });

  const rows: readonly (readonly [string, number, number])[] = [
    ['OPEN of a PNE', Open.encode({ ...open, role: 'pne' }).length, 49],
    ['OPEN of a gateway', Open.encode({ ...open, role: 'gateway', kind: 'establish' }).length, 51],
    [
      'OPEN of a gateway that resumes',
      Open.encode({ ...open, role: 'gateway', kind: 'resume', rid: b(8) }).length,
      61,
    ],
    [
      'gateway credential',
      signedBytes(
        GatewayCredentialPayload.encode({
          expiresAt: TIME,
          gatewayId,
          confirmation: { key },
          labels: { role: 'gateway', user: 'Bob Example', gateway: 'Kitchen' },
        }).length,
        true,
      ),
      169,
    ],
    [
      'step 1',
      signedBytes(PnSetupRequestPayload.encode({ pnId, setupType: 'new', name, credential }).length, false),
      271,
    ],
    [
      'step 2',
      PnSetupResponse.encode({
        status: 'ok',
        capability,
        homeAddress: 'gw-7f3a9c21.home.example.ab',
        thumbprint,
      }).length,
      131,
    ],
    [
      'step 5',
      signedBytes(AuthenticationChallengePayload.encode({ nonce: b(16), serverTime: TIME }).length, true),
      105,
    ],
    ['step 6', signedBytes(AuthenticationResponsePayload.encode({ status: 'ok' }).length, false), 76],
    ['step 13, 1 member', notify(1), 213],
    ['step 13, 2 members', notify(2), 298],
    ['step 13, 5 members', notify(5), 551],
    [
      'step 13, refused',
      PnSetupNotify.encode({ status: 'user-refused', outcome: b(signedBytes(outcome.length, true)) }).length,
      96,
    ],
    ['ack', Ack.encode({ status: 'ok' }).length, 3],
    ['Resume', Resume.encode({ pnId, version: 7 }).length, 13],
    ['Resumed', Resumed.encode({ status: 'ok', version: 7, serverKeysIssuedAt: TIME }).length, 11],
    [
      'Freshness',
      signedBytes(
        FreshnessPayload.encode({ status: 'ok', version: 7, serverTime: TIME, joinId: JoinId(b(16)) }).length,
        true,
      ),
      109,
    ],
    [
      'E1',
      signedBytes(
        EnrolOfferPayload.encode({
          gatewayKey: key,
          rootKey: key,
          serverKeys: [key],
          homeAddress: '0123456789abcdef@home.examp',
          userLabel: 'Bob Example',
          nonce: b(16),
          credential,
        }).length,
        false,
      ),
      439,
    ],
    [
      'E2',
      signedBytes(
        EnrolClaimPayload.encode({ key, pneId: 'thermometer-1', capability, epoch: 1 }).length,
        false,
      ),
      198,
    ],
    [
      'E3',
      signedBytes(
        EnrolReceiptPayload.encode({
          thumbprint,
          gatewayId,
          userLabel: 'Bob Example',
          epoch: 1,
          serverTime: TIME,
        }).length,
        true,
      ),
      147,
    ],
  ];
  for (const [what, actual, budget] of rows)
    it(`${what}: ${budget} bytes`, () => assert.equal(actual, budget));
});
