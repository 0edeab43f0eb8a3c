/**
 * Ctrl-C and its kin for commands that have to put things in order before they end. Owns the exit code that shells expect
 * of each signal.
 */
import { EXIT } from './exit-codes.ts';

const SIGNALS = { SIGINT: EXIT.interrupted, SIGTERM: 143, SIGHUP: 129 } as const;

/** Settles with the exit code at the first signal; the second one does not wait for anything. */
export function stopSignals(): { readonly signal: Promise<number>; forget(): void } {
  let settle: (code: number) => void = () => {};
  const signal = new Promise<number>((done) => {
    settle = done;
  });
  const handlers = Object.entries(SIGNALS).map(([name, code]) => {
    let times = 0;
    const handler = (): void => {
      // The second one does not wait; the children are killed when the process exits.
      if (times++ > 0) process.exit(code);
      settle(code);
    };
    process.on(name, handler);
    return [name, handler] as const;
  });
  return {
    signal,
    forget: () => {
      for (const [name, handler] of handlers) process.off(name, handler);
    },
  };
}
