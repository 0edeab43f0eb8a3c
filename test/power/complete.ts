/** Whether the recorder saw all that a program did to its disk. */
import assert from 'node:assert/strict';
import { Disk, WRITTEN } from './disk.ts';
import { type Recording, readTree } from './recording.ts';

/** The recorder saw all: the model of the disk, with everything written, is the directory that the program left. */
export function assertComplete({ events, root }: Recording): void {
  const disk = new Disk();
  for (const event of events) disk.apply(event);
  const model = [...disk.image(WRITTEN)].filter(([, content]) => content !== 'directory');
  assert.deepEqual(new Map(model), readTree(root));
}
