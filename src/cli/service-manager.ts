/**
 * What a daemon says to the service manager that started it: ready, healthy, stopping, and one line on how it is.
 * Owns the way there: Node.js has no datagram sockets of the UNIX kind, so systemd's own `systemd-notify` is started for each
 * message, a few a minute. Source: sd_notify(3), systemd.service(5) NotifyAccess=.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { inert } from './output.ts';

const NOTIFY_DEADLINE_MS = 5_000;
/** How often a manager that does not watch is told how the daemon is. */
const UNWATCHED_MS = 60_000;

export interface ServiceManager {
  /** How often it is to be told that the daemon is healthy: a third of what it waits for. */
  readonly everyMs: number;
  /** @throws Error when there is no systemd-notify or it does not get through */
  tell(...assignments: readonly string[]): Promise<void>;
}

/** @returns undefined when no service manager wants to hear anything */
export function serviceManager(environment = process.env, pid = process.pid): ServiceManager | undefined {
  const { NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID } = environment;
  if (!NOTIFY_SOCKET) return undefined;
  const mine = !WATCHDOG_PID || Number(WATCHDOG_PID) === pid;
  const watchdogMs = mine ? Number(WATCHDOG_USEC) / 1000 : Number.NaN;
  return {
    everyMs: watchdogMs > 0 ? watchdogMs / 3 : UNWATCHED_MS,
    tell: async (...assignments) => {
      await promisify(execFile)('systemd-notify', assignments.map(inert), { timeout: NOTIFY_DEADLINE_MS });
    },
  };
}
