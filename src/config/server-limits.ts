/**
 * The table [limits] of the server's configuration: keys, bounds, and the lines of the example. What each limit does and
 * why its default is what it is stands where it is applied: src/establishment/server-types.ts, src/https/server-limits.ts.
 * Owns the keys only. Source: docs/protocol.md §10.
 */
import * as v from 'valibot';
import { DEFAULT_SERVER_LIMITS, type ServerLimits } from '../establishment/server-types.ts';
import { DEFAULT_TRANSPORT_LIMITS, type TransportLimits } from '../https/server-limits.ts';
import { integer } from './parts.ts';

export interface LimitsConfig {
  readonly server: Omit<ServerLimits, 'challengeSeconds'>;
  readonly transport: TransportLimits;
}

const { challengeSeconds: _fixed, ...SERVER } = DEFAULT_SERVER_LIMITS;

interface Key {
  readonly most: number;
  readonly unit: string;
  /** Behind the line in the example. */
  readonly says: string;
}

const key = (most: number, unit: string, says = ''): Key => ({ most, unit, says });

const SERVER_KEYS: Readonly<Record<keyof typeof SERVER, Key>> = {
  openPerGateway: key(1_000, 'transactions', 'joins under way'),
  pendingPerUser: key(1_000, 'requests', 'questions that wait for their answer'),
  confirmOnlineSeconds: key(86_400, 'seconds', 'a question lives, its home gateway being there'),
  confirmOfflineSeconds: key(86_400, 'seconds', '… being away'),
  vainQuestionsPerUser: key(100_000, 'questions an hour', 'that did not end in a yes'),
  vainQuestionsPerUserAndGateway: key(100_000, 'questions an hour', '… about joins at one gateway'),
  networksPerGateway: key(1_000_000, 'networks', 'ever registered'),
  transactionsPerGatewayPerDay: key(10_000_000, 'transactions a day', 'days begin at 00:00 UTC'),
  refusalsPerGatewayPerDay: key(10_000_000, 'transactions a day', 'that were refused'),
  refreshesPerGatewayPerDay: key(10_000_000, 'refreshes a day', 'joins of those who are in already'),
  enrolmentsPerGatewayPerDay: key(1_000_000, 'enrolments a day'),
  pnesPerUser: key(1_000_000, 'PNEs', 'released and revoked ones counted'),
};

const TRANSPORT_KEYS: Readonly<Record<keyof TransportLimits, Key>> = {
  connections: key(1_000_000, 'connections', 'in all; see also `ulimit -n`'),
  connectionsPerAddress: key(1_000_000, 'connections', 'an IPv4 address, or a /64'),
  handshakesPerAddressPerSecond: key(100_000, 'handshakes a second', 'in the long run'),
  connectionsPerGateway: key(10_000, 'connections'),
  requestsPerGatewayPerSecond: key(100_000, 'requests a second', 'in the long run'),
};

/** Names in the file, where they are not the property's own in snake case. */
const RENAMED: Readonly<Record<string, string>> = {
  openPerGateway: 'open_transactions_per_gateway',
  pendingPerUser: 'pending_confirmations_per_user',
};

const nameOf = (property: string): string =>
  RENAMED[property] ?? property.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

type Entry = v.OptionalSchema<v.GenericSchema<number>, number>;

function entries<K extends string>(
  keys: Readonly<Record<K, Key>>,
  defaults: Readonly<Record<K, number>>,
): Record<string, Entry> {
  const made: Record<string, Entry> = {};
  for (const property of Object.keys(keys) as K[]) {
    const { most, unit } = keys[property];
    const usual = defaults[property];
    made[nameOf(property)] = v.optional(integer(1, most, unit, usual), usual);
  }
  return made;
}

function read<K extends string>(keys: Readonly<Record<K, Key>>, table: Readonly<Record<string, number>>) {
  const all = (Object.keys(keys) as K[]).map((property) => [property, table[nameOf(property)]] as const);
  return Object.fromEntries(all) as Record<K, number>;
}

export const Limits = v.pipe(
  v.strictObject({
    ...entries(SERVER_KEYS, SERVER),
    ...entries(TRANSPORT_KEYS, DEFAULT_TRANSPORT_LIMITS),
  }),
  v.transform(
    (table): LimitsConfig => ({ server: read(SERVER_KEYS, table), transport: read(TRANSPORT_KEYS, table) }),
  ),
);

/** The table as the example shows it, defaults commented out: a later version's better ones then hold. */
export function limitsExample(): string {
  const lines = (keys: Readonly<Record<string, Key>>, defaults: object) =>
    Object.entries(keys).map(([property, { says }]) => {
      const line = `# ${nameOf(property)} = ${(defaults as Record<string, number>)[property]}`;
      return says ? `${line.padEnd(52)} # ${says}` : line;
    });
  return [
    '[limits]                         # remove the # to set one',
    ...lines(SERVER_KEYS, SERVER),
    ...lines(TRANSPORT_KEYS, DEFAULT_TRANSPORT_LIMITS),
  ].join('\n');
}
