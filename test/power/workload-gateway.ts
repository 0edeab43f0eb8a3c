/** A gateway's life as its store sees it: networks and joins as GW2, PNEs and questions as GW1, purging. */
import { PnId } from '../../src/base/ids.ts';
import { type GatewayStore, openGatewayStore } from '../../src/store/gateway-store.ts';
import {
  answerOf,
  inventoryOf,
  joinIdOf,
  joinOf,
  PN,
  pneOf,
  requestOf,
  sample,
} from '../gateway/server-side/store-samples.ts';
import { checkpoint, type Step, type Workload } from './workload.ts';

const YES = { yours: true, chargeable: true, reason: 'ok' } as const;
const NO = { yours: true, chargeable: false, reason: 'user-refused' } as const;
const [TAKEN, FREE] = [PnId(sample(8, 0xb0, 1)), PnId(sample(8, 0xb0, 2))];
const MONTH = 31 * 86_400;

/** What a gateway does with a store that is open. */
export function gatewayLife(store: () => GatewayStore): readonly Step[] {
  const networks = () => store().networks;
  const home = () => store().home;
  return [
    { name: 'network', run: () => networks().createPn({ pnId: PN, name: 'van', inviting: true }, 1) },
    { name: 'join', run: () => networks().saveJoin(joinOf(1), 2) },
    { name: 'inventory', run: () => networks().saveInventory(inventoryOf(1), 3) },
    { name: 'acknowledged', run: () => networks().acknowledgeJoin(joinIdOf(1)) },
    { name: 'second join', run: () => networks().saveJoin(joinOf(2), 4) },
    { name: 'second inventory', run: () => networks().saveInventory(inventoryOf(2, [1, 2]), 5) },
    { name: 'third join', run: () => networks().saveJoin(joinOf(3), 6) },
    { name: 'refused', run: () => networks().refuseJoin(joinIdOf(3), 'user-refused', sample(90, 1, 3), 7) },
    { name: 'refresh join', run: () => networks().saveJoin(joinOf(4, PN, 1), 8) },
    { name: 'refresh inventory', run: () => networks().saveInventory(inventoryOf(3, [2, 4]), 9) },
    { name: 'taken', run: () => networks().createPn({ pnId: TAKEN, name: 'car', inviting: true }, 10) },
    { name: 'renamed', run: () => networks().renamePn(TAKEN, FREE) },
    { name: 'pne', run: () => home().savePne(pneOf(1)) },
    { name: 'pne acknowledged', run: () => home().acknowledgePne(pneOf(1).thumbprint) },
    { name: 'pne again', run: () => home().savePne(pneOf(1, 2)) },
    { name: 'question', run: () => home().saveRequest(requestOf(1), 11) },
    { name: 'answer', run: () => home().saveAnswer(joinIdOf(1), YES, 'user', answerOf(1)) },
    { name: 'outcome', run: () => home().settleRequest(joinIdOf(1), 'ok', sample(90, 2, 1), 12) },
    { name: 'second question', run: () => home().saveRequest(requestOf(2), 13) },
    { name: 'rule', run: () => home().rememberRule({ decision: 'allow', user: 'bob' }, 14) },
    { name: 'no', run: () => home().saveAnswer(joinIdOf(2), NO, 'user', answerOf(2)) },
  ];
}

export function gatewaySteps(path: string): Workload {
  let store: GatewayStore;
  const open: Step = {
    name: 'open',
    run: () => {
      store = openGatewayStore(path);
    },
  };
  const more = Array.from({ length: 6 }, (_, i) => ({
    name: `question ${i + 10}`,
    run: () => void store.home.saveRequest(requestOf(i + 10), 20 + i),
  }));
  return {
    reopen: () => openGatewayStore(path).close(),
    steps: [
      open,
      ...gatewayLife(() => store),
      checkpoint(path),
      ...more,
      checkpoint(path),
      { name: 'provisional gone', run: () => store.networks.removePn(FREE, 'provisional') },
      { name: 'close', run: () => store.close() },
      open,
      { name: 'forgotten', run: () => store.home.forgetRule(0) },
      { name: 'purge questions', run: () => store.home.purgeSettled(MONTH) },
      { name: 'purge refusals', run: () => store.networks.purgeRefusals(MONTH) },
      { name: 'network gone', run: () => store.networks.removePn(PN, 'any') },
    ],
  };
}
