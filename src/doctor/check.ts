/**
 * What a check of the doctor is: one row of its table. Owns the shape and how a row becomes a sentence about one adapter,
 * role or program. Must not know any condition; the judges do.
 */
import { aboutAdapter } from '../bluetooth/hci/unavailable.ts';

/** `error`: it does not work. `warning`: it works, worse or not for long. `hint`: worth knowing. */
export type Severity = 'error' | 'warning' | 'hint';

export interface Check {
  /** Numbers of ble-notes' list of what people report, which this detects. */
  readonly pains?: readonly number[];
  readonly severity: Severity;
  /** A heading: what is the matter, without a subject. */
  readonly title: string;
  /** One sentence; `{name}` stands for a value of the finding, `hciN` for the adapter. */
  readonly sentence: string;
  /** The one command that mends it, or that shows the next thing to look at. */
  readonly command: string;
  /**
   * Present when `--fix` may run the command. `asked`: after a yes, or with `--yes`. `named`: it changes more than an
   * adapter, so `--yes` is not enough: a yes at the prompt, or `--accept` with the name of the check.
   */
  readonly fix?: 'asked' | 'named';
  /** For the document: why it is so, and what else to know. */
  readonly more: string;
}

/** What a judge found. */
export interface Found<Id extends string = string> {
  readonly check: Id;
  /** Number of the adapter it is about. */
  readonly adapter?: number;
  /** For the placeholders of the row. */
  readonly values?: Readonly<Record<string, string | number>>;
  /** Where the row's own severity does not fit. */
  readonly severity?: Severity;
  /** The command is for a person to run, although those of its row may be run by `--fix`. */
  readonly byHand?: boolean;
}

/** A row's text about one finding. */
export function fillIn(text: string, { adapter, values = {} }: Pick<Found, 'adapter' | 'values'>): string {
  const filled = text.replaceAll(/\{(\w+)\}/g, (all, name: string) => String(values[name] ?? all));
  return adapter === undefined ? filled : aboutAdapter(filled, adapter);
}

/** A row's text about nothing in particular, for a document: `{program}` as PROGRAM. */
export function inGeneral(text: string): string {
  return text.replaceAll(/\{(\w+)\}/g, (_, name: string) => name.toUpperCase());
}

/** With a capital letter, unless it begins with a name that has none: of an adapter, a program, a path, an address. */
export function capitalised(text: string): string {
  return /^(hci\w|bluetoothd|\/|https:)/.test(text) ? text : text.charAt(0).toUpperCase() + text.slice(1);
}

/** A word for a shell, quoted where it has to be. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
