/**
 * Loss of power while a server, a gateway and a PNE are set up: on each disk that may be found the same commands succeed,
 * and every key, certificate and configuration that was reported as made is the same as before; so is a key that stood
 * under its name at any moment. CPNS_POWER_SEEDS and CPNS_POWER_SEED as in stores.test.ts.
 */
import assert from 'node:assert/strict';
import { assertComplete } from './complete.ts';
import { cutsOf, onDisk } from './cuts.ts';
import { powerSeeds } from './effort.ts';
import { type Kept, keptIn, setups } from './first-start.ts';
import { record, recorderMissing } from './recording.ts';

const PROGRAM = new URL('first-start.ts', import.meta.url).pathname;

interface SetupMark {
  readonly name: string;
  readonly kept: Kept;
}

/** A server key may be gone once its public half is there for audits. */
const retired = (file: string, files: Kept): boolean =>
  file.endsWith('/server-1.key') && files[file.replace(/key$/, 'pub')] !== undefined;

describe('loss of power while setting up', function () {
  this.timeout(30 * 60_000);
  const missing = recorderMissing();
  if (missing !== undefined) {
    it(`can be shown elsewhere only: ${missing}`, () => console.log(`      skipped: ${missing}`));
    return;
  }

  it('the same commands go on, and what they reported as made stays', async () => {
    const effort = powerSeeds(1);
    const { seeds, firstSeed } = effort;
    const recording = record((root) => ['--import=tsx', PROGRAM, root]);
    try {
      assertComplete(recording);
      const { events } = recording;
      const marks = events.flatMap((event) =>
        event.kind === 'mark' ? [JSON.parse(event.text) as SetupMark] : [],
      );
      assert.deepEqual(
        marks.map(({ name }) => name),
        ['pne', 'server', 'gateway', 'server keys', 'daemon'],
      );
      let disks = 0;
      for (const cut of cutsOf(events, effort)) {
        disks++;
        const mark = marks[cut.acknowledged - 1];
        const where = `after ${mark?.name ?? 'the beginning'}, event ${cut.at}, ${cut.fate}`;
        await onDisk(cut.image, (root) => {
          const found = keptIn(root);
          for (const [file, digest] of Object.entries(mark?.kept ?? {}))
            if (!retired(file, found)) assert.equal(found[file], digest, `${file} ${where}`);
          try {
            for (const { run } of setups(root)) run();
          } catch (cause) {
            throw new Error(`setting up again ${where}: ${cause instanceof Error ? cause.message : cause}`, {
              cause,
            });
          }
          const again = keptIn(root);
          for (const [file, digest] of Object.entries(found))
            if (!retired(file, again)) assert.equal(again[file], digest, `${file} was replaced ${where}`);
        });
      }
      console.log(
        `      ${events.length} events: ${disks} disks; seeds ${firstSeed}–${firstSeed + seeds - 1}`,
      );
    } finally {
      recording.close();
    }
  });
});
