/**
 * A database of an older version that is brought to a newer one. Where the program has no second version yet, one is made
 * up behind the real ones: a table more and a column more, filled from what is there.
 */
import { GATEWAY_MIGRATIONS } from '../../src/store/gateway-schema.ts';
import { GatewayStore } from '../../src/store/gateway-store.ts';
import { PNE_MIGRATIONS } from '../../src/store/pne-schema.ts';
import { openPneStore, type PneStore } from '../../src/store/pne-store.ts';
import { openDatabase } from '../../src/store/sqlite.ts';
import { sample } from '../gateway/server-side/store-samples.ts';
import type { Workload } from './workload.ts';
import { gatewayLife } from './workload-gateway.ts';
import { pneLife } from './workload-pne.ts';

const MADE_UP = [
  `ALTER TABLE confirm_request ADD COLUMN note TEXT;
   UPDATE confirm_request SET note = hex(body);
   CREATE TABLE seen (join_id BLOB PRIMARY KEY, body BLOB NOT NULL) STRICT;
   INSERT INTO seen SELECT join_id, body FROM confirm_request;`,
  `DROP INDEX confirm_request_open;
   CREATE INDEX confirm_request_of_state ON confirm_request (state, note);
   DELETE FROM approval_rule;`,
];

export function gatewayMigration(path: string): Workload {
  const newer = [...GATEWAY_MIGRATIONS, ...MADE_UP];
  let store: GatewayStore;
  const open = (migrations: readonly string[]) => () => {
    store = new GatewayStore(openDatabase(path, migrations));
  };
  return {
    from: 'close',
    reopen: () => openDatabase(path, newer).close(),
    steps: [
      { name: 'open', run: open(GATEWAY_MIGRATIONS) },
      ...gatewayLife(() => store),
      { name: 'close', run: () => store.close() },
      { name: 'migrate', run: open(newer) },
      { name: 'go on', run: () => store.home.rememberRule({ decision: 'allow', user: 'cleo' }, 30) },
    ],
  };
}

/** The PNE's database of version 1, filled by hand: its functions of then are gone. */
export function pneMigration(path: string): Workload {
  let store: PneStore;
  return {
    from: 'version 1',
    reopen: () => openPneStore(path).close(),
    steps: [
      {
        name: 'version 1',
        run: () => {
          const database = openDatabase(path, PNE_MIGRATIONS.slice(0, 1));
          database
            .prepare('INSERT INTO ownership VALUES (1, ?, ?, ?, ?, NULL)')
            .run(sample(390, 7, 1), 'ann', 1, sample(32, 8, 1));
          database.close();
        },
      },
      {
        name: 'migrate',
        run: () => {
          store = openPneStore(path);
        },
      },
      ...pneLife(() => store),
    ],
  };
}
