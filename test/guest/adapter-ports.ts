/**
 * Ports on adapters of the guest's kernel, as the tests of test/bluetooth have them on the virtual radio: opened by
 * moniker, closed together, with what a test waits for.
 */
import { openCentral, openPeripheral } from '../../src/bluetooth/open.ts';
import { type BothOptions, openBoth } from '../../src/bluetooth/open-both.ts';
import type { Central, GattLink, Peripheral } from '../../src/bluetooth/ports.ts';
import { advertising, type TestPeripheral } from '../bluetooth/support.ts';

type Options = Parameters<typeof openCentral>[1] & Parameters<typeof openPeripheral>[1];

const toClose = new Set<{ close(): Promise<void> }>();

/** For `afterEach`. */
export async function closePorts(): Promise<void> {
  const ports = [...toClose];
  toClose.clear();
  await Promise.all(ports.map((port) => port.close()));
}

export function kept<Port extends { close(): Promise<void> }>(port: Port): Port {
  toClose.add(port);
  return port;
}

export async function centralOn(moniker: string, options?: Options): Promise<Central> {
  return kept(await openCentral(moniker, options));
}

export async function peripheralOn(moniker: string, tag: number, options?: Options): Promise<TestPeripheral> {
  return advertising(kept(await openPeripheral(moniker, options)), tag);
}

export async function bothOn(
  moniker: string,
  tag: number,
  options?: BothOptions,
): Promise<{ readonly central: Central; readonly peripheral: TestPeripheral }> {
  const both: { central: Central; peripheral: Peripheral } = await openBoth(moniker, options);
  kept(both.central);
  return { central: both.central, peripheral: await advertising(kept(both.peripheral), tag) };
}

/** What settles when an adapter is gone, and the hook that tells it. */
export function gone(): {
  readonly onGone: (error: Error | undefined) => void;
  readonly came: Promise<string>;
} {
  let onGone: (error: Error | undefined) => void = () => {};
  const came = new Promise<string>((resolve) => {
    onGone = (error) => resolve(error?.message ?? '');
  });
  return { onGone: (error) => onGone(error), came };
}

export async function linked(
  central: Central,
  peripheral: TestPeripheral,
  address: string,
): Promise<readonly [up: GattLink, down: GattLink]> {
  return Promise.all([central.connect(address, { deadlineMs: 10_000 }), peripheral.nextLink()]);
}

/** How long a promise took, and what came of it. */
export async function timed<T>(promise: Promise<T>): Promise<{ readonly ms: number; readonly value: T }> {
  const startedAt = performance.now();
  const value = await promise;
  return { ms: performance.now() - startedAt, value };
}

/** The longest that the event loop stood still while `work` ran. */
export async function longestStandstill(work: () => Promise<unknown>): Promise<number> {
  let last = performance.now();
  let longest = 0;
  const look = () => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
  };
  const timer = setInterval(look, 10);
  await work();
  look();
  clearInterval(timer);
  return longest;
}
