/** Which sessions hear what the server says of a join: every one, since the newest may not be the first, and a later one too. */
import assert from 'node:assert/strict';
import type { Bytes } from '../../src/base/bytes.ts';
import type { GatewayInput } from '../../src/establishment/gateway-types.ts';
import { Resumed } from '../../src/messages/resumption.ts';
import { Waiting } from '../../src/messages/setup.ts';
import { Sessions, type SessionsOptions } from '../../src/nodes/gateway/sessions.ts';
import type { LinkSession, Opened } from '../../src/nodes/link-session.ts';
import { systemClock } from '../../src/nodes/system-clock.ts';
import { GatewayBench } from '../establishment/gateway-bench.ts';

/** As much of a link as a session needs, with what was said on it. */
class HeardLink {
  readonly said: string[] = [];
  readonly effects = {
    send: ({ message, body }: { readonly message: string; readonly body: Bytes }) =>
      void this.said.push(message === 'Waiting' ? `Waiting ${Waiting.decode(body).status}` : message),
    limit: () => {},
    advance: () => {},
    close: () => {},
    sign: () => Promise.reject(new Error('nothing is signed in a resumption')),
  };
}

/** Every input that was fed has been handled: nothing of it waits for I/O. */
const handled = () => new Promise<void>((resolve) => setImmediate(resolve));

describe('sessions of one join', () => {
  it('all hear its settlement: a PNE may be back on a new link before the old one is known to be dead', async () => {
    const bench = new GatewayBench({ resume: 0 });
    const { join, primitives, gatewayId, serverKeys, credential, gatewayInfo } = bench.machine.data;
    assert.ok(join);
    const sessions = new Sessions({
      ...{ primitives, gatewayId, gatewayInfo, clock: systemClock },
      registrations: { waitingFor: () => 'awaiting-home-gateway' },
      serverKeys: () => serverKeys,
      serverKeysStatement: () => undefined,
      credential: () => credential,
      onLive: () => {},
      onData: () => {},
    } as unknown as SessionsOptions);
    const links = [new HeardLink(), new HeardLink()];
    const drivers = links.map((link) => {
      const bytes = new Uint8Array(32);
      const opened = {
        kind: 'opened',
        th1: bytes,
        prk1: bytes,
        openG: bytes,
        openP: bytes,
      } as unknown as Opened;
      const driver = sessions.resume(join, undefined, opened, link as unknown as LinkSession, () => {});
      driver.feed({ kind: 'Resumed', body: Resumed.encode({ status: 'ok', version: 0 }) } as {
        kind: string;
      });
      return driver;
    });
    try {
      await handled();
      sessions.tell(join.joinId, bench.settled() as GatewayInput);
      await handled();
      for (const { said } of links)
        assert.deepEqual(said, ['Resume', 'Waiting awaiting-home-gateway', 'PnSetupNotify']);
    } finally {
      for (const driver of drivers) driver.feed({ kind: 'stop' });
    }
  });
});
