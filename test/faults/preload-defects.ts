/**
 * Defects planted in a process under test, to see that the matrix bites: each breaks one commit rule of docs/protocol.md
 * §12 and leaves everything else as it is.
 */
import { PneStore } from '../../src/store/pne-store.ts';
import { RegistrationStore } from '../../src/store/server-registrations.ts';
import type { Defect } from './plan.ts';

const LATE_MS = 2_000;

export function installDefect(defect: Defect): void {
  switch (defect) {
    case 'pending-not-written':
      PneStore.prototype.savePending = () => {};
      return;
    case 'verified-before-written':
      answerBeforeCommit();
  }
}

/** The server says 202 and writes VERIFIED a little later. */
function answerBeforeCommit(): void {
  const { prototype } = RegistrationStore;
  const { commit } = prototype;
  prototype.commit = function wrapped(change, clock) {
    if (change.to !== 'verified') return commit.call(this, change, clock);
    setTimeout(() => commit.call(this, change, clock), LATE_MS);
  };
}
