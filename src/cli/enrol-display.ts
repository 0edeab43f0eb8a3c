/**
 * An enrolment code for a person: letters in groups, a QR for a camera, how long it lives, digits to compare. Owns the drawing.
 * Must not keep the code.
 */
import { qrModules } from '../nodes/qr-modules.ts';
import { parseEnrolmentCode, qrTextOf } from '../security/enrolment-code.ts';
import { nodePrimitives } from '../security/primitives-node.ts';

/** Modules of light around the code, as readers want it. */
const QUIET = 2;

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

/** Six digits as people read them out. */
export function digitsInGroups(digits: string): string {
  return `${digits.slice(0, 3)} ${digits.slice(3)}`;
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
