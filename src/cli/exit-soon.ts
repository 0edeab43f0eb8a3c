/**
 * How a command ends that opened an adapter or failed: by itself soon, whatever still lives in its process. To be called when
 * the exit code is set and what there is to say was said.
 */

/** Time for what is still being written. */
const EXIT_AFTER_MS = 100;

/**
 * A handle that lives on, of a library or of what did not close in time, must not keep the process: its code is set by then.
 * GUARD(X5): nor may it end by itself when nothing is left to do. Node 24 destroys every object of native packages then, and
 * the HCI socket's destructor frees a part of itself: the process aborts. process.exit() leaves them alone.
 */
export function exitSoon(): void {
  setTimeout(() => process.exit(), EXIT_AFTER_MS);
}
