/**
 * "When what has already arrived was handed over": a task behind those that wait, without the milliseconds a browser adds
 * to a timer. Owns nothing; the only place that knows which host has which call.
 */

type Run = () => void;

declare const setImmediate: ((run: Run) => unknown) | undefined;

/** As much of a MessagePort as both hosts' types agree on having. */
interface Port {
  onmessage: (() => void) | null;
  postMessage(message: undefined): void;
}

function viaChannel(): (run: Run) => void {
  const { port1, port2 } = new MessageChannel() as unknown as { readonly port1: Port; readonly port2: Port };
  const waiting: Run[] = [];
  port1.onmessage = () => waiting.shift()?.();
  return (run) => {
    waiting.push(run);
    port2.postMessage(undefined);
  };
}

/** Runs once, after the events that are already due. */
export const afterBurst: (run: Run) => void =
  typeof setImmediate === 'function' ? setImmediate : viaChannel();
