/**
 * The type bytes of the messages on a Bluetooth link, with who sends them and on which lane.
 * Owns the numbers. Which state takes which message is the machines' business. Source: docs/protocol.md §6.1.
 */

export interface MessageType {
  readonly type: number;
  readonly from: 'gateway' | 'pne' | 'central' | 'peripheral' | 'both';
  /** 0 control, 1 data. */
  readonly lane: 0 | 1;
  readonly plaintext: boolean;
}

type Lane = MessageType['lane'];
const row = (type: number, from: MessageType['from'], lane: Lane = 0, plaintext = false): MessageType => ({
  type,
  from,
  lane,
  plaintext,
});

export const MESSAGE_TYPES = {
  Open: row(0, 'both', 0, true),
  PnSetupRequest: row(1, 'gateway'),
  PnSetupResponse: row(2, 'pne'),
  AuthenticationChallenge: row(5, 'gateway'),
  AuthenticationResponse: row(6, 'pne'),
  PnSetupNotify: row(13, 'gateway'),
  Ack: row(14, 'pne'),
  PnInventoryUpdate: row(15, 'gateway'),
  EnrolOffer: row(20, 'gateway'),
  EnrolClaim: row(21, 'pne'),
  EnrolReceipt: row(22, 'gateway'),
  EnrolAck: row(23, 'pne'),
  EnrolComparison: row(24, 'gateway'),
  Resume: row(30, 'central'),
  Resumed: row(31, 'peripheral'),
  Freshness: row(32, 'gateway'),
  ServerKeys: row(33, 'gateway'),
  Abort: row(40, 'both'),
  Waiting: row(41, 'gateway'),
  Reject: row(42, 'both', 0, true),
  Data: row(64, 'both', 1),
} as const satisfies Record<string, MessageType>;

export type MessageName = keyof typeof MESSAGE_TYPES;

const byType = new Map<number, MessageName>();
for (const [name, { type }] of Object.entries(MESSAGE_TYPES)) byType.set(type, name as MessageName);

/** The type byte of a message. */
export function messageType(name: MessageName): number {
  return MESSAGE_TYPES[name].type;
}

/** The message of a type byte; undefined for one that this version does not know. */
export function messageName(type: number): MessageName | undefined {
  return byType.get(type);
}
