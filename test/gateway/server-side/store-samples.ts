/** Made-up records with a number in them, for the tests of the gateway's store. Nothing here is signed by anybody. */
import { type Bytes, concat, utf8 } from '../../../src/base/bytes.ts';
import { JoinId, PnId, Thumbprint, TransactionId } from '../../../src/base/ids.ts';
import type { ConfirmRecord, HomePne, NewJoin, StoredInventory } from '../../../src/store/gateway-store.ts';

export const PN = PnId(new Uint8Array(8).fill(0xa0));

/** `length` bytes of a kind, with the number at the end. */
export function sample(length: number, kind: number, n: number): Bytes {
  const bytes = new Uint8Array(length).fill(kind);
  new DataView(bytes.buffer).setUint32(length - 4, n);
  return bytes;
}

export const joinIdOf = (n: number) => JoinId(sample(16, 1, n));

export function joinOf(n: number, pnId: PnId = PN, pne = n): NewJoin {
  return {
    joinId: joinIdOf(n),
    txn: TransactionId(sample(16, 2, n)),
    th3: concat(joinIdOf(n), sample(16, 3, n)),
    pnId,
    thumbprint: Thumbprint(sample(32, 4, pne)),
    registration: sample(300, 5, n),
    response: sample(80, 6, n),
    rms: sample(32, 7, n),
  };
}

/** Version n, whose only member is join n unless said otherwise. */
export function inventoryOf(n: number, joins: readonly number[] = [n]): StoredInventory {
  const bytes = concat(utf8('inventory'), sample(200, 8, n));
  return { pnId: PN, version: n, bytes, joinIds: joins.map(joinIdOf) };
}

export function requestOf(n: number): Pick<ConfirmRecord, 'joinId' | 'th3' | 'body' | 'deadline'> {
  return { joinId: joinIdOf(n), th3: joinOf(n).th3, body: sample(900, 9, n), deadline: 1000 + n };
}

export const answerOf = (n: number) => sample(140, 10, n);

export function pneOf(n: number, epoch = 1): Omit<HomePne, 'acknowledged' | 'revoked'> {
  return {
    thumbprint: Thumbprint(sample(32, 4, n)),
    key: sample(40, 11, n),
    pneId: `pne ${n}`,
    epoch,
    rms: sample(32, 12, n + epoch * 100),
    enrolledAt: n,
  };
}
