/** The server machine with real keys and no store: a row in memory to which each committed change is applied. */
import assert from 'node:assert/strict';
import { type Bytes, equal } from '../../src/base/bytes.ts';
import { Prng } from '../../src/base/prng.ts';
import { Machine } from '../../src/establishment/machine.ts';
import { SERVER_MACHINE } from '../../src/establishment/server.ts';
import type { ServerState } from '../../src/establishment/server-table.ts';
import {
  type AuthenticationResponseInput,
  type ConfirmAnswerInput,
  DEFAULT_SERVER_LIMITS,
  type GatewayFacts,
  type MemberFacts,
  type PneFacts,
  type PnFacts,
  type RegistrationRequestInput,
  type RegistrationRow,
  type ServerChange,
  type ServerInput,
  type ServerOutput,
  type ServerReply,
  type ServerSession,
} from '../../src/establishment/server-types.ts';
import { PnRegistrationRequest } from '../../src/messages/registration.ts';
import { gatewayIdOf, thumbprintOf } from '../../src/security/cose-key.ts';
import type { SoftwareSigner } from '../../src/security/keystore.ts';
import { buildJoin, type Join, type JoinOptions, type JoinResponse, sayYes } from '../support/join.ts';
import {
  Operator,
  REALM,
  START_SECONDS,
  seededPrimitives,
  seededSigner,
} from '../support/virtual-world-operator.ts';

export const NOW = START_SECONDS + 1_000;

export class MachineKit {
  readonly primitives = seededPrimitives(new Prng(7));
  readonly operator = new Operator(this.primitives);
  readonly gw1 = seededSigner(this.primitives);
  readonly gw2 = seededSigner(this.primitives);
  readonly pne = seededSigner(this.primitives);
  readonly join: Join;
  row: RegistrationRow | undefined;
  pn: PnFacts | undefined;
  readonly changes: ServerChange[] = [];
  machine: Machine<ServerSession, ServerState, ServerInput, ServerOutput, string>;
  #response: JoinResponse | undefined;
  #answer: Bytes | undefined;

  constructor(options: Partial<JoinOptions> = {}) {
    this.join = buildJoin({
      gateway: { signer: this.gw2, credential: this.operator.credential(this.gw2) },
      pne: this.pne,
      homeAddress: this.operator.homeAddressOf(this.gw1),
      ...options,
    });
    this.machine = this.load();
  }

  session(): ServerSession {
    return {
      primitives: this.primitives,
      serverKeys: this.operator.pinned(),
      realm: REALM,
      terms: { currency: 'EUR', limit: 500, periodDays: 30 },
      limits: DEFAULT_SERVER_LIMITS,
      row: this.row,
    };
  }

  /** A machine on the row as it is: what a request, or a restart, finds. */
  load(): Machine<ServerSession, ServerState, ServerInput, ServerOutput, string> {
    this.machine = new Machine<ServerSession, ServerState, ServerInput, ServerOutput, string>(
      SERVER_MACHINE,
      this.session(),
      this.row?.state ?? 'new',
    );
    return this.machine;
  }

  facts(signer: SoftwareSigner, userId: number): GatewayFacts {
    const key = signer.publicKey;
    return {
      gatewayId: gatewayIdOf(this.primitives, key),
      thumbprint: thumbprintOf(this.primitives, key),
      ...{ key, userId, userLabel: `user ${userId}`, label: 'gateway', standing: 'ok' },
    };
  }

  pneFacts(): PneFacts {
    const key = this.pne.publicKey;
    const thumbprint = thumbprintOf(this.primitives, key);
    return { key, thumbprint, userId: 1, standing: 'ok', home: this.facts(this.gw1, 1) };
  }

  request(change: Partial<RegistrationRequestInput> = {}): RegistrationRequestInput {
    return {
      kind: 'registrationRequest',
      txn: this.join.txn,
      body: this.join.body,
      request: PnRegistrationRequest.decode(this.join.body),
      gateway: this.facts(this.gw2, 2),
      pn: this.pn,
      kept: { networks: 0, transactionsToday: 0, refusalsToday: 0 },
      ...{ openCount: 0, backoffUntil: 0, nonce: new Uint8Array(16), now: NOW },
      ...change,
    };
  }

  /** Step 6 for the challenge on the row. */
  answered(): JoinResponse {
    assert.ok(this.row);
    this.#response ??= this.join.respond(this.row.challenge);
    return this.#response;
  }

