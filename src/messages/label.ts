/**
 * The rules for text. Owns what a label is: a text that people see and that somebody else chose, so it must be inert in
 * a terminal, a log and a page, and look the same however it was typed.
 * Must not know any message. Source: docs/protocol.md §4.1.
 */
import { utf8 } from '../base/bytes.ts';

/** Control, format (bidirectional controls among them), surrogate, private use, unassigned; line and paragraph ends. */
const NOT_IN_LABEL = /[\p{C}\p{Zl}\p{Zp}]/u;
const SPACE_AT_AN_END = /^\p{Zs}|\p{Zs}$/u;

/**
 * The first rule that a text breaks as a label of 1 to `maxBytes` bytes of UTF-8; nothing when it is one.
 * CHOICE: "unassigned" is judged by the Unicode version of the runtime, so a brand-new character may be refused by an
 * older party; a space of any width counts as a space.
 */
export function labelRule(text: string, maxBytes: number): string | undefined {
  if (text === '') return 'empty label';
  if (utf8Length(text) > maxBytes) return `longer than ${maxBytes} bytes`;
  if (NOT_IN_LABEL.test(text)) return 'character not allowed in a label';
  if (text.normalize('NFC') !== text) return 'label is not in NFC';
  if (SPACE_AT_AN_END.test(text)) return 'label begins or ends with a space';
  return undefined;
}

/** True when a text is a label of at most `maxBytes` bytes; for names that people type in. */
export function isLabel(text: string, maxBytes: number): boolean {
  return labelRule(text, maxBytes) === undefined;
}

/** Bytes of a text in UTF-8. */
export function utf8Length(text: string): number {
  return utf8(text).length;
}
