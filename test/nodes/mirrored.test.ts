/** The mirrored arrangement: the gateway is GATT peripheral, the PNE central. The same flow, the other way round. */
import assert from 'node:assert/strict';
import type { Status } from '../../src/base/statuses.ts';
import type { DeclineStatus } from '../../src/establishment/pne-types.ts';
import type { GatewayNode } from '../../src/nodes/gateway/gateway.ts';
import { COMPARED_AFTER_MS, type Comparison } from '../../src/nodes/gateway/pairing.ts';
import type { PneNode } from '../../src/nodes/pne/pne.ts';
import { createEnrolmentCode, parseEnrolmentCode } from '../../src/security/enrolment-code.ts';
import { nodePrimitives } from '../../src/security/primitives-node.ts';
import { TestNetwork } from './network.ts';

const PERIPHERAL = { bluetooth: { as: 'peripheral' } } as const;
const CENTRAL = { bluetooth: { as: 'central' } } as const;
const INVITING = { ...PERIPHERAL, pn: { invite: true } } as const;

describe('the mirrored arrangement', function () {
  this.timeout(30_000);
  let network: TestNetwork;
  beforeEach(async () => {
    network = await TestNetwork.open();
  });
  afterEach(() => network.close());

  /** As a person would: reads the code off the gateway, types it in at the PNE, and compares what both show. */
  async function enrol(pne: PneNode, home: GatewayNode): Promise<void> {
    const { code, used } = network.showCode(home);
    pne.useCode(code);
    await Promise.all([used, pne.enrolled]);
  }

  const member = (pne: PneNode) => () => pne.status().memberships[0]?.version === 1;
  const named = (name: string) => network.trace.filter((event) => event.name === name);
  const ended = (status: Status) => () =>
    network.events.some((e) => e.kind === 'link' && e.state === 'down' && e.status === status);
  const drop = () => {
    const link = network.radio.counters().links.find(({ open }) => open);
    assert.ok(link && network.radio.dropLink(link.central, link.peripheral));
  };

  it('enrols with a code that the gateway shows, and establishes: steps 0 to 13', async () => {
    const home = await network.gateway('Alice', 'Hall', PERIPHERAL);
    const pne = await network.pne('Phone', CENTRAL);
    await enrol(pne, home);
    assert.deepEqual(
      home.pnes().map(({ label }) => label),
      ['Phone'],
    );
    const initiating = await network.gateway('Bob', 'Kitchen', INVITING);
    await network.until('membership', member(pne));
    await network.until('acknowledged', () => initiating.pns()[0]?.joins[0]?.acknowledged === true);
    assert.equal(pne.status().memberships[0]?.inventorySha256, initiating.pns()[0]?.inventorySha256);
    const steps = network.trace.flatMap(({ step }) => (step === undefined ? [] : [step]));
    assert.deepEqual(steps, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]);
    const [discovery] = named('EntityDiscovery').filter(({ step }) => step === 0);
    assert.deepEqual([discovery?.from, discovery?.to], ['gateway', 'pne']);
  });

  it('resumes after a link loss: the gateway says Resume, and nothing is registered again', async () => {
    const home = await network.gateway('Alice', 'Hall', PERIPHERAL);
    const pne = await network.pne('Phone', CENTRAL);
    await enrol(pne, home);
    await network.gateway('Bob', 'Kitchen', INVITING);
    await network.until('membership', member(pne));
    drop();
    await network.until('resumed', () => network.events.some(({ kind }) => kind === 'resumed'), 15_000);
    assert.deepEqual(
      named('Resume').map(({ from }) => from),
      ['gateway'],
    );
    assert.equal(named('PnRegistrationRequest').length, 1);
  });

  it('finds its membership at a gateway of so many PNEs that its tag is not on the air', async () => {
    const home = await network.gateway('Alice', 'Hall', PERIPHERAL);
    const initiating = await network.gateway('Bob', 'Kitchen', INVITING);
    for (const name of ['One', 'Two', 'Three', 'Four']) {
      const pne = await network.pne(name, CENTRAL);
      await enrol(pne, home);
      await network.until(`membership of ${name}`, () => pne.status().memberships.length === 1, 15_000);
      await pne.close();
    }
    await network.pne('One', CENTRAL);
    await network.until('resumed', () => network.events.some(({ kind }) => kind === 'resumed'), 15_000);
    assert.equal(named('PnSetupRequest').length, 4, 'each was established once');
    assert.equal(initiating.pns()[0]?.joins.length, 4);
  });

  it('declines, and is not asked again at once', async () => {
    let asked = 0;
    const ask = async (): Promise<DeclineStatus> => {
      asked++;
      return 'declined';
    };
    const home = await network.gateway('Alice', 'Hall', PERIPHERAL);
    const pne = await network.pne('Phone', { ...CENTRAL, ask });
    await enrol(pne, home);
    const initiating = await network.gateway('Bob', 'Kitchen', INVITING);
    await network.until('the decline', ended('declined'));
    await new Promise((resolve) => setTimeout(resolve, 500));
    assert.equal(asked, 1);
    // The gateway goes on inviting, and each time the network goes with the link.
    await network.until('no network left', () => initiating.pns().length === 0);
  });

  it('refuses a gateway that knows the secret of a code and is not who showed it', async () => {
    const home = await network.gateway('Alice', 'Hall', PERIPHERAL);
    const other = await network.gateway('Bob', 'Kitchen', PERIPHERAL);
    const pne = await network.pne('Phone', CENTRAL);
    const [ours, theirs] = [network.showCode(home), network.showCode(other)];
    for (const { used } of [ours, theirs]) used.catch(() => {});
    // T of one and S of the other, with a checksum that fits: what a gateway that saw the code could not make the PNE type in.
    pne.useCode(spliced(ours.code, theirs.code));
    await network.until('the refusal', ended('enrolment-code-wrong'));
    assert.equal(pne.status().owner, undefined);
    assert.deepEqual(other.pnes(), []);
  });

  it('asks the user of the gateway about the digits before the server hears of it, and a no takes the code back', async () => {
    const home = await network.gateway('Alice', 'Hall', PERIPHERAL);
    const pne = await network.pne('Phone', CENTRAL);
    const asked: (Comparison | undefined)[] = [];
    const { code, used } = home.showCode((comparison) => asked.push(comparison));
    const refused = assert.rejects(used, { status: 'user-refused' });
    pne.useCode(code);
    await network.until('the question', () => asked.length === 1);
    const comparing = () => network.events.find(({ kind }) => kind === 'comparing');
    await network.until('the digits at the PNE', () => comparing() !== undefined);
    const shown = comparing() as { readonly digits: string };
    assert.equal(asked[0]?.digits, shown.digits);
    assert.match(shown.digits, /^\d{6}$/);
    assert.equal(asked[0]?.label, 'Phone');
    assert.equal(asked[0]?.thumbprint, pne.status().thumbprint);
    const other = String((Number(shown.digits) + 1) % 1_000_000).padStart(6, '0');
    assert.throws(() => home.compared(other, true), { status: 'unknown-transaction' });
    await new Promise((resolve) => setTimeout(resolve, 300));
    const posts = () => network.trace.filter(({ name }) => /^EnrolmentRequest|^EnrolReceipt/.test(name));
    assert.deepEqual(posts(), []);
    home.compared(shown.digits, false);
    await refused;
    await network.until('the refusal', ended('user-refused'));
    assert.deepEqual(asked.slice(1), [undefined]);
    assert.throws(() => home.compared(shown.digits, true), { status: 'unknown-transaction' });
    assert.deepEqual(home.pnes(), []);
    assert.equal(pne.status().owner, undefined);
  });

  it('a yes that comes just after another device took the place of the first is no yes to it', async () => {
    const home = await network.gateway('Alice', 'Hall', PERIPHERAL);
    const phone = await network.pne('Phone', CENTRAL);
    const asked: (Comparison | undefined)[] = [];
    const { code, used } = home.showCode((comparison) => asked.push(comparison));
    phone.useCode(code);
    await network.until('the question', () => asked.length === 1);
    await phone.close();
    const mallory = await network.pne('Mallory', CENTRAL);
    mallory.useCode(code);
    await network.until('another question', () => asked.length === 3);
    // The finger was on its way to the button.
    const second = asked[2] ?? assert.fail();
    home.compared(second.digits, true);
    await network.until('it asked again', () => asked.length === 5);
    assert.deepEqual([asked[3], asked[4]], [undefined, second]);
    assert.deepEqual(home.pnes(), []);
    const posts = () => network.trace.filter(({ name }) => name === 'EnrolmentRequest');
    assert.deepEqual(posts(), []);
    await new Promise((resolve) => setTimeout(resolve, COMPARED_AFTER_MS));
    home.compared(second.digits, true);
    assert.equal((await used).label, 'Mallory');
  });

  it('a code that is taken back while a device waits for its digits is void at once', async () => {
    const home = await network.gateway('Alice', 'Hall', PERIPHERAL);
    const pne = await network.pne('Phone', CENTRAL);
    let waits = false;
    const { code, used, hide } = home.showCode((comparison) => {
      waits = comparison !== undefined;
    });
    const spent = assert.rejects(used, { status: 'enrolment-code-spent' });
    pne.useCode(code);
    await network.until('the question', () => waits);
    hide();
    await spent;
    await network.until('the refusal', ended('enrolment-code-spent'));
    assert.equal(waits, false);
    assert.deepEqual(home.pnes(), []);
  });

  it('takes a code of its own kind only, and only where it is to be taken', async () => {
    const scanning = await network.gateway('Alice', 'Hall');
    const shown = await network.gateway('Bob', 'Kitchen', PERIPHERAL);
    const advertising = await network.pne('Watch');
    const phone = await network.pne('Phone', CENTRAL);
    const { code, used } = network.showCode(shown);
    used.catch(() => {});
    assert.throws(() => advertising.useCode(code), { status: 'conflict' });
    assert.throws(() => phone.startEnrolment(), { status: 'conflict' });
    assert.throws(() => network.showCode(scanning), { status: 'conflict' });
    assert.throws(() => phone.useCode(advertising.startEnrolment().code), { status: 'enrolment-code-wrong' });
    await assert.rejects(shown.pair(code), { status: 'conflict' });
  });

  it('serves several phones at once where its back-end can, each a member with a link of its own', async () => {
    const home = await network.gateway('Alice', 'Hall', PERIPHERAL);
    const phones: PneNode[] = [];
    for (const name of ['First', 'Second', 'Third']) phones.push(await network.pne(name, CENTRAL));
    for (const phone of phones) await enrol(phone, home);
    const bluetooth = { as: 'peripheral', backEnd: 'stoprocent' } as const;
    const initiating = await network.gateway('Bob', 'Kitchen', { ...INVITING, bluetooth });
    await network.until(
      'members',
      () => phones.every((phone) => phone.status().memberships.length === 1),
      20_000,
    );
    await network.until('three joins', () => initiating.pns()[0]?.joins.length === 3, 20_000);
    const open = network.radio.counters().links.filter((link) => link.open);
    assert.equal(open.length, 3);
    assert.equal(new Set(open.map(({ central }) => central)).size, 3);
  });

  it('serves one phone at a time: the gateway is off the air for others, and then on it again', async () => {
    const home = await network.gateway('Alice', 'Hall', PERIPHERAL);
    const [first, second] = [await network.pne('First', CENTRAL), await network.pne('Second', CENTRAL)];
    await enrol(first, home);
    await enrol(second, home);
    const initiating = await network.gateway('Bob', 'Kitchen', INVITING);
    const members = () => [first, second].filter((pne) => pne.status().memberships.length > 0);
    await network.until('a member', () => members().length === 1);
    await members()[0]?.close();
    await network.until('the other', () => initiating.pns()[0]?.joins.length === 2, 20_000);
  });

  it('scans and advertises at once with as = "both"', async () => {
    const home = await network.gateway('Alice', 'Hall', { bluetooth: { as: 'both' } });
    const [watch, phone] = [await network.pne('Watch'), await network.pne('Phone', CENTRAL)];
    await enrol(phone, home);
    await home.pair(watch.startEnrolment().code);
    const initiating = await network.gateway('Bob', 'Kitchen', {
      bluetooth: { as: 'both' },
      pn: { invite: true },
    });
    const members = () => [watch, phone].filter((pne) => pne.status().memberships.length > 0);
    await network.until('both members', () => members().length === 2, 15_000);
    assert.equal(initiating.pns()[0]?.joins.length, 2);
  });
});

/** The code that names one gateway and has the secret of another. */
function spliced(names: string, secret: string): string {
  const primitives = nodePrimitives();
  const { thumbprintPrefix } = parseEnrolmentCode(primitives, names);
  return createEnrolmentCode(
    primitives,
    'gateway',
    thumbprintPrefix,
    parseEnrolmentCode(primitives, secret).secret,
  );
}
