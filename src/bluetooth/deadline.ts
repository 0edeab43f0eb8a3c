/**
 * Waiting for an event with a limit, so that no call into a Bluetooth library can pend for ever. The timers do not keep
 * the process alive by themselves: the controller's socket does.
 */
import type { EventEmitter } from 'node:events';

/** Resolves true when the event comes, false when it does not within the limit. */
export function eventWithin(emitter: EventEmitter, event: string, limitMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const settle = (came: boolean): void => {
      clearTimeout(timer);
      emitter.off(event, onEvent);
      resolve(came);
    };
    const onEvent = (): void => settle(true);
    const timer = setTimeout(() => settle(false), limitMs);
    emitter.once(event, onEvent);
  });
}
