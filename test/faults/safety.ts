/**
 * The safety rules S1–S5 of protocol-core §8, stated once: over what all parties have on disk, as somebody sees it who sees
 * them all. Takes what changed in the order of time and says which rule broke at which entry. The fault matrix feeds it
 * from the journals of real processes, the simulation after each durable change.
 * Each party journals a commit before it sends anything that rests on it, so a later entry never has an earlier cause.
 */
import { fromHex } from '../../src/base/bytes.ts';
import { CpnsError } from '../../src/base/errors.ts';
import { PneConfirmResponsePayload } from '../../src/messages/confirmation.ts';
import { InventoryPayload, OutcomePayload } from '../../src/messages/inventory.ts';
import type { Message } from '../../src/messages/message.ts';
import { AuthenticationResponsePayload } from '../../src/messages/setup.ts';
import { parseSign1 } from '../../src/security/cose.ts';
import { thumbprintOf } from '../../src/security/cose-key.ts';
import type { Primitives, PublicKey } from '../../src/security/primitives.ts';
import { nodePrimitives } from '../../src/security/primitives-node.ts';
import { openSigned } from '../../src/security/signed-message.ts';
import {
  type EvidenceView,
  type GatewayView,
  type Hex,
  hex,
  type PartyView,
  type PneView,
  type RegistrationView,
  type Role,
  type ServerView,
} from './state-view.ts';

export interface JournalEntry {
  /** Monotonic nanoseconds, one clock for all parties. */
  readonly atNs: string;
  readonly party: string;
  readonly role: Role;
  /** What is on its disk now. */
  readonly view?: PartyView;
  /** th3: this PNE sends step 6 now. */
  readonly signed?: Hex;
}

export type Rule = 'S1' | 'S2' | 'S3' | 'S4' | 'S5';

export interface Violation {
  readonly rule: Rule;
  readonly what: string;
  readonly party: string;
  /** Place of the entry that shows it, from 0. */
  readonly index: number;
  readonly entry: JournalEntry;
}

/** A pending join that nobody settled may go after the PNE was powered this long. */
const PENDING_POWERED_SECONDS = 24 * 3600;
const JOIN_ID_DIGITS = 32;

interface Signed {
  readonly pnId: Hex | undefined;
  /** The how manieth of this PNE. */
  readonly turn: number;
  readonly poweredSeconds: number;
}

interface KnownPne {
  readonly view: PneView;
  /** Step 6 of these is out, and nothing yet allowed to forget them. */
  readonly unresolved: Map<Hex, Signed>;
  /** In which turn each join was signed. */
  readonly turns: Map<Hex, number>;
}

const short = (id: Hex): string => id.slice(0, 8);

export class SafetyChecker {
  readonly violations: Violation[] = [];
  readonly #primitives: Primitives;
  readonly #gateways = new Map<string, GatewayView>();
  readonly #pnes = new Map<string, KnownPne>();
  #server: ServerView | undefined;
  /** Transactions the server has now, by th3. */
  #rows = new Map<Hex, RegistrationView>();
  #keys: readonly PublicKey[] = [];
  /** Registered joins whose evidence held, by join. */
  readonly #proven = new Map<Hex, EvidenceView>();
  /** Inventories the server has committed, by PN and version. */
  readonly #inventories = new Map<string, Hex>();
  /** The version each party held last of each PN. */
  readonly #held = new Map<string, number>();
  /** How each join ended, in whose word ever: th3 → status. */
  readonly #ends = new Map<Hex, string>();
  /** Signed outcomes that verified. */
  readonly #opened = new Map<string, string>();
  /** What GW1 has signed of each join: th3 → step 9. */
  readonly #answers = new Map<Hex, Hex>();
  readonly #told = new Set<string>();
  #entry: JournalEntry | undefined;
  #index = -1;

  constructor(primitives: Primitives = nodePrimitives()) {
    this.#primitives = primitives;
  }

