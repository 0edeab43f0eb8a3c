/** What a gateway hears of a join is what the other parties say that they sent: names, sizes, segments, whose. */
import assert from 'node:assert/strict';
import { CpnsError } from '../../src/base/errors.ts';
import type { TransactionId } from '../../src/base/ids.ts';
import { type ServerClient, ServerProblem } from '../../src/https/server-client.ts';
import { hearingClient } from '../../src/nodes/gateway/heard.ts';
import { statedStatus } from '../../src/nodes/stated-status.ts';
import type { TraceEvent } from '../../src/nodes/trace.ts';
import { TestNetwork } from './network.ts';

const ESTABLISHMENT = [2, 3, 4, 6, 7, 11];

describe('what a gateway hears', function () {
  this.timeout(20_000);
  let network: TestNetwork;
  let heard: TraceEvent[];
  beforeEach(async () => {
    heard = [];
    network = await TestNetwork.open();
  });
  afterEach(() => network.close());

  async function join(decision: 'allow' | 'deny') {
    const home = await network.gateway('Alice', 'Hall', {
      approvals: { default: 'ask', rules: [{ decision }] },
    });
    const gateway = await network.gateway('Bob', 'Kitchen', {
      pn: { invite: true },
      onHeard: (event) => heard.push(event),
    });
    const pne = await network.pne('Watch');
    const { code } = pne.startEnrolment();
    await home.pair(code);
    await network.until('the end', () => heard.some(({ name }) => name === 'Ack'));
    return { home, gateway, pne };
  }

  /** Of each step the first event, without what only its own reporter has. */
  const told = (events: readonly TraceEvent[]) =>
    Object.fromEntries(
      ESTABLISHMENT.map((step) => {
        const {
          atMs: _atMs,
          joinId: _joinId,
          status: _status,
          link,
          joinKey,
          ...event
        } = events.find((each) => each.step === step) ?? assert.fail(`step ${step}`);
        return [step, event.via === 'ble' ? { ...event, link } : { ...event, joinKey }];
      }),
    );

  it('is what PNE and server say that they sent and got', async () => {
    await join('allow');
    assert.deepEqual(told(heard), told(network.trace));
    assert.equal(heard.find(({ step }) => step === 7)?.joinId?.length, 32);
    const inOrder = heard.flatMap(({ step, via }) => (step !== undefined && via === 'https' ? [step] : []));
    assert.deepEqual([...new Set(inOrder)], [3, 4, 7, 11]);
  });

  it('has the end of a join that was refused, as the server signed it', async () => {
    await join('deny');
    assert.equal(heard.find(({ step }) => step === 11)?.status, 'user-refused');
    assert.deepEqual(told(heard), told(network.trace));
  });

  it('has what goes wrong on the way to the server, and lets it go on', async () => {
    const failures = [
      new ServerProblem('busy'),
      new CpnsError('server-unreachable'),
      new CpnsError('shutting-down'),
    ];
    const client = hearingClient(
      { registerPn: () => Promise.reject(failures[0]) } as unknown as ServerClient,
      (event) => heard.push({ ...event, atMs: 0 }),
    );
    const txn = new Uint8Array(16) as TransactionId;
    for (; failures.length > 0; failures.shift())
      await assert.rejects(client.registerPn(txn, new Uint8Array(3)), failures[0]);
    assert.deepEqual(
      heard.map(({ name, status, bytes }) => [name, status, bytes]),
      [
        ['PnRegistrationRequest', undefined, 3],
        ['Refusal', 'busy', 0],
        ['PnRegistrationRequest', undefined, 3],
        ['NoAnswer', 'server-unreachable', 0],
        ['PnRegistrationRequest', undefined, 3],
      ],
    );
  });

  it('reads no status out of bytes that say none', () => {
    for (const name of ['Abort', 'PnSetupResponse', 'PnSetupRequest', 'constructor', 'unknown'])
      assert.deepEqual(statedStatus(name, Uint8Array.of(0xff, 0x00)), {}, name);
  });
});
