/**
 * The auditor: verifies a registered PN again from stored evidence alone, as somebody would who believes nobody but the
 * operator's server keys. Every signature, every transcript, from the exact bytes; then that the inventories follow from
 * the joins and from nothing else. Pure. Source: design §3, protocol-core §8 (S1), §13 of docs/protocol.md.
 */
import { type Bytes, EMPTY, equal, toHex } from '../base/bytes.ts';
import { CpnsError } from '../base/errors.ts';
import { GATEWAY_ID_BYTES, JOIN_ID_BYTES, type PnId } from '../base/ids.ts';
import { PneConfirmResponsePayload } from '../messages/confirmation.ts';
import { parseHomeAddress } from '../messages/home-address.ts';
import { InventoryPayload, type Member } from '../messages/inventory.ts';
import {
  AuthenticationChallengePayload,
  AuthenticationResponsePayload,
  PnSetupRequestPayload,
} from '../messages/setup.ts';
import { thumbprintOf } from '../security/cose-key.ts';
import { verifyCredential } from '../security/credential.ts';
import { transcript3 } from '../security/key-schedule.ts';
import type { Primitives } from '../security/primitives.ts';
import { keysFor, type ServerKeys } from '../security/server-keys.ts';
import { openSigned } from '../security/signed-message.ts';
import { readExchange } from './server-checks.ts';
import type { JoinEvidence } from './server-types.ts';

/** What an audit is made of. */
export interface AuditRecords {
  readonly pnId: PnId;
  /** The operator's keys, past ones too. */
  readonly serverKeys: ServerKeys;
  /** Every registered join of the PN, in any order. */
  readonly joins: readonly JoinEvidence[];
}

export interface AuditCheck {
  /** The version of the inventory that the join made; 0 for what concerns the PN as a whole. */
  readonly version: number;
  /** In words: what holds when it passed. */
  readonly what: string;
  readonly passed: boolean;
  /** Why not. */
  readonly why?: string;
}

export interface AuditReport {
  readonly pnId: PnId;
  readonly passed: boolean;
  readonly checks: readonly AuditCheck[];
}

/** @returns every check that could be made; where one fails, those of the same join that need it are missing */
export function auditPn(records: AuditRecords, primitives: Primitives): AuditReport {
  const joins = [...records.joins].sort((a, b) => a.version - b.version);
  const checks: AuditCheck[] = [];
  const auditor = new Auditor(records, joins, primitives, checks);
  auditor.checkVersions();
  for (const join of joins) auditor.checkJoin(join);
  return { pnId: records.pnId, passed: joins.length > 0 && checks.every(({ passed }) => passed), checks };
}

/** One member as the joins so far say it must be. */
interface Expected {
  readonly pne: string;
  readonly member: Omit<Member, 'handle'>;
  handle?: number;
}

class Auditor {
  readonly #records: AuditRecords;
  readonly #joins: readonly JoinEvidence[];
  readonly #primitives: Primitives;
  readonly #checks: AuditCheck[];
  /** Members by the thumbprint of their key. */
  readonly #members = new Map<string, Expected>();
  #highestHandle = 0;

  constructor(
    records: AuditRecords,
    joins: readonly JoinEvidence[],
    primitives: Primitives,
    checks: AuditCheck[],
  ) {
    this.#records = records;
    this.#joins = joins;
    this.#primitives = primitives;
    this.#checks = checks;
  }

