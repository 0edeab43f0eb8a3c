/** A server's life as its store sees it: directory, enrolments, registrations that end in each way, outbox, purging. */
import { GatewayId, JoinId, PnId, Thumbprint, TransactionId } from '../../src/base/ids.ts';
import type {
  RegisteredChange,
  RegistrationRow,
  ServerChange,
} from '../../src/establishment/server-types.ts';
import { openServerStore, type ServerStore } from '../../src/store/server-store.ts';
import { sample } from '../gateway/server-side/store-samples.ts';
import { checkpoint, type Step, type Workload } from './workload.ts';

const MONTH = 31 * 86_400;
const NOW = 1_000_000;

const keyOf = (n: number) => ({ x: sample(32, 0x20, n), y: sample(32, 0x21, n) });
const gatewayIdOf = (n: number) => GatewayId(sample(8, 0x22, n));
const gatewayThumbprintOf = (n: number) => Thumbprint(sample(32, 0x23, n));
const pneThumbprintOf = (n: number) => Thumbprint(sample(32, 0x24, n));
const PN = PnId(sample(8, 0x25, 1));
/** Gateway 1 is the home of both PNEs, gateway 2 asks. */
const [HOME, ASKING] = [1, 2];

function rowOf(n: number, pne: number): RegistrationRow {
  return {
    gatewayId: gatewayIdOf(ASKING),
    txn: TransactionId(sample(16, 0x26, n)),
    state: 'challenged',
    request: sample(700, 0x27, n),
    challenge: sample(105, 0x28, n),
    challengedAt: NOW + n,
    pnId: PN,
    th3: sample(32, 0x29, n),
    joinId: JoinId(sample(16, 0x2a, n)),
    pne: pneThumbprintOf(pne),
    delivered: false,
  };
}

const challenged = (n: number, pne: number): ServerChange => ({
  to: 'challenged',
  row: rowOf(n, pne),
  maxOpen: 16,
});

function verified(n: number, pne: number): ServerChange {
  return {
    to: 'verified',
    key: rowOf(n, pne),
    notAfter: NOW + 60,
    response: sample(76, 0x2b, n),
    homeGatewayId: gatewayIdOf(HOME),
    deadline: NOW + 600,
    outbox: [{ to: gatewayIdOf(HOME), kind: 'pne-confirm-request', body: sample(900, 0x2c, n) }],
  };
}

function registered(n: number, pne: number, version: number, refreshOf?: number): RegisteredChange {
  const row = rowOf(n, pne);
  const response = sample(76, 0x2b, n);
  const answer = refreshOf === undefined ? sample(140, 0x2d, n) : undefined;
  const inventory = sample(550, 0x2e, n);
  return {
    to: 'registered',
    from: refreshOf === undefined ? 'verified' : 'challenged',
    key: row,
    notAfter: NOW + 600,
    response,
    answer,
    inventory,
    outcome: sample(90, 0x2f, n),
    baseVersion: version - 1,
    pnName: 'car',
    member: {
      pne: row.pne,
      handle: pne,
      joinId: row.joinId,
      capability: sample(60, 0x30, n),
      label: 'watch',
    },
    evidence: {
      ...{ openG: sample(51, 0x31, n), openP: sample(49, 0x32, n), m1: sample(271, 0x33, n) },
      ...{ m2: sample(128, 0x34, n), challenge: row.challenge, response, inventory, version },
      ...{
        joinId: row.joinId,
        pnId: PN,
        gatewayKey: keyOf(2),
        pneKey: keyOf(10 + pne),
        homeGatewayKey: keyOf(1),
      },
      confirmation: answer ? { answer } : { earlierJoin: rowOf(refreshOf ?? n, pne).joinId },
    },
    outbox: [
      { to: gatewayIdOf(ASKING), kind: 'pn-registration-response', body: sample(600, 0x35, n) },
      { to: gatewayIdOf(HOME), kind: 'join-outcome', body: sample(90, 0x36, n) },
    ],
    settledAt: NOW + n,
  };
}

const refused = (n: number, pne: number): ServerChange => ({
  to: 'refused',
  from: 'verified',
  key: rowOf(n, pne),
  status: 'user-refused',
  outcome: sample(90, 0x37, n),
  response: sample(76, 0x2b, n),
  answer: sample(140, 0x2d, n),
  backOff: true,
  outbox: [{ to: gatewayIdOf(ASKING), kind: 'pn-registration-response', body: sample(100, 0x38, n) }],
  settledAt: NOW + n,
});

