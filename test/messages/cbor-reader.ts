/**
 * A second CBOR decoder, for tests only: written from RFC 8949 without a look at src/messages, lenient where that is
 * strict, so that the two can be compared on what both accept.
 */
import type { CborValue } from '../../src/messages/cbor.ts';

export function readCbor(bytes: Uint8Array): CborValue {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  const argument = (info: number): number => {
    const start = at;
    if (info < 24) return info;
    at += 1 << (info - 24);
    if (info === 24) return view.getUint8(start);
    if (info === 25) return view.getUint16(start);
    if (info === 26) return view.getUint32(start);
    return Number(view.getBigUint64(start));
  };
  const item = (): CborValue => {
    const initial = view.getUint8(at++);
    const [major, n] = [initial >> 5, argument(initial & 31)];
    const take = () => {
      at += n;
      return bytes.slice(at - n, at);
    };
    switch (major) {
      case 0:
        return n;
      case 1:
        return -1 - n;
      case 2:
        return take();
      case 3:
        return Buffer.from(take()).toString('utf8');
      case 4:
        return Array.from({ length: n }, item);
      case 5:
        return new Map(Array.from({ length: n }, () => [item() as number | string, item()]));
      default:
        return n === 20 ? false : n === 21 ? true : null;
    }
  };
  return item();
}