  /** @returns what this entry shows that no earlier one did */
  take(entry: JournalEntry): readonly Violation[] {
    const before = this.violations.length;
    this.#entry = entry;
    this.#index++;
    if (entry.view) this.#see(entry.party, entry.view);
    if (entry.signed !== undefined) this.#sign(entry.party, entry.signed);
    // A change at the server may show what another party holds without it; a change elsewhere concerns that party.
    if (entry.role === 'server') {
      for (const [party, view] of this.#gateways) this.#checkGateway(party, view);
      for (const [party, known] of this.#pnes) this.#checkPne(party, known);
    } else if (entry.role === 'gateway') {
      const view = this.#gateways.get(entry.party);
      if (view) this.#checkGateway(entry.party, view);
    } else {
      const known = this.#pnes.get(entry.party);
      if (known) this.#checkPne(entry.party, known);
    }
    return this.violations.slice(before);
  }

  #see(party: string, view: PartyView): void {
    if (view.role === 'server') this.#seeServer(party, view);
    else if (view.role === 'gateway') this.#gateways.set(party, view);
    else {
      const { unresolved = new Map(), turns = new Map() } = this.#pnes.get(party) ?? {};
      this.#pnes.set(party, { view, unresolved, turns });
    }
  }

  // Server: S1, S3, S4

  #seeServer(party: string, view: ServerView): void {
    if (view.keys.join() !== this.#server?.keys.join()) this.#keys = view.keys.map(publicKey);
    this.#server = view;
    this.#rows = new Map(view.registrations.map((row) => [row.th3, row]));
    const byJoin = new Map(view.registrations.map((row) => [row.joinId, row]));
    for (const evidence of view.evidence)
      if (!this.#proven.has(evidence.joinId)) this.#prove(party, evidence, byJoin.get(evidence.joinId));
    for (const row of view.registrations) this.#checkRow(party, row);
    for (const [th3, status] of this.#ends)
      if (status === 'ok' && this.#rows.get(th3)?.state !== 'registered')
        this.#violate('S4', party, `join ${short(th3)} was registered and is no more`);
    for (const { pnId, version, inventory, members } of view.pns) {
      this.#checkInventory(party, pnId, version, inventory);
      if (new Set(members.map(({ pne }) => pne)).size < members.length)
        this.#violate('S4', party, `PN ${short(pnId)} has two entries of one PNE`);
    }
  }

  #checkRow(party: string, row: RegistrationView): void {
    if (row.state === 'registered' && !this.#proven.has(row.joinId))
      this.#violate('S1', party, `join ${short(row.th3)} is registered without evidence that holds`);
    if (row.outcome !== undefined) this.#checkOutcome(party, row.th3, row.outcome);
  }

  #prove(party: string, evidence: EvidenceView, row: RegistrationView | undefined): void {
    const { joinId, answer } = evidence;
    const fault = this.#faultOf(evidence, row);
    if (fault !== undefined || !row) {
      this.#violate('S1', party, `join ${short(joinId)}: ${fault}`);
      return;
    }
    if (answer !== undefined) this.#answered(party, row.th3, answer);
    this.#proven.set(joinId, evidence);
    this.#commit(party, evidence);
    this.#ended(party, row.th3, 'ok');
  }

  #faultOf(evidence: EvidenceView, row: RegistrationView | undefined): string | undefined {
    const { joinId, pnId, pne, pneKey, homeKey, response, answer, earlierJoin } = evidence;
    if (row?.state !== 'registered') return 'evidence without a registration';
    const { th3 } = row;
    if (th3.slice(0, JOIN_ID_DIGITS) !== joinId || row.pne !== pne || row.pnId !== pnId)
      return 'evidence of another join';
    if (hex(thumbprintOf(this.#primitives, publicKey(pneKey))) !== pne)
      return 'evidence with the key of another PNE';
    if (!this.#opens(AuthenticationResponsePayload, [publicKey(pneKey)], th3, response))
      return "the PNE's signature over th3 does not verify";
    if (answer === undefined) {
      const rests = this.#proven.get(earlierJoin ?? '');
      const holds = rests?.answer !== undefined && rests.pne === pne && rests.pnId === pnId;
      return holds ? undefined : 'a refresh that rests on no yes for this PN and PNE';
    }
    const said = this.#opens(PneConfirmResponsePayload, [publicKey(homeKey)], th3, answer);
    if (!said) return "the home gateway's signature over th3 does not verify";
    return said.yours && said.chargeable ? undefined : 'registered on a no';
  }

  /** A version of an inventory is committed once, and lists each PNE once. */
  #commit(party: string, { pnId, version, joinId, inventory }: EvidenceView): void {
    const key = `${pnId} v${version}`;
    const known = this.#inventories.get(key);
    if (known !== undefined && known !== inventory)
      this.#violate('S4', party, `two inventories of PN ${short(pnId)} version ${version}`);
    this.#inventories.set(key, inventory);
    const { members } = InventoryPayload.decode(parseSign1(fromHex(inventory)).payload);
    const joins = members.map((member) => hex(member.joinId));
    if (!joins.includes(joinId))
      this.#violate('S1', party, `the inventory of join ${short(joinId)} does not list it`);
    const pnes = joins.map((listed) => this.#proven.get(listed)?.pne ?? listed);
    if (new Set(pnes).size < pnes.length)
      this.#violate('S4', party, `an inventory of PN ${short(pnId)} lists one PNE twice`);
  }

  // GW2: S2, S3, S4. GW1: S4

  #checkGateway(party: string, { pns, joins, home }: GatewayView): void {
    for (const { pnId, version, inventory } of pns)
      if (inventory !== undefined) this.#checkInventory(party, pnId, version, inventory);
    for (const { th3, state, outcome } of joins) {
      if (state === 'live' && this.#rows.get(th3)?.state !== 'registered')
        this.#violate('S2', party, `join ${short(th3)} is live and the server has not committed it`);
      if (outcome !== undefined) this.#checkOutcome(party, th3, outcome);
    }
    for (const { th3, answer, outcome } of home) {
      if (answer !== undefined) this.#answered(party, th3, answer);
      if (outcome !== undefined) this.#checkOutcome(party, th3, outcome);
    }
  }

  // PNE: S2, S3, S5

  #sign(party: string, th3: Hex): void {
    const known = this.#pnes.get(party);
    if (!known) {
      this.#violate('S5', party, `signed join ${short(th3)} with nothing on disk`);
      return;
    }
    const { joins, poweredSeconds } = known.view;
    const { pnId } = joins.find((join) => join.th3 === th3) ?? {};
    const turn = known.turns.size;
    known.turns.set(th3, turn);
    known.unresolved.set(th3, { pnId, turn, poweredSeconds });
  }

  #checkPne(party: string, known: KnownPne): void {
    const { view, unresolved } = known;
    for (const { th3, state, pnId, version, inventory } of view.joins) {
      if (state !== 'member') continue;
      unresolved.delete(th3);
      if (this.#rows.get(th3)?.state !== 'registered')
        this.#violate('S2', party, `is a member by join ${short(th3)}, which the server has not committed`);
      this.#checkInventory(party, pnId, version, inventory ?? '');
    }
    for (const [th3, signed] of unresolved) {
      if (view.joins.some((join) => join.th3 === th3)) continue;
      if (!this.#mayForget(th3, signed, known))
        this.#violate('S5', party, `signed join ${short(th3)} and does not remember it`);
      else unresolved.delete(th3);
    }
  }

  /** After the outcome, after a later join of the same PN, or 24 h powered. */
  #mayForget(th3: Hex, { pnId, turn, poweredSeconds }: Signed, { view, turns }: KnownPne): boolean {
    const row = this.#rows.get(th3);
    const refused = row?.state === 'refused' && row.outcome !== undefined;
    const overtaken = view.joins.some(
      (join) =>
        join.state === 'member' && join.pnId === (pnId ?? row?.pnId) && (turns.get(join.th3) ?? -1) > turn,
    );
    return refused || overtaken || view.poweredSeconds - poweredSeconds > PENDING_POWERED_SECONDS;
  }

  // Common

  /** S3: bytes that the server has committed, and never older ones than before. */
  #checkInventory(party: string, pnId: Hex, version: number, inventory: Hex): void {
    if (this.#inventories.get(`${pnId} v${version}`) !== inventory)
      this.#violate(
        'S3',
        party,
        `holds a version ${version} of PN ${short(pnId)} that the server never committed`,
      );
    const place = `${party} ${pnId}`;
    const before = this.#held.get(place) ?? 0;
    if (version < before)
      this.#violate('S3', party, `went back from version ${before} to ${version} of PN ${short(pnId)}`);
    this.#held.set(place, Math.max(version, before));
  }

  #checkOutcome(party: string, th3: Hex, outcome: Hex): void {
    const key = `${th3} ${outcome}`;
    let status = this.#opened.get(key);
    if (status === undefined) {
      const said = this.#opens(OutcomePayload, this.#keys, th3, outcome);
      if (!said) {
        this.#violate('S4', party, `holds an outcome of join ${short(th3)} that is not the server's`);
        return;
      }
      status = said.status;
      this.#opened.set(key, status);
    }
    this.#ended(party, th3, status);
  }

  /** S4: one end of each join. */
  #ended(party: string, th3: Hex, status: string): void {
    const known = this.#ends.get(th3);
    if (known !== undefined && known !== status)
      this.#violate('S4', party, `join ${short(th3)} ended ${known} and ${status}`);
    else this.#ends.set(th3, status);
  }

  /** S4: GW1 signs one answer of a join, and sends those bytes whenever it sends it again. */
  #answered(party: string, th3: Hex, answer: Hex): void {
    const known = this.#answers.get(th3);
    if (known !== undefined && known !== answer)
      this.#violate('S4', party, `two answers of the home gateway to join ${short(th3)}`);
    else this.#answers.set(th3, answer);
  }

  /** @returns what was signed; nothing when none of the keys did, or it is no such message */
  #opens<T>(message: Message<T>, keys: readonly PublicKey[], th3: Hex, sign1: Hex): T | undefined {
    try {
      return openSigned(this.#primitives, message, () => keys, fromHex(th3), fromHex(sign1), 'internal')
        .value;
    } catch (error) {
      if (error instanceof CpnsError) return undefined;
      throw error;
    }
  }

  #violate(rule: Rule, party: string, what: string): void {
    const key = `${rule} ${party} ${what}`;
    if (this.#told.has(key) || !this.#entry) return;
    this.#told.add(key);
    this.violations.push({ rule, party, what, index: this.#index, entry: this.#entry });
  }
}

const publicKey = (key: Hex): PublicKey => ({ x: fromHex(key.slice(0, 64)), y: fromHex(key.slice(64)) });

/** A whole journal, in the order of time. */
export function checkJournal(entries: Iterable<JournalEntry>): readonly Violation[] {
  const checker = new SafetyChecker();
  const inOrder = [...entries].sort((a, b) => {
    const later = BigInt(a.atNs) - BigInt(b.atNs);
    return later < 0n ? -1 : later > 0n ? 1 : 0;
  });
  for (const entry of inOrder) checker.take(entry);
  return checker.violations;
}

/** One line for a person. */
export function describeViolation({ rule, party, what, index, entry }: Violation): string {
  return `${rule} at ${party}: ${what} (entry ${index} of ${entry.party}, ${Number(entry.atNs) / 1e6} ms)`;
}
