/**
 * A log line as systemd's journal takes it: the priority in front, then what happened and `name=value` pairs, for people
 * who read `journalctl`. Owns the form. Everything else that logs go to gets JSON. Source: sd-daemon(3), JOURNAL_STREAM in
 * systemd.exec(5).
 */
import { fstatSync } from 'node:fs';
import { inertJson } from './output.ts';

/** pino's level → syslog's priority. */
const PRIORITIES: Readonly<Record<number, number>> = { 60: 2, 50: 3, 40: 4, 30: 6, 20: 7, 10: 7 };
/** The journal knows these by itself. */
const KNOWN = new Set(['level', 'time', 'pid', 'name', 'hostname', 'msg']);
/** What needs no quotes. */
const PLAIN = /^[\w.:/@+-]+$/;

/** @param line one line of JSON, as pino makes it */
export function journalLine(line: string): string {
  const entry = JSON.parse(line) as Record<string, unknown>;
  const { level, msg } = entry;
  const pairs = Object.entries(entry)
    .filter(([name]) => !KNOWN.has(name))
    .map(([name, value]) => `${name}=${shown(value)}`);
  const words = [typeof msg === 'string' ? inertJson(msg).slice(1, -1) : 'log', ...pairs];
  return `<${PRIORITIES[Number(level)] ?? 6}>${words.join(' ')}\n`;
}

/** Somebody else may have chosen it: it stays one line, and one value. */
function shown(value: unknown): string {
  if (typeof value === 'string' && PLAIN.test(value)) return value;
  return inertJson(value ?? null);
}

/** Whether a descriptor is the stream that systemd connected to its journal. */
export function isJournal(descriptor: number, { JOURNAL_STREAM } = process.env): boolean {
  if (!JOURNAL_STREAM) return false;
  try {
    const { dev, ino } = fstatSync(descriptor);
    return JOURNAL_STREAM === `${dev}:${ino}`;
  } catch {
    return false;
  }
}
