/** The routing table: provisional and live entries, replacement, and what is found by which key. */
import assert from 'node:assert/strict';
import { JoinId, PnId, TransactionId } from '../../../src/base/ids.ts';
import { RoutingTable } from '../../../src/network/routing-table.ts';

const filled = (length: number, byte: number) => new Uint8Array(length).fill(byte);
const pn = PnId(filled(8, 1));
const otherPn = PnId(filled(8, 2));
const txn = TransactionId(filled(16, 3));
const join = JoinId(filled(16, 4));

describe('routing table', () => {
  it('finds the PNE of a registration by PN ID and transaction', () => {
    const table = new RoutingTable<string>();
    table.addProvisional(pn, txn, 'a');
    assert.equal(table.linkOfTransaction(pn, txn), 'a');
    assert.equal(table.linkOfTransaction(otherPn, txn), undefined);
    assert.equal(table.linkOfTransaction(pn, TransactionId(filled(16, 9))), undefined);
  });

  it('gives no data to a provisional entry', () => {
    const table = new RoutingTable<string>();
    table.addProvisional(pn, txn, 'a');
    table.nameJoin('a', join);
    assert.equal(table.linkOfJoin(pn, join), 'a');
    assert.equal(table.linkOfMember(pn, 1), undefined);
    assert.deepEqual(table.liveRoutes(pn), []);
  });

  it('makes an entry live, once', () => {
    const table = new RoutingTable<string>();
    table.addProvisional(pn, txn, 'a');
    assert.equal(table.makeLive(pn, join, 7, 'a'), undefined);
    assert.equal(table.linkOfMember(pn, 7), 'a');
    assert.equal(table.linkOfJoin(pn, join), 'a');
    assert.equal(table.linkOfTransaction(pn, txn), undefined);
    assert.equal(table.size, 1);
  });

  it('says which link a join leaves when it comes back on another', () => {
    const table = new RoutingTable<string>();
    table.makeLive(pn, join, 7, 'old');
    assert.equal(table.makeLive(pn, join, 7, 'new'), 'old');
    assert.equal(table.linkOfMember(pn, 7), 'new');
    table.remove('old');
    assert.equal(table.linkOfJoin(pn, join), 'new');
    assert.equal(table.makeLive(pn, join, 8, 'new'), undefined);
  });

  it('keeps networks apart', () => {
    const table = new RoutingTable<string>();
    table.makeLive(pn, join, 1, 'a');
    table.makeLive(otherPn, join, 1, 'b');
    assert.equal(table.linkOfMember(pn, 1), 'a');
    assert.equal(table.linkOfMember(otherPn, 1), 'b');
    assert.deepEqual(
      table.liveRoutes(otherPn).map(({ link }) => link),
      ['b'],
    );
  });

  it('forgets a link whole', () => {
    const table = new RoutingTable<string>();
    table.makeLive(pn, join, 1, 'a');
    table.remove('a');
    table.remove('never there');
    assert.equal(table.size, 0);
    assert.equal(table.linkOfJoin(pn, join), undefined);
    assert.equal(table.routeOf('a'), undefined);
  });

  it('leaves a live entry alone when a join is named', () => {
    const table = new RoutingTable<string>();
    table.makeLive(pn, join, 1, 'a');
    table.nameJoin('a', JoinId(filled(16, 8)));
    assert.equal(table.linkOfJoin(pn, join), 'a');
  });
});
