/** A PNE's life as its store sees it: enrolment, joins that end in each way, and time. */
import type { Bytes } from '../../src/base/bytes.ts';
import { GatewayId, PnId } from '../../src/base/ids.ts';
import type { KnownJoin } from '../../src/establishment/pne-types.ts';
import { openPneStore, type PneStore } from '../../src/store/pne-store.ts';
import { sample } from '../gateway/server-side/store-samples.ts';
import { checkpoint, type Step, type Workload } from './workload.ts';

export const pendingOf = (n: number, pn = n): KnownJoin => ({
  state: 'pending',
  pnId: PnId(sample(8, 1, pn)),
  gatewayId: GatewayId(sample(8, 2, pn)),
  th3: sample(32, 3, n),
  rms: sample(32, 4, n),
  capability: sample(60, 5, n),
  version: 0,
});
export const memberOf = (n: number, pn = n, version = 1): KnownJoin => ({
  ...pendingOf(n, pn),
  state: 'member',
  version,
});
const inventory = (n: number): Bytes => sample(550, 6, n);

/** What a PNE does with a store that is open. */
export function pneLife(store: () => PneStore): readonly Step[] {
  const offer = { offer: sample(390, 7, 1), userLabel: 'ann', epoch: 1, homeRms: sample(32, 8, 1) };
  const ownership = { ...offer, serverKeysStatement: undefined };
  return [
    { name: 'code spent', run: () => store().spendCode(sample(32, 9, 1), 1) },
    { name: 'owned', run: () => store().saveOwnership(ownership, 1_000, 5) },
    { name: 'pending', run: () => store().savePending(pendingOf(1), 1_010, 10) },
    { name: 'member', run: () => store().saveMember(memberOf(1), inventory(1), 11) },
    { name: 'newer inventory', run: () => store().saveMember(memberOf(1, 1, 2), inventory(2), 12) },
    { name: 'fresh', run: () => store().saveFloor(1_100, 20, memberOf(1).th3) },
    { name: 'second pending', run: () => store().savePending(pendingOf(2), 1_110, 30) },
    { name: 'refused', run: () => store().forgetPending(pendingOf(2).th3) },
    { name: 'refresh pending', run: () => store().savePending(pendingOf(3, 1), 1_120, 40) },
    { name: 'refreshed', run: () => store().saveMember(memberOf(3, 1, 3), inventory(3), 41) },
    { name: 'powered', run: () => store().savePowered(600) },
    { name: 'server keys', run: () => store().saveServerKeys(sample(200, 10, 1)) },
  ];
}

export function pneSteps(path: string): Workload {
  let store: PneStore;
  const open: Step = {
    name: 'open',
    run: () => {
      store = openPneStore(path);
    },
  };
  const close: Step = { name: 'close', run: () => store.close() };
  return {
    reopen: () => openPneStore(path).close(),
    steps: [
      open,
      ...pneLife(() => store),
      checkpoint(path),
      { name: 'third pending', run: () => store.savePending(pendingOf(4), 1_200, 700) },
      close,
      open,
      { name: 'old pending goes', run: () => store.savePowered(100_000) },
      { name: 'left', run: () => store.forgetMember(memberOf(3, 1).pnId) },
      { name: 'new code', run: () => store.spendCode(sample(32, 9, 2), 2) },
      { name: 'code gone', run: () => store.forgetCode() },
    ],
  };
}
