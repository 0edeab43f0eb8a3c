/**
 * A text as the modules of a QR. Owns the choice of encoding; drawing is whoever shows it's.
 */
import { createRequire } from 'node:module';
import type QrCode from 'qrcode-generator';

/** Rows of modules, dark ones true. */
export function qrModules(text: string): readonly (readonly boolean[])[] {
  const make = createRequire(import.meta.url)('qrcode-generator') as typeof QrCode;
  const qr = make(0, 'L');
  qr.addData(text, /^[0-9A-Z $%*+\-./:]*$/.test(text) ? 'Alphanumeric' : 'Byte');
  qr.make();
  const at = Array.from({ length: qr.getModuleCount() }, (_, i) => i);
  return at.map((row) => at.map((column) => qr.isDark(row, column)));
}
