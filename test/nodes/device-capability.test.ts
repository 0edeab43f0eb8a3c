/** The capability that a PNE announces when its configuration has none: what its adapter's profile knows, at the gateway. */
import assert from 'node:assert/strict';
import { fromHex } from '../../src/base/bytes.ts';
import { encodeCapability } from '../../src/config/capability.ts';
import { decodeCbor } from '../../src/messages/cbor.ts';
import { InventoryPayload } from '../../src/messages/inventory.ts';
import { parseSign1 } from '../../src/security/cose.ts';
import { profileFile } from '../profiles/files.ts';
import { TestNetwork } from './network.ts';

describe('the capability of a device', function () {
  this.timeout(20_000);
  let network: TestNetwork;
  beforeEach(async () => {
    network = await TestNetwork.open();
  });
  afterEach(() => network.close());

  /** What stands in the inventory, signed by the server, of a PNE that joined. */
  async function announced(
    device: Parameters<TestNetwork['pne']>[1] extends { device?: infer D } | undefined ? D : never,
    profile?: string,
  ): Promise<unknown> {
    const home = await network.gateway('Alice', 'Hall');
    const initiating = await network.gateway('Bob', 'Kitchen', { pn: { invite: true } });
    const pne = await network.pne('Watch', { device, bluetooth: { profile } });
    const { code } = pne.startEnrolment();
    await home.pair(code);
    await network.until('membership', () => pne.status().memberships.length === 1);
    await network.until('inventory', () => initiating.pns()[0]?.inventorySha256 !== undefined);
    const inventory = initiating.inventory(initiating.pns()[0]?.pnId ?? '') ?? fromHex('');
    const [member] = InventoryPayload.decode(parseSign1(inventory).payload).members;
    return decodeCbor(member?.capability ?? fromHex(''));
  }

  it('is that of the profile, with what the configuration says of the device', async () => {
    const profile = profileFile({
      capability: { class: 'lamp', model: 'L1', chip: 'C7', bluetooth: '5.4' },
      radio: { dataLength: 99, phys: ['1M', '2M'] },
    });
    const seen = await announced({ capability: undefined, kind: undefined, model: 'L2' }, profile);
    assert.deepEqual(
      seen,
      decodeCbor(
        encodeCapability({
          ...{ class: 'lamp', model: 'L2' },
          radio: { chip: 'C7', bluetooth: '5.4', octets: 99, phys: ['1M', '2M'] },
        }),
      ),
    );
  });

  it('is that of the configuration where there is one', async () => {
    const capability = encodeCapability({ class: 'own' });
    assert.deepEqual(await announced({ capability }), decodeCbor(capability));
  });
});
