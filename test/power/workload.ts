/**
 * The recorded side of a power-cut test of one store: does the steps of a workload, each one durable transaction as the
 * flow does it, and acknowledges after each by a mark that holds what the database now says.
 * Arguments: the store and the database file. Does nothing when only loaded.
 */
import { openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { connectDatabase } from '../../src/store/sqlite-driver.ts';
import { type Dump, dumpDatabase } from './dump.ts';
import { gatewaySteps } from './workload-gateway.ts';
import { gatewayMigration, pneMigration } from './workload-migration.ts';
import { pneSteps } from './workload-pne.ts';
import { serverSteps } from './workload-server.ts';

export interface Step {
  readonly name: string;
  readonly run: () => void;
}

export interface Workload {
  readonly steps: readonly Step[];
  /** The step after which a loss of power is of interest; the beginning when absent. */
  readonly from?: string;
  /** Brings a database to the present version and closes it again, as the program does at its start. */
  readonly reopen: () => void;
}

export interface StepMark {
  readonly name: string;
  readonly dump: Dump;
}

export const WORKLOADS = {
  server: serverSteps,
  gateway: gatewaySteps,
  pne: pneSteps,
  'gateway-migration': gatewayMigration,
  'pne-migration': pneMigration,
} as const satisfies Record<string, (path: string) => Workload>;

export type WorkloadName = keyof typeof WORKLOADS;

export const DATABASE = 'store.sqlite';

/** What SQLite does by itself when its log has grown: writes it into the database; the next write begins the log anew. */
export const checkpoint = (path: string): Step => ({
  name: 'checkpoint',
  run: () => {
    const database = connectDatabase(path);
    database.pragma('wal_checkpoint(PASSIVE)');
    database.close();
  },
});

const [, program = '', name = '', directory = ''] = process.argv;
if (program.endsWith('power/workload.ts')) {
  const { CPNS_POWER_MARKS } = process.env;
  const marks = openSync(CPNS_POWER_MARKS ?? '/dev/null', 'a');
  const path = join(directory, DATABASE);
  for (const step of WORKLOADS[name as WorkloadName](path).steps) {
    step.run();
    const mark: StepMark = { name: step.name, dump: dumpDatabase(path) };
    writeSync(marks, JSON.stringify(mark));
  }
}
