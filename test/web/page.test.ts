/**
 * The PNE's page in a real Chromium, with a real network: enrol, join, decline, refusals, a lost link, leaving. The page's
 * Web Bluetooth goes over noble, the virtual radio and bleno to the real gateway (site.ts).
 */
import assert from 'node:assert/strict';
import { toHex } from '../../src/base/bytes.ts';
import { openServerAdmin } from '../../src/nodes/server/admin.ts';
import { chromiumPath } from './chromium.ts';
import { type PageServer, servePage } from './page-server.ts';
import { HOSTILE_NAME, Site } from './site.ts';

describe('the PNE’s page', function () {
  this.timeout(60_000);
  let server: PageServer;
  let site: Site;

  before(async function () {
    this.timeout(300_000);
    chromiumPath();
    server = await servePage();
  });
  after(() => server?.close());
  beforeEach(async () => {
    site = await Site.open(server);
  });
  afterEach(async function () {
    if (this.currentTest?.state === 'failed') console.log(await site.story());
    const { breaches, foreign, errors } = site.complaints;
    await site.close();
    assert.deepEqual({ breaches, foreign, errors }, { breaches: [], foreign: [], errors: [] });
  });

  const button = (name: string) => site.page.getByRole('button', { name, exact: true });
  const heading = (name: string | RegExp) => site.page.getByRole('heading', { name });

  it('enrols with the code of a gateway, joins, shows who is in, and leaves', async () => {
    const home = await site.home();
    await site.picture('1-new');
    await site.checkAccess();
    await site.enrol(home);
    assert.deepEqual(
      home.pnes().map(({ acknowledged }) => acknowledged),
      [true],
    );
    await site.picture('3-enrolled');
    await site.checkAccess();
    const inviting = await site.inviting();
    await site.askToJoin();
    await site.picture('4-question');
    await site.checkAccess();
    const facts = await site.page.getByRole('region', { name: /^Join/ }).textContent();
    for (const fact of ['Bob', 'Kitchen', HOSTILE_NAME]) assert.ok(facts?.includes(fact), fact);
    await button('Join').click();
    await heading(`You are in “${HOSTILE_NAME}”`).waitFor();
    await site.network.until('acknowledged', () => inviting.pns()[0]?.joins[0]?.acknowledged === true);
    const steps = await site.page
      .getByRole('list', { name: 'Joining a network' })
      .getByRole('listitem')
      .all();
    assert.equal(steps.length, 14);
    for (const step of steps) assert.match((await step.textContent()) ?? '', /, done:/);
    await site.picture('6-joined');
    await site.checkAccess();
    await button('See who is in').click();
    await site.page.getByText('this device', { exact: true }).waitFor();
    await site.page.getByText('class: computer').waitFor();
    await site.picture('7-network');
    await site.checkAccess();
    await button('Leave this network').click();
    await site.page.getByRole('dialog').getByRole('button', { name: 'Leave' }).click();
    await site.page.getByText('You left.').waitFor();
    await site.network.until('the link is down', () => inviting.pns()[0]?.joins[0]?.link === false);
    await heading('Join a network').waitFor();
  });

  it('declines: nothing is told, and the page says so', async () => {
    await site.enrol(await site.home());
    const inviting = await site.inviting();
    await site.askToJoin();
    await button('Decline').click();
    await heading('You declined. Nothing was told to the gateway.').waitFor();
    await site.picture('8-declined');
    await site.checkAccess();
    assert.deepEqual(inviting.pns(), []);
    await button('Back to the start').click();
    await heading('Join a network').waitFor();
  });

  it('comes back by itself when the link is lost, and after a reload by a click', async () => {
    await site.enrol(await site.home());
    const inviting = await site.inviting();
    await site.join();
    await button('See who is in').click();
    site.dropLink();
    await site.page.getByText('Coming back').waitFor();
    await site.picture('9-coming-back');
    await site.page.getByText('Connected', { exact: true }).waitFor();
    const resumed = () => site.network.trace.filter(({ name }) => name === 'Resume').length;
    assert.equal(resumed(), 1);
    assert.equal(inviting.pns()[0]?.joins.length, 1);

    await site.bridge.reload();
    await heading('This device belongs to Alice').waitFor();
    await site.picture('10-home');
    await site.checkAccess();
    await site.page.getByRole('button', { name: HOSTILE_NAME }).click();
    await button('Connect').click();
    await heading(`You are in “${HOSTILE_NAME}”`).waitFor();
    assert.equal(resumed(), 2);
    assert.equal(site.network.trace.filter(({ name }) => name === 'PnRegistrationRequest').length, 1);
  });

  it('tells who refused: the owner at home', async () => {
    const home = await site.home({ approvals: { default: 'deny', rules: [{ decision: 'deny' }] } });
    await site.enrol(home);
    await site.inviting();
    await site.askToJoin();
    await button('Join').click();
    await heading('The request was refused at your home gateway.').waitFor();
    await site.page.getByText('user-refused').waitFor();
    const failed = site.page.getByRole('listitem').filter({ hasText: 'failed here' });
    assert.match((await failed.textContent()) ?? '', /^✕Step 9/);
    await site.picture('11-refused');
    await site.checkAccess();
  });

  it('waits while the home gateway asks its owner, and says so', async () => {
    const home = await site.home({ approvals: { default: 'ask', rules: [] } });
    await site.enrol(home);
    await site.inviting();
    await site.askToJoin();
    await button('Join').click();
    await site.network.until('the question', () => home.approvals().length === 1);
    await site.page.getByRole('listitem').filter({ hasText: 'Step 9, going on' }).waitFor();
    await site.picture('5-waiting');
    await site.checkAccess();
    const [question] = home.approvals();
    assert.ok(question);
    await home.decide(toHex(question.joinId), { yours: true, chargeable: true });
    await heading(`You are in “${HOSTILE_NAME}”`).waitFor();
  });

  it('refuses a code that another gateway shows, and one that is no code', async () => {
    await site.home();
    const { page } = site;
    await page.getByLabel('Code of your home gateway').fill('nothing like it');
    await button('Take this code').click();
    await page.getByText('This is not a code.').waitFor();
    await site.checkAccess();
    const other = await site.network.gateway('Bob', 'Kitchen', { bluetooth: { as: 'peripheral' } });
    const { code, used } = site.showCode(other);
    used.catch(() => {});
    await other.close();
    const home = await site.network.gateway('Carol', 'Attic', { bluetooth: { as: 'peripheral' } });
    const { used: unused } = site.showCode(home);
    unused.catch(() => {});
    await site.enter(code);
    await heading('What came could not be decrypted').waitFor();
    await site.picture('2-wrong-code');
    await site.checkAccess();
    assert.deepEqual(home.pnes(), []);
  });

  it('shows the number that the gateway shows, and stays nobody’s when it is not the same', async () => {
    const home = await site.home();
    let asked: string | undefined;
    const { code, used } = home.showCode((comparison) => {
      asked ??= comparison?.digits;
    });
    const refused = assert.rejects(used, { status: 'user-refused' });
    await site.enter(code);
    await heading('Compare this number').waitFor();
    await site.picture('2-compare');
    await site.checkAccess();
    const shown = await site.page.locator('#digits').textContent();
    assert.equal(shown?.replace(' ', ''), asked);
    home.compared(asked ?? '', false);
    await refused;
    await heading('At your home gateway somebody said that the numbers are not the same.').waitFor();
    await button('Enter a code').click();
    await site.page.getByLabel('Code of your home gateway').waitFor();
    assert.deepEqual(home.pnes(), []);
  });

  it('makes a link again that is cut before its first word', async () => {
    await site.enrol(await site.home());
    await site.inviting();
    const before = site.bridge.connects;
    site.bridge.cuts = 1;
    await site.askToJoin();
    assert.equal(site.bridge.connects, before + 2);
    await button('Decline').click();
  });

  it('begins anew on the same connection where the gateway’s first word came before it listened', async () => {
    await site.enrol(await site.home());
    await site.inviting();
    const before = site.bridge.connects;
    site.bridge.misses = 1;
    await site.askToJoin();
    assert.equal(site.bridge.connects, before + 1);
    await button('Decline').click();
  });

  it('gives up on a link that is always cut, says so, and tries again when asked', async () => {
    await site.enrol(await site.home());
    await site.inviting();
    site.pointing = 'inviting';
    site.bridge.cuts = 3;
    await button('Choose a gateway nearby').click();
    await heading('The Bluetooth link was lost.').waitFor();
    await site.picture('12-link-lost');
    await button('Try again').click();
    await heading(/^Join “/).waitFor();
    await button('Decline').click();
  });

  it('keeps what it signed while nobody answered, and asks the gateway again', async () => {
    const home = await site.home({ approvals: { default: 'ask', rules: [] } });
    await site.enrol(home);
    await site.inviting();
    await site.askToJoin();
    await button('Join').click();
    await site.network.until('the question', () => home.approvals().length === 1);
    await button('Stop').click();
    await heading('Signed, not answered yet').waitFor();
    await site.picture('13-pending');
    await site.checkAccess();
    const [question] = home.approvals();
    assert.ok(question);
    await home.decide(toHex(question.joinId), { yours: true, chargeable: false });
    await site.bridge.reload();
    await button('Ask again').click();
    await heading('Your home gateway does not let this device cause costs.').waitFor();
    await button('Not now').click();
    await heading('Join a network').waitFor();
    assert.equal(await heading('Signed, not answered yet').count(), 0);
  });

  it('tells who refused: the operator, a gateway that invites nobody, a code that was used', async () => {
    const home = await site.home();
    const { code, used } = site.showCode(home);
    await site.enter(code);
    await used;
    await button('Go on').click();
    site.pointing = 'any';
    await button('Choose a gateway nearby').click();
    await heading('The gateway is busy with another device').waitFor();
    await button('Not now').click();
    await button('Settings').click();
    await site.page.getByLabel('Code of your home gateway').fill(code);
    await button('Take this code').click();
    await button('Choose my home gateway').click();
    await heading('This code has run out or was used.').waitFor();
    await button('Not now').click();

    const admin = openServerAdmin(site.network.serverDir);
    admin.revokePne(home.pnes()[0]?.thumbprint ?? '');
    admin.close();
    await site.inviting();
    await site.askToJoin();
    await button('Join').click();
    await heading('This device was revoked.').waitFor();
    const failed = site.page.getByRole('listitem').filter({ hasText: 'failed here' });
    assert.match((await failed.textContent()) ?? '', /^✕Step 7/);
  });

  it('waits for a home gateway that is offline, and says so', async () => {
    const home = await site.home();
    await site.enrol(home);
    await home.close();
    await site.inviting();
    await site.askToJoin();
    await button('Join').click();
    await site.page.getByText('Your home gateway is offline.').waitFor();
    await site.page.getByRole('listitem').filter({ hasText: 'Step 8, going on' }).waitFor();
  });

  it('says nothing was chosen when the chooser is closed', async () => {
    await site.enrol(await site.home());
    site.bridge.chooses = false;
    await button('Choose a gateway nearby').click();
    await site.page.getByText('Nothing was chosen.').waitFor();
  });
});
