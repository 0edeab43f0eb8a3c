/**
 * A QR as a PNG: one bit a pixel, dark on light, eight pixels a module and the quiet zone that readers want.
 * Source: PNG specification, 3rd edition, §5 and §11.
 */
import { deflateSync, crc32 as zlibCrc32 } from 'node:zlib';
import { qrModules } from '../nodes/qr-modules.ts';

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const PIXELS_PER_MODULE = 8;
const QUIET_MODULES = 4;

export function qrPng(text: string): Buffer {
  const modules = qrModules(text);
  const side = (modules.length + 2 * QUIET_MODULES) * PIXELS_PER_MODULE;
  const rowBytes = 1 + side / 8;
  const pixels = Buffer.alloc(side * rowBytes);
  for (let y = 0; y < side; y++) {
    const row = modules[Math.floor(y / PIXELS_PER_MODULE) - QUIET_MODULES];
    // With eight pixels a module each byte is one module; the first byte of a row names its filter, none.
    for (let column = 0; column < side / 8; column++)
      pixels[y * rowBytes + 1 + column] = row?.[column - QUIET_MODULES] ? 0x00 : 0xff;
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(side, 0);
  header.writeUInt32BE(side, 4);
  header[8] = 1; // one bit, greyscale
  return Buffer.concat([
    SIGNATURE,
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(pixels)),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function chunk(type: string, data: Buffer): Buffer {
  const named = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const framed = Buffer.alloc(named.length + 8);
  framed.writeUInt32BE(data.length, 0);
  named.copy(framed, 4);
  framed.writeUInt32BE(crc32(named), named.length + 4);
  return framed;
}

/** Node 20.15 and later have it; the types of Node 20 do not say so. */
const crc32 = zlibCrc32 as (data: Buffer) => number;
