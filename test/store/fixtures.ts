/**
 * Where the databases of released versions are, how each is opened today, and fingerprints of the schemas: the text of a
 * fresh database after each migration.
 */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { GATEWAY_MIGRATIONS } from '../../src/store/gateway-schema.ts';
import { PNE_MIGRATIONS } from '../../src/store/pne-schema.ts';
import { SERVER_MIGRATIONS } from '../../src/store/server-schema.ts';
import { openDatabase } from '../../src/store/sqlite.ts';
import { gatewayView, pneView, serverView } from '../power/parties.ts';
import { databaseText } from '../support/database-text.ts';

export const FIXTURES = fileURLToPath(new URL('fixtures', import.meta.url));
export const FIXTURE_FILES = ['server', 'gw1', 'gw2', 'pne'] as const;
export type FixtureFile = (typeof FIXTURE_FILES)[number];

/** Opens a database of some version with the store of today and reads it. */
export const openFixture = {
  server: serverView,
  gw1: gatewayView,
  gw2: gatewayView,
  pne: pneView,
} as const satisfies Record<FixtureFile, (path: string) => unknown>;

const STORES = { server: SERVER_MIGRATIONS, gateway: GATEWAY_MIGRATIONS, pne: PNE_MIGRATIONS };

/** SHA-256 by store, of version 1 first. */
export function fingerprints(): Readonly<Record<string, readonly string[]>> {
  const folder = mkdtempSync(join(tmpdir(), 'cpns-schemas-'));
  try {
    return Object.fromEntries(
      Object.entries(STORES).map(([store, migrations]) => [
        store,
        migrations.map((_, n) => {
          const path = join(folder, `${store}-${n}`);
          openDatabase(path, migrations.slice(0, n + 1)).close();
          return createHash('sha256').update(databaseText(path)).digest('hex');
        }),
      ]),
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}
