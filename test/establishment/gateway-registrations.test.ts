/**
 * Steps 3 and 7 at the server: what is tried again and what is not, while a PNE waits on its link or has signed; and whom a
 * join waits for.
 */
import assert from 'node:assert/strict';
import { toHex } from '../../src/base/bytes.ts';
import { CpnsError } from '../../src/base/errors.ts';
import { GatewayId, JoinId, PnId, Thumbprint, TransactionId } from '../../src/base/ids.ts';
import { type ServerClient, ServerProblem } from '../../src/https/server-client.ts';
import type { TransactionState } from '../../src/messages/registration.ts';
import { Registrations, type RegistrationsOptions } from '../../src/nodes/gateway/registrations.ts';
import { systemClock } from '../../src/nodes/system-clock.ts';
import { openGatewayStore } from '../../src/store/gateway-store.ts';
import { PRIMITIVES, Table } from './bench.ts';

function registrationsWith(
  client: Partial<ServerClient>,
  changes: Partial<RegistrationsOptions> = {},
): Registrations {
  return new Registrations({
    networks: openGatewayStore(':memory:').networks,
    client: client as ServerClient,
    primitives: PRIMITIVES,
    serverKeys: () => new Table().serverKeys,
    gatewayId: GatewayId(new Uint8Array(8)),
    clock: systemClock,
    learnKeys: () => Promise.resolve(),
    tell: () => {},
    tellAll: () => {},
    onStored: () => {},
    onWaiting: () => {},
    onProblem: () => {},
    ...changes,
  });
}

describe('registrations: step 3', () => {
  it("the server's no ends the attempt at once, however retryable it is, with its own status", async () => {
    for (const status of ['backing-off', 'pn-id-collision', 'quota-exceeded', 'revoked-gateway'] as const) {
      let calls = 0;
      const registrations = registrationsWith({
        registerPn: () => {
          calls++;
          return Promise.reject(new ServerProblem(status, 60));
        },
      });
      const asked = registrations.register(TransactionId(new Uint8Array(16)), new Uint8Array(1));
      await assert.rejects(asked, (error) => error instanceof CpnsError && error.status === status);
      assert.equal(calls, 1, status);
    }
  });
});

describe('registrations: step 7', () => {
  it('a PNE that has signed is owed an end: what stood in the way once is tried again', async () => {
    const { networks } = openGatewayStore(':memory:');
    const pnId = PnId(new Uint8Array(8));
    const join = {
      joinId: JoinId(new Uint8Array(16)),
      txn: TransactionId(new Uint8Array(16)),
      th3: new Uint8Array(32),
      pnId,
      thumbprint: Thumbprint(new Uint8Array(32)),
      registration: new Uint8Array(1),
      response: new Uint8Array(1),
      rms: new Uint8Array(32),
    };
    networks.createPn({ pnId, name: 'a network', inviting: true }, 1);
    networks.saveJoin(join, 1);
    const answers = [
      () => Promise.reject(new ServerProblem('not-authenticated')),
      () => Promise.resolve({ state: 'verified', status: 'awaiting-user' } as const),
    ];
    const problems: string[] = [];
    const registrations = registrationsWith(
      { respond: () => answers.shift()?.() ?? assert.fail('asked a third time') },
      { networks, onProblem: (_what, status) => problems.push(status), retry: { firstMs: 1, maxMs: 1 } },
    );
    await registrations.respond(join.txn, join.joinId, join.response);
    assert.deepEqual(problems, ['not-authenticated']);
    assert.equal(answers.length, 0, 'asked a second time');
  });
});

describe('registrations: whom a join waits for', () => {
  const [txn, joinId] = [TransactionId(new Uint8Array(16).fill(1)), JoinId(new Uint8Array(16).fill(2))];
  const answers: (TransactionState | ServerProblem)[] = [];
  const told: string[] = [];
  const { networks } = openGatewayStore(':memory:');
  const registrations = registrationsWith(
    {
      respond: () => {
        const answer = answers.shift() ?? assert.fail('asked once too often');
        return answer instanceof ServerProblem ? Promise.reject(answer) : Promise.resolve(answer);
      },
    },
    {
      networks,
      tell: (of, input) => told.push(`session ${toHex(of)} ${input.kind}`),
      onWaiting: (join, status) => told.push(`event ${toHex(join.joinId)} ${status}`),
    },
  );
  const hex = toHex(joinId);

  it('is what the server says of it, said on once each time it changes', async () => {
    networks.saveJoin(
      {
        ...{ txn, joinId, th3: new Uint8Array(32), pnId: PnId(new Uint8Array(8)) },
        ...{ thumbprint: Thumbprint(new Uint8Array(32)), registration: new Uint8Array(1) },
        ...{ response: new Uint8Array(1), rms: new Uint8Array(32) },
      },
      1,
    );
    assert.equal(registrations.waitingFor(joinId), undefined);
    answers.push({ state: 'verified', status: 'awaiting-home-gateway' });
    await registrations.respond(txn, joinId, new Uint8Array(1));
    assert.equal(registrations.waitingFor(joinId), 'awaiting-home-gateway');
    registrations.onWaiting({ txn, status: 'awaiting-home-gateway' });
    registrations.onWaiting({ txn, status: 'awaiting-user' });
    answers.push({ state: 'verified', status: 'awaiting-home-gateway' });
    await registrations.respond(txn, joinId, new Uint8Array(1));
    assert.equal(registrations.waitingFor(joinId), 'awaiting-user', 'an answer that was overtaken');
    assert.deepEqual(told, [
      ...[`session ${hex} waiting`, `event ${hex} awaiting-home-gateway`],
      ...[`session ${hex} waiting`, `event ${hex} awaiting-user`],
    ]);
  });

  it('is forgotten with the join, and of no other', async () => {
    registrations.onWaiting({ txn: TransactionId(new Uint8Array(16)), status: 'awaiting-user' });
    answers.push(new ServerProblem('unknown-transaction'));
    await registrations.respond(txn, joinId, new Uint8Array(1));
    assert.equal(registrations.waitingFor(joinId), undefined);
    assert.equal(networks.join(joinId), undefined);
  });
});