  response(change: Partial<AuthenticationResponseInput> = {}): AuthenticationResponseInput {
    return {
      kind: 'authenticationResponse',
      response: this.row ? this.answered().response : Uint8Array.of(1),
      gateway: this.facts(this.gw2, 2),
      pne: this.pneFacts(),
      ...{ homeOnline: true, pn: this.pn, earlierYes: undefined, pendingOfUser: 0, earlier: [] },
      vainQuestions: { ofUser: 0, ofGateway: 0 },
      ...{ refreshesToday: 0, isOvertaken: false, backoffUntil: 0, now: NOW + 5 },
      ...change,
    };
  }

  answer(change: Partial<ConfirmAnswerInput> = {}): ConfirmAnswerInput {
    return {
      kind: 'confirmAnswer',
      answer: this.#yes(),
      caller: this.facts(this.gw1, 1),
      gateway: this.facts(this.gw2, 2),
      pne: this.pneFacts(),
      ...{ pn: this.pn, now: NOW + 10 },
      ...change,
    };
  }

  /** One answer: ECDSA signs differently each time. */
  #yes(): Bytes {
    if (!this.row) return Uint8Array.of(1);
    this.#answer ??= sayYes(this.gw1, this.row.th3);
    return this.#answer;
  }

  signed(output: ServerOutput | undefined): ServerInput {
    assert.ok(output?.kind === 'sign');
    const signatures = output.messages.map((message) => this.operator.server.sign(message));
    return { kind: 'signed', signatures, kid: this.operator.kid };
  }

  /** One input, on a fresh machine; signatures and commits as a shell would see to them. */
  feed(input: ServerInput): { reply: ServerReply | undefined; outputs: readonly ServerOutput[] } {
    const machine = this.load();
    const all: ServerOutput[] = [];
    let outputs = machine.handle(input, 0);
    for (;;) {
      all.push(...outputs);
      for (const output of outputs) if (output.kind === 'commit') this.apply(output.change);
      const sign = outputs.find(({ kind }) => kind === 'sign');
      if (!sign) break;
      outputs = machine.handle(this.signed(sign), 0);
    }
    const reply = all.find((output) => output.kind === 'reply');
    return { reply: reply?.kind === 'reply' ? reply.reply : undefined, outputs: all };
  }

  apply(change: ServerChange): void {
    this.changes.push(change);
    if (change.to === 'challenged') {
      this.row = change.row;
      return;
    }
    assert.ok(this.row);
    const { to: state, outbox: _outbox, key: _key, ...fields } = change;
    const kept: Partial<Record<keyof RegistrationRow, unknown>> = {};
    for (const name of [
      'response',
      'homeGatewayId',
      'deadline',
      'answer',
      'status',
      'inventory',
      'outcome',
      'settledAt',
    ] as const) {
      const value: unknown = (fields as Partial<Record<typeof name, unknown>>)[name];
      if (value !== undefined) kept[name] = value;
    }
    this.row = { ...this.row, ...(kept as Partial<RegistrationRow>), state };
    if (change.to !== 'registered') return;
    const { evidence, member } = change;
    const others = (this.pn?.members ?? []).filter(({ pne }) => !equal(pne, member.pne));
    const members: readonly MemberFacts[] = [...others, member];
    this.pn = {
      pnId: evidence.pnId,
      gatewayId: this.row.gatewayId,
      version: evidence.version,
      nextHandle: Math.max(this.pn?.nextHandle ?? 1, member.handle + 1),
      members,
    };
  }

  /** Brings a fresh registration to a durable or volatile state by the shortest way. */
  static at(state: ServerState | 'refused unsigned'): MachineKit {
    const kit = new MachineKit();
    if (state === 'new') return kit;
    if (state === 'signing-challenge') {
      kit.load().handle(kit.request(), 0);
      return kit;
    }
    kit.feed(kit.request());
    if (state === 'refused unsigned') kit.feed({ kind: 'deadline', now: NOW + 61 });
    if (state !== 'challenged' && state !== 'refused unsigned') kit.feed(kit.response());
    if (state === 'registered') kit.feed(kit.answer());
    if (state === 'refused') kit.feed({ kind: 'superseded', now: NOW + 6 });
    kit.load();
    if (state === 'signing-inventory') kit.machine.handle(kit.answer(), 0);
    if (state === 'signing-refusal') kit.machine.handle({ kind: 'superseded', now: NOW + 6 }, 0);
    const expected = state === 'refused unsigned' ? 'refused' : state;
    assert.equal(kit.machine.state, expected);
    return kit;
  }
}

/** A copy with one bit changed. */
export function flipped(bytes: Bytes, at: number): Bytes {
  const copy = new Uint8Array(bytes);
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
}