/** What a server does with a store that is open. */
export function serverLife(store: () => ServerStore): readonly Step[] {
  const directory = () => store().directory;
  const commit = (name: string, change: ServerChange): Step => ({
    name,
    run: () => store().registrations.commit(change, () => NOW + 1),
  });
  const gateway = (n: number, user: string): readonly Step[] => {
    const tokenId = sample(8, 0x39, n);
    const userId = () => directory().user(user)?.userId ?? 0;
    const token = {
      tokenId,
      secretSha256: sample(32, 0x3a, n),
      gatewayLabel: 'hall',
      expiresAt: NOW + 86_400,
    };
    return [
      { name: `user ${user}`, run: () => directory().addUser(user, NOW) },
      { name: `token ${n}`, run: () => directory().addToken({ ...token, userId: userId() }) },
      {
        name: `gateway ${n}`,
        run: () =>
          directory().enrolGateway(
            tokenId,
            {
              ...{ gatewayId: gatewayIdOf(n), thumbprint: gatewayThumbprintOf(n), key: keyOf(n) },
              ...{ userId: userId(), userLabel: user, label: 'hall', standing: 'ok', createdAt: NOW },
            },
            sample(1_500, 0x3b, n),
          ),
      },
    ];
  };
  const pne = (n: number): readonly Step[] => {
    const nonce = sample(16, 0x3c, n);
    const owner = { maxOfUser: 8, userId: 1, homeGatewayId: gatewayIdOf(HOME), pneId: `pne ${n}`, epoch: 1 };
    const record = {
      ...owner,
      ...{ thumbprint: pneThumbprintOf(n), key: keyOf(10 + n), capability: sample(60, 0x3d, n) },
    };
    return [
      { name: `nonce ${n}`, run: () => directory().addEnrolment(nonce, gatewayIdOf(HOME), NOW) },
      {
        name: `pne ${n}`,
        run: () =>
          directory().commitEnrolment(nonce, sample(800, 0x3e, n), sample(147, 0x3f, n), record, NOW),
      },
      { name: `pne ${n} acknowledged`, run: () => directory().acknowledgeEnrolment(nonce, 'ok') },
    ];
  };
  return [
    { name: 'initialised', run: () => store().initialise('op.example', ['localhost'], NOW) },
    ...gateway(HOME, 'ann'),
    ...gateway(ASKING, 'bob'),
    ...pne(1),
    ...pne(2),
    commit('challenged', challenged(1, 1)),
    commit('verified', verified(1, 1)),
    {
      name: 'delivered',
      run: () => {
        const [delivery] = store().outbox.deliveries(gatewayIdOf(HOME), 0, 1);
        const deliveryId = delivery?.deliveryId ?? 0;
        store().outbox.acknowledge([{ gatewayId: gatewayIdOf(HOME), deliveryId }]);
      },
    },
    commit('registered', registered(1, 1, 1)),
    commit('second challenged', challenged(2, 2)),
    commit('second verified', verified(2, 2)),
    commit('second registered', registered(2, 2, 2)),
    commit('refresh challenged', challenged(3, 1)),
    commit('refreshed', registered(3, 1, 3, 1)),
    commit('third challenged', challenged(4, 2)),
    commit('third verified', verified(4, 2)),
    commit('refused', refused(4, 2)),
    { name: 'sure time', run: () => store().raiseHighWater(NOW + 100) },
    commit('fourth challenged', challenged(5, 2)),
  ];
}

export function serverSteps(path: string): Workload {
  let store: ServerStore;
  const open: Step = {
    name: 'open',
    run: () => {
      store = openServerStore(path);
    },
  };
  const more = Array.from({ length: 6 }, (_, i) => ({
    name: `challenged ${i + 10}`,
    run: () => store.registrations.commit(challenged(i + 10, 1), () => NOW + 1),
  }));
  return {
    reopen: () => openServerStore(path).close(),
    steps: [
      open,
      ...serverLife(() => store),
      checkpoint(path),
      ...more,
      checkpoint(path),
      { name: 'revoked', run: () => store.directory.revokeGateway(gatewayIdOf(ASKING), NOW + 200) },
      { name: 'close', run: () => store.close() },
      open,
      { name: 'pne released', run: () => store.directory.endPne(pneThumbprintOf(2), 'released') },
      { name: 'purge', run: () => store.registrations.purge(NOW + MONTH) },
      { name: 'clock accepted', run: () => store.setHighWater(NOW) },
    ],
  };
}
