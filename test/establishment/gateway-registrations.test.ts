/** Step 3 at the server: what is tried again and what is not, while a PNE waits on its link. */
import assert from 'node:assert/strict';
import { CpnsError } from '../../src/base/errors.ts';
import { GatewayId, TransactionId } from '../../src/base/ids.ts';
import { type ServerClient, ServerProblem } from '../../src/https/server-client.ts';
import { Registrations } from '../../src/nodes/gateway-registrations.ts';
import { systemClock } from '../../src/nodes/system-clock.ts';
import { openGatewayStore } from '../../src/store/gateway-store.ts';
import { PRIMITIVES, Table } from './bench.ts';

describe('registrations: step 3', () => {
  it("the server's no ends the attempt at once, however retryable it is, with its own status", async () => {
    for (const status of ['backing-off', 'pn-id-collision', 'quota-exceeded', 'revoked-gateway'] as const) {
      let calls = 0;
      const client: Partial<ServerClient> = {
        registerPn: () => {
          calls++;
          return Promise.reject(new ServerProblem(status, 60));
        },
      };
      const registrations = new Registrations({
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
        onProblem: () => {},
      });
      const asked = registrations.register(TransactionId(new Uint8Array(16)), new Uint8Array(1));
      await assert.rejects(asked, (error) => error instanceof CpnsError && error.status === status);
      assert.equal(calls, 1, status);
    }
  });
});
