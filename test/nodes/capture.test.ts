/** What a sniffer has: the controller's capture of an enrolment and an establishment holds nothing of the PNE in clear. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { utf8 } from '../../src/base/bytes.ts';
import { TestNetwork } from './network.ts';

/** A text cut by a segment's edge still shows this many bytes in a row on one side of it. */
const WINDOW = 6;

function shows(capture: Buffer, secret: Uint8Array): boolean {
  for (let at = 0; at + WINDOW <= secret.length; at++) {
    if (capture.includes(Buffer.from(secret.subarray(at, at + WINDOW)))) return true;
  }
  return false;
}

describe('the capture of an establishment', function () {
  this.timeout(20_000);
  let network: TestNetwork;
  before(async () => {
    network = await TestNetwork.open();
  });
  after(() => network.close());

  it('shows no PNE ID, capability, contents, home address, name or credential', async () => {
    const capability = utf8('a capability that nobody on the air may read, 60 bytes long.');
    const path = join(network.dir, 'pne.btsnoop');
    const home = await network.gateway('Alice Example', 'Hall Gateway');
    const initiating = await network.gateway('Bob Example', 'Kitchen Gateway', { pn: { invite: true } });
    const contents = [{ name: 'Holiday pictures', mediaType: 'image/jpeg' }];
    const pne = await network.pne('Secret Watch', { capture: path, device: { capability, contents } });
    await home.pair(pne.startEnrolment().code);
    await network.until('membership', () => pne.status().memberships.length === 1);
    const { homeAddress, memberships } = pne.status();
    const secrets = {
      'PNE ID': utf8('Secret Watch'),
      capability,
      'name of a content': utf8('Holiday pictures'),
      'type of a content': utf8('image/jpeg'),
      'home address': utf8(homeAddress ?? ''),
      'user label': utf8('Bob Example'),
      'gateway label': utf8('Kitchen Gateway'),
      'PN name': utf8(memberships[0]?.name ?? ''),
      inventory: initiating.inventory(memberships[0]?.pnId ?? '') ?? new Uint8Array(0),
    };
    await pne.close();
    const capture = readFileSync(path);
    for (const [what, secret] of Object.entries(secrets)) {
      assert.ok(secret.length >= WINDOW, `${what} is known`);
      assert.ok(!shows(capture, secret), `${what} is on the air`);
    }
    // The search itself works: what is sent in clear is found.
    assert.ok(shows(capture, Buffer.from('50c9640b1f7e2a9d0e4c1e5b0100a5c9', 'hex')), 'the service UUID');
  });
});
