/**
 * The four parties started again on the disks that a loss of power left: the real nodes, TLS, noble and bleno on a virtual
 * radio, in this process. Owns starting, the waiting and the end; a PNE that is not enrolled is enrolled as its owner would.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { openVirtualRadio } from '../../src/bluetooth/open.ts';
import { PN_NAME } from '../../src/cli/demo/cast.ts';
import type { GatewayConfig } from '../../src/config/gateway-config.ts';
import { type GatewayNode, openGateway } from '../../src/nodes/gateway/gateway.ts';
import { openPne, type PneNode } from '../../src/nodes/pne/pne.ts';
import { openServerAdmin } from '../../src/nodes/server/admin.ts';
import { openServer } from '../../src/nodes/server/server.ts';
import { openGatewayStore } from '../../src/store/gateway-store.ts';

/** Longest until all hold the same again; measured: a second or two. */
const CONVERGE_MS = 45_000;
const LOOK_MS = 20;

/** @param directory holds `server`, `gw1`, `gw2` and `pne`; both gateways have to be enrolled */
export async function assertConverges(directory: string): Promise<void> {
  const closers: (() => Promise<unknown>)[] = [];
  try {
    const state = (party: string) => join(directory, party);
    const radio = await openVirtualRadio({ path: join(directory, 'radio.sock') });
    closers.unshift(() => radio.close());
    const url = serverUrlOf(state('gw2'));
    const server = await openServer({ stateDir: state('server'), port: Number(new URL(url).port) });
    closers.unshift(() => server.close());
    const gateway = async (party: string, invite: boolean): Promise<GatewayNode> => {
      const node = await openGateway({
        stateDir: state(party),
        config: gatewayConfig(url, radio.moniker, invite),
      });
      closers.unshift(() => node.close());
      return node;
    };
    const pne = await openPne({
      stateDir: state('pne'),
      ask: () => Promise.resolve('ok'),
      config: {
        bluetooth: { adapter: radio.moniker, capture: undefined, randomAddress: true },
        device: {
          ...{ kind: 'device', model: undefined, pneId: 'Watch' },
          ...{ capability: new Uint8Array(60), contents: [] },
        },
        join: { policy: 'accept', rules: [] },
        log: { level: 'silent' },
      },
    });
    closers.unshift(() => pne.close());
    const home = await gateway('gw1', false);
    if (pne.status().owner === undefined) {
      const { code } = pne.startEnrolment();
      await Promise.all([within(home.pair(code)), pne.enrolled]);
    }
    const initiating = await gateway('gw2', true);
    await converged(pne, home, initiating);
    const admin = openServerAdmin(state('server'));
    const audit = admin.audit(pne.status().memberships[0]?.pnId ?? '');
    admin.close();
    assert.equal(audit.passed, true, 'the audit');
  } finally {
    for (const close of closers) await close();
  }
}

async function within<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not enrolled in ${CONVERGE_MS} ms`)), CONVERGE_MS);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

function serverUrlOf(stateDir: string): string {
  const store = openGatewayStore(join(stateDir, 'gateway.sqlite'));
  try {
    return store.enrolment()?.serverUrl ?? '';
  } finally {
    store.close();
  }
}

function gatewayConfig(url: string, adapter: string, invite: boolean): GatewayConfig {
  return {
    server: { url },
    bluetooth: { adapter, capture: undefined, randomAddress: true },
    pn: { name: PN_NAME, invite, capability: Uint8Array.of(0xa0), subscription: 'sub' },
    approvals: { default: 'allow', rules: [{ decision: 'allow' }] },
    log: { level: 'silent' },
  };
}

/** PNE and GW2 hold the same inventory, nothing is open, GW1 has the outcome. */
async function converged(pne: PneNode, home: GatewayNode, initiating: GatewayNode): Promise<void> {
  const endsAt = performance.now() + CONVERGE_MS;
  for (;;) {
    const { memberships, pending } = pne.status();
    const pns = initiating.pns();
    const [membership] = memberships;
    const pn = pns.find(({ pnId }) => pnId === membership?.pnId);
    const joined = pn?.joins.find(({ joinId }) => joinId === membership?.joinId);
    const outcome = home
      .confirmations()
      .some(({ joinId, outcome: told }) => joinId === membership?.joinId && told);
    const same = membership !== undefined && membership.inventorySha256 === pn?.inventorySha256;
    if (same && joined?.acknowledged && pending.length === 0 && pns.length === 1 && outcome) return;
    if (performance.now() > endsAt)
      assert.fail(
        `not converged in ${CONVERGE_MS} ms: ${JSON.stringify({ pne: pne.status(), pns, home: home.confirmations() })}`,
      );
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}
