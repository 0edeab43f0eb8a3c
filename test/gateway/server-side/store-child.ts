/**
 * A gateway that only writes: joins, inventories, answers, one after the other, and says on stdout when each is on disk.
 * store-crash.test.ts kills it with SIGKILL in the middle. Arguments: the database file and the first number.
 */
import { writeSync } from 'node:fs';
import { openGatewayStore } from '../../../src/store/gateway-store.ts';
import { answerOf, inventoryOf, joinOf, PN, requestOf } from './store-samples.ts';

const [path = '', first = '1'] = process.argv.slice(2);
const store = openGatewayStore(path);
if (!store.networks.pn(PN)) store.networks.createPn({ pnId: PN, name: 'van', inviting: true }, 1);

/** Synchronous, so that a line was written when, and only when, the write before it had returned. */
const say = (line: string) => writeSync(1, `${line}\n`);

for (let n = Number(first); ; n++) {
  store.networks.saveJoin(joinOf(n), n);
  say(`join ${n}`);
  store.networks.saveInventory(inventoryOf(n), n);
  say(`inventory ${n}`);
  store.home.saveRequest(requestOf(n), n);
  say(`request ${n}`);
  store.home.saveAnswer(
    requestOf(n).joinId,
    { yours: true, chargeable: true, reason: 'ok' },
    'user',
    answerOf(n),
  );
  say(`answer ${n}`);
}