  checkVersions(): void {
    this.#check(0, 'there is evidence for every version from 1 on, without gaps', () =>
      need(this.#joins.length > 0 && this.#joins.every(({ version }, index) => version === index + 1)),
    );
    this.#check(0, 'all joins came through the same gateway', () => {
      const [first] = this.#joins;
      need(this.#joins.every(({ gatewayKey }) => first && equal(gatewayKey.x, first.gatewayKey.x)));
    });
  }

  checkJoin(join: JoinEvidence): void {
    const { version } = join;
    const exchange = this.#check(version, 'what gateway and PNE said to each other can be read', () =>
      readExchange(this.#primitives, join),
    );
    if (!exchange) return;
    const { setup, joining, th1, th2 } = exchange;
    const { primitives, serverKeys } = { primitives: this.#primitives, serverKeys: this.#records.serverKeys };
    const signedBy = keysFor(serverKeys);

    this.#check(version, 'step 1 names this PN', () => need(equal(setup.pnId, this.#records.pnId)));
    const challenge = this.#check(version, 'the server signed the challenge over th2', () =>
      openSigned(
        primitives,
        AuthenticationChallengePayload,
        signedBy,
        th2,
        join.challenge,
        'challenge-invalid',
      ),
    );
    if (!challenge) return;
    const th3 = transcript3(primitives, th2, challenge.payload);
    this.#check(version, 'the join ID is that of th1, th2 and th3 recomputed', () =>
      need(equal(join.joinId, th3.slice(0, JOIN_ID_BYTES))),
    );
    this.#check(version, "the server signed the gateway's credential, for the gateway's key", () => {
      const { key } = verifyCredential(primitives, serverKeys, setup.credential, {
        now: challenge.value.serverTime,
      });
      need(equal(key.x, join.gatewayKey.x) && equal(key.y, join.gatewayKey.y));
    });
    this.#check(version, 'the gateway signed step 1 over th1', () =>
      openSigned(
        primitives,
        PnSetupRequestPayload,
        () => [join.gatewayKey],
        th1,
        join.m1,
        'setup-request-invalid',
      ),
    );
    this.#check(version, "the PNE's key has the thumbprint that step 2 names", () =>
      need(equal(thumbprintOf(primitives, join.pneKey), joining.thumbprint)),
    );
    this.#check(version, 'the PNE signed th3', () =>
      openSigned(
        primitives,
        AuthenticationResponsePayload,
        () => [join.pneKey],
        th3,
        join.response,
        'response-invalid',
      ),
    );
    this.#check(version, "the home gateway's key is that of the address in step 2", () => {
      const thumbprint = thumbprintOf(primitives, join.homeGatewayKey);
      const { gatewayId } = parseHomeAddress(joining.homeAddress);
      need(equal(thumbprint.slice(0, GATEWAY_ID_BYTES), gatewayId));
    });
    this.#checkConfirmation(join, th3);
    const { capability, contents, pneId, thumbprint } = joining;
    const member = {
      ...{ joinId: join.joinId, capability },
      ...(contents && { contents }),
      ...(pneId !== undefined && { label: pneId }),
    };
    this.#checkInventory(join, setup.name, { pne: toHex(thumbprint), member });
  }

  #checkConfirmation(join: JoinEvidence, th3: Bytes): void {
    const { version, confirmation, homeGatewayKey } = join;
    if ('earlierJoin' in confirmation) {
      this.#check(version, 'a refresh: the same PNE and home gateway have an earlier yes for this PN', () => {
        const { earlierJoin } = confirmation;
        const earlier = this.#joins.find(({ joinId }) => equal(joinId, earlierJoin));
        if (!earlier || earlier.version >= version) throw new CpnsError('answer-invalid', 'no such join');
        need('answer' in earlier.confirmation);
        need(equal(earlier.pneKey.x, join.pneKey.x) && equal(earlier.pneKey.y, join.pneKey.y));
        need(equal(earlier.homeGatewayKey.x, homeGatewayKey.x));
      });
      return;
    }
    this.#check(version, 'the home gateway signed over th3 that it is its own, and may be charged', () => {
      const { value } = openSigned(
        this.#primitives,
        PneConfirmResponsePayload,
        () => [homeGatewayKey],
        th3,
        confirmation.answer,
        'answer-invalid',
      );
      need(value.yours && value.chargeable);
    });
  }

  #checkInventory(join: JoinEvidence, name: string, joined: Expected): void {
    const { version } = join;
    const inventory = this.#check(version, 'the server signed the inventory', () => {
      const signedBy = keysFor(this.#records.serverKeys);
      return openSigned(
        this.#primitives,
        InventoryPayload,
        signedBy,
        EMPTY,
        join.inventory,
        'inventory-invalid',
      ).value;
    });
    if (!inventory) return;
    this.#check(version, 'the inventory is of this PN, gateway, name and version', () => {
      need(equal(inventory.pnId, this.#records.pnId));
      const gatewayId = thumbprintOf(this.#primitives, join.gatewayKey).slice(0, GATEWAY_ID_BYTES);
      need(equal(inventory.gatewayId, gatewayId));
      need(inventory.version === version && inventory.name === name);
    });
    const known = this.#members.get(joined.pne);
    this.#members.set(joined.pne, {
      ...joined,
      ...(known?.handle !== undefined && { handle: known.handle }),
    });
    this.#check(version, 'its members are those who joined, each by its last join and as it said', () => {
      need(inventory.members.length === this.#members.size);
      for (const expected of this.#members.values()) this.#checkMember(inventory, expected);
    });
  }

  #checkMember({ members }: InventoryPayload, expected: Expected): void {
    const found = members.find(({ joinId }) => equal(joinId, expected.member.joinId));
    if (!found) throw new CpnsError('inventory-invalid', 'a member is missing');
    const { handle, capability, contents, label } = found;
    need(equal(capability, expected.member.capability) && label === expected.member.label);
    need(JSON.stringify(contents) === JSON.stringify(expected.member.contents));
    // A handle stays with its PNE, and a new one is higher than any before.
    need(expected.handle === undefined ? handle > this.#highestHandle : handle === expected.handle);
    expected.handle = handle;
    this.#highestHandle = Math.max(this.#highestHandle, handle);
  }

  #check<T>(version: number, what: string, work: () => T): T | undefined {
    try {
      const value = work();
      this.#checks.push({ version, what, passed: true });
      return value;
    } catch (error) {
      // Only a fault in the evidence is a finding; a defect of ours must not look like one.
      if (!(error instanceof CpnsError)) throw error;
      this.#checks.push({ version, what, passed: false, why: error.message });
      return undefined;
    }
  }
}

function need(holds: boolean | undefined): void {
  if (!holds) throw new CpnsError('transcript-mismatch', 'it does not');
}
