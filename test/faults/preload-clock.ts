/**
 * The wall clock of a process under test: the host's, plus the milliseconds that its clock file states at this moment, so
 * that the harness can make it jump at any instant. The monotonic clock stays as it is. What is not reached: the time that
 * OpenSSL and SQLite read themselves (validity of certificates).
 */
import { openSync, readSync } from 'node:fs';

export function installClock(clockFile: string): void {
  const descriptor = openSync(clockFile, 'r');
  const text = Buffer.alloc(24);
  const host = Date.now.bind(Date);
  const skewed = (): number => {
    const length = readSync(descriptor, text, 0, text.length, 0);
    return host() + Number(text.toString('latin1', 0, length) || '0');
  };
  Date.now = skewed;
  globalThis.Date = new Proxy(Date, {
    construct: (target, args, newTarget) =>
      Reflect.construct(target, args.length > 0 ? args : [skewed()], newTarget),
  });
}
