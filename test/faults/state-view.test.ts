/**
 * Views of real state directories while the programs run: everything there, nothing disturbed, cheap enough to be taken
 * after every commit.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PnId } from '../../src/base/ids.ts';
import { GATEWAY_MIGRATIONS } from '../../src/store/gateway-schema.ts';
import { openGatewayStore } from '../../src/store/gateway-store.ts';
import { openDatabase } from '../../src/store/sqlite.ts';
import { TestNetwork } from '../nodes/network.ts';
import { judge } from './outcome.ts';
import { checkJournal, type JournalEntry } from './safety.ts';
import { type GatewayView, type PneView, readState, type ServerView, StateReader } from './state-view.ts';

/** As fast as can be asked of a shared machine; alone it takes a tenth. */
const BUDGET_MS = 5;

describe('views of state directories', function () {
  this.timeout(30_000);

  it('of a network that runs: the rules hold, the PNE is a member, and a look costs little', async () => {
    const network = await TestNetwork.open();
    const readers: StateReader[] = [];
    try {
      const home = await network.gateway('Alice', 'Hall');
      const initiating = await network.gateway('Bob', 'Kitchen', { pn: { invite: true } });
      const pne = await network.pne('Watch');
      const parties = [
        ['server', 'server', network.serverDir],
        ['gw2', 'gateway', join(network.dir, 'gateway-Bob-Kitchen')],
        ['gw1', 'gateway', join(network.dir, 'gateway-Alice-Hall')],
        ['pne', 'pne', join(network.dir, 'pne-Watch')],
      ] as const;
      const journal: JournalEntry[] = [];
      const views = new Map<string, unknown>();
      const open = parties.map(([party, role, dir]) => ({ party, role, reader: new StateReader(role, dir) }));
      readers.push(...open.map(({ reader }) => reader));
      const costs: number[] = [];
      const look = (): void => {
        for (const { party, role, reader } of open) {
          const startedAt = performance.now();
          const view = reader.read();
          costs.push(performance.now() - startedAt);
          assert.ok(view);
          views.set(party, view);
          journal.push({ atNs: String(process.hrtime.bigint()), party, role, view });
        }
      };
      look();
      await home.pair(pne.startEnrolment().code);
      await pne.enrolled;
      await network.until('the end', () => {
        look();
        const outcome = home.confirmations()[0]?.outcome === true;
        return outcome && initiating.pns()[0]?.joins[0]?.acknowledged === true;
      });
      look();
      assert.deepEqual(checkJournal(journal), []);
      const final = {
        server: views.get('server') as ServerView,
        gw2: views.get('gw2') as GatewayView,
        gw1: views.get('gw1') as GatewayView,
        pne: views.get('pne') as PneView,
      };
      assert.equal(judge(final).kind, 'member', judge(final).detail);
      assert.equal(final.pne.thumbprint, pne.status().thumbprint);
      assert.deepEqual(readState('pne', join(network.dir, 'pne-Watch')), final.pne);
      const [median = 0] = costs.sort((a, b) => a - b).slice(costs.length / 2);
      assert.ok(median < BUDGET_MS, `a look costs ${median.toFixed(2)} ms`);
    } finally {
      for (const reader of readers) reader.close();
      await network.close();
    }
  });

  describe('of files', () => {
    let dir: string;
    beforeEach(() => {
      dir = mkdtempSync(join(tmpdir(), 'cpns-view-'));
    });
    afterEach(() => rmSync(dir, { recursive: true, force: true }));

    it('nothing while there is no database, and none is made', () => {
      assert.equal(readState('gateway', dir), undefined);
      assert.deepEqual(readdirSync(dir), []);
      openDatabase(join(dir, 'gateway.sqlite'), []).close();
      assert.equal(readState('gateway', dir), undefined);
    });

    it('one moment, though another process writes meanwhile; and it does not wait for us', () => {
      const store = openGatewayStore(join(dir, 'gateway.sqlite'));
      const looking = openDatabase(join(dir, 'gateway.sqlite'), GATEWAY_MIGRATIONS, { readOnly: true });
      const count = () => looking.prepare<[], { n: number }>('SELECT count(*) AS n FROM pn').get()?.n;
      looking.snapshot(() => {
        assert.equal(count(), 0);
        store.networks.createPn({ pnId: PnId(new Uint8Array(8)), name: 'PN', inviting: true }, 1);
        assert.equal(count(), 0);
      });
      assert.equal(count(), 1);
      assert.throws(() => looking.exec('DELETE FROM pn'), /readonly|read-only|read only/i);
      assert.equal(count(), 1);
      looking.close();
      store.close();
    });

    it('not of a file that an older or a newer program wrote', () => {
      const path = join(dir, 'x.db');
      assert.throws(() => openDatabase(path, ['CREATE TABLE a (b)'], { readOnly: true }), {
        status: 'cannot-persist',
      });
      assert.ok(!existsSync(path));
      openDatabase(path, ['CREATE TABLE a (b)']).close();
      for (const migrations of [[], ['', '']])
        assert.throws(
          () => openDatabase(path, migrations, { readOnly: true }),
          /is of version 1, (older than|this program knows up to)/,
        );
    });
  });
});
