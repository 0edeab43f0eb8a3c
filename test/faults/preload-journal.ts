/**
 * The journal of a process under test: what it has on disk, told right after every commit and once it has opened its
 * database, before anything else can happen in it; and every step-6 signature that a PNE is about to send. Goes over the
 * wire and not into a file, so that a full disk does not silence it and a SIGKILL loses nothing of it.
 */
import { basename } from 'node:path';
import { toHex } from '../../src/base/bytes.ts';
import type { KnownJoin } from '../../src/establishment/pne-types.ts';
import { connectDatabase, type Database } from '../../src/store/sqlite-driver.ts';
import type { Plan } from './plan.ts';
import type { OutputWatcher } from './preload-traps.ts';
import { tell } from './preload-wire.ts';
import { StateReader } from './state-view.ts';

/** The file that locks a state directory holds no state. */
const LOCK = 'lock.sqlite';

export function installJournal({ party, role, stateDir }: Plan): OutputWatcher {
  const write = (entry: object): void =>
    tell(JSON.stringify({ atNs: `${process.hrtime.bigint()}`, party, role, ...entry }));
  const reader = new StateReader(role, stateDir);
  const afterCommit = (database: Database): void => {
    const file = fileOf(database);
    if (file === '' || file === LOCK) return;
    const view = reader.read();
    if (view) write({ view });
  };
  watchCommits(afterCommit);
  return (machine, output) => {
    if (machine.definition.name !== 'pne' || output.kind !== 'send') return;
    if (output.message !== 'AuthenticationResponse') return;
    const { join } = machine.data as { join?: KnownJoin };
    if (join) write({ signed: toHex(join.th3) });
  };
}

function watchCommits(afterCommit: (database: Database) => void): void {
  const sample = connectDatabase(':memory:');
  const prototype = Object.getPrototypeOf(sample) as Pick<Database, 'immediate'>;
  sample.close();
  const { immediate } = prototype;
  let looking = false;
  prototype.immediate = function wrapped<T>(this: Database, run: () => T): T {
    const result = immediate.call(this, run) as T;
    // The reader's own opening is no commit of the party.
    if (looking) return result;
    looking = true;
    try {
      afterCommit(this);
    } finally {
      looking = false;
    }
    return result;
  };
}

/** Name of the file of a database; empty for one in memory. */
function fileOf(database: Database): string {
  const row = database.prepare<[], { file: string }>('PRAGMA database_list').get();
  return basename(row?.file ?? '');
}
