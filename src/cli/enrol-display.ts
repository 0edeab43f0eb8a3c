/**
 * An enrolment code for a person: letters in groups, a QR for a camera, and how long it lives. Owns the drawing.
 * Must not keep the code.
 */
import { createRequire } from 'node:module';
import type QrCode from 'qrcode-generator';
import { parseEnrolmentCode, qrTextOf } from '../security/enrolment-code.ts';
import { nodePrimitives } from '../security/primitives-node.ts';

/** Modules of light around the code, as readers want it. */
const QUIET = 2;

/** Rows of modules, dark ones true. */
export function qrModules(text: string): readonly (readonly boolean[])[] {
  const make = createRequire(import.meta.url)('qrcode-generator') as typeof QrCode;
  const qr = make(0, 'L');
  qr.addData(text, /^[0-9A-Z $%*+\-./:]*$/.test(text) ? 'Alphanumeric' : 'Byte');
  qr.make();
  const at = Array.from({ length: qr.getModuleCount() }, (_, i) => i);
  return at.map((row) => at.map((column) => qr.isDark(row, column)));
}

/** A QR drawn with half blocks, two rows a line; dark modules are spaces on a light ground, so that dark terminals work. */
export function drawQr(text: string): string {
  const modules = qrModules(text);
  const size = modules.length;
  const dark = (row: number, column: number): boolean => modules[row]?.[column] === true;
  const lines: string[] = [];
  for (let row = -QUIET; row < size + QUIET; row += 2) {
    let line = '';
    for (let column = -QUIET; column < size + QUIET; column++) {
      const [upper, lower] = [dark(row, column), dark(row + 1, column)];
      line += upper ? (lower ? ' ' : '▄') : lower ? '▀' : '█';
    }
    lines.push(line);
  }
  return lines.join('\n');
}

/** The whole display: code in groups, QR, and how long it lives. */
export function enrolmentDisplay(code: string, expiresInMs: number): string {
  parseEnrolmentCode(nodePrimitives(), code);
  const minutes = Math.round(expiresInMs / 60_000);
  return [
    drawQr(qrTextOf(code)),
    '',
    `  ${code}`,
    '',
    `Type it in at the home gateway: cpns gateway pair. It lives for ${minutes} minutes and enrols once.`,
  ].join('\n');
}
