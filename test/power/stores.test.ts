/**
 * Loss of power under each store: a workload is recorded once with real SQLite; then, for every point of it, the disks that
 * may be found are opened with the store's own functions. What is there has to be exactly what the last acknowledgement
 * says, or what the next would have said: nothing lost, nothing half done. docs/durability.md has the method and its limits.
 * CPNS_POWER_SEEDS=n looks at n seeded disks a point, CPNS_POWER_SEED=n begins with another seed.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { connectDatabase } from '../../src/store/sqlite-driver.ts';
import { assertComplete } from './complete.ts';
import { type Cut, cutsOf, onDisk, withStaleSharedMemory } from './cuts.ts';
import { type Dump, dumpDatabase } from './dump.ts';
import { powerSeeds } from './effort.ts';
import { record, recorderMissing } from './recording.ts';
import { DATABASE, type StepMark, WORKLOADS, type WorkloadName } from './workload.ts';

const PROGRAM = new URL('workload.ts', import.meta.url).pathname;

/** What the database says after the store's own opening: recovery, integrity check and migrations. */
function reopened(name: WorkloadName, directory: string): Dump {
  const path = join(directory, DATABASE);
  WORKLOADS[name](path).reopen();
  const database = connectDatabase(path);
  try {
    assert.equal(database.pragma('integrity_check'), 'ok');
    assert.equal(database.pragma('foreign_key_check'), undefined);
  } finally {
    database.close();
  }
  return dumpDatabase(path);
}

/** What may be found after each number of acknowledgements; an older version has been brought to the newest by then. */
function expectations(marks: readonly StepMark[]): readonly Dump[] {
  const newest = marks.at(-1)?.dump['version'] ?? 0;
  const migrated = marks.find(({ dump }) => dump['version'] === newest);
  const dumps = marks.map(({ dump }) => (dump['version'] === newest ? dump : (migrated?.dump ?? dump)));
  // Nothing acknowledged: opening makes it, which is the first thing that is.
  return [dumps[0] ?? {}, ...dumps];
}

describe('loss of power', function () {
  this.timeout(30 * 60_000);
  const missing = recorderMissing();
  if (missing !== undefined) {
    it(`can be shown elsewhere only: ${missing}`, () => console.log(`      skipped: ${missing}`));
    return;
  }
  const effort = powerSeeds(1);
  const { seeds, firstSeed } = effort;

  for (const name of Object.keys(WORKLOADS) as WorkloadName[]) {
    it(`${name}: what was acknowledged is there, what was not is whole or absent`, async () => {
      const recording = record((root) => ['--import=tsx', PROGRAM, name, root]);
      try {
        assertComplete(recording);
        const { events } = recording;
        const marks = events.flatMap((event) =>
          event.kind === 'mark' ? [JSON.parse(event.text) as StepMark] : [],
        );
        const expected = expectations(marks);
        const { from } = WORKLOADS[name]('');
        const first = from === undefined ? 0 : marks.findIndex((mark) => mark.name === from) + 1;
        const found = new Map<string, string>();
        let looks = 0;
        for (const cut of cutsOf(events, effort)) {
          if (cut.acknowledged < first) continue;
          looks++;
          let dump = found.get(cut.digest);
          if (dump === undefined) {
            dump = JSON.stringify(await look(name, cut));
            found.set(cut.digest, dump);
          }
          const allowed = expected.slice(cut.acknowledged, cut.acknowledged + 2);
          if (allowed.some((one) => JSON.stringify(one) === dump)) continue;
          const after = marks[cut.acknowledged - 1]?.name ?? 'the beginning';
          assert.deepEqual(JSON.parse(dump), allowed[0], `after ${after}, event ${cut.at}, ${cut.fate}`);
        }
        const syncs = events.filter(({ kind }) => kind.startsWith('sync')).length;
        console.log(
          `      ${events.length} events, ${syncs} syncs, ${marks.length} acknowledgements: ` +
            `${looks} disks, ${found.size} different; seeds ${firstSeed}–${firstSeed + seeds - 1}`,
        );
      } finally {
        recording.close();
      }
    });
  }
});

async function look(name: WorkloadName, cut: Cut): Promise<Dump> {
  const stale = Number.parseInt(cut.digest.slice(0, 2), 16) % 4 === 0;
  const image = stale ? withStaleSharedMemory(cut.image, DATABASE) : cut.image;
  try {
    return await onDisk(image, (directory) => reopened(name, directory));
  } catch (cause) {
    throw new Error(`event ${cut.at}, ${cut.fate}: ${cause instanceof Error ? cause.message : cause}`, {
      cause,
    });
  }
}
