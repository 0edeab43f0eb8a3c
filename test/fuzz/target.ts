/**
 * What a fuzz target is: a name, the sources it is to reach, valid inputs to start from, and a run that throws when what
 * the project promises of hostile bytes does not hold. Owns the contract and the helpers that state a promise.
 * An input is a list of byte strings, whatever the target takes them for, so that one mutator serves all.
 */
import assert from 'node:assert/strict';
import type fc from 'fast-check';
import { CpnsError } from '../../src/base/errors.ts';
import type { Status } from '../../src/base/statuses.ts';

export type Input = readonly Uint8Array[];

/** A target made ready. */
export interface Bench {
  /** Valid inputs, and a few that are nearly so. */
  readonly seeds: readonly Input[];
  /** Inputs of a shape of the target's own, drawn by fast-check beside the mutated ones. */
  readonly arbitrary?: fc.Arbitrary<Input>;
  /** Throws, or rejects, when a promise is broken. */
  run(input: Input): void | Promise<void>;
  /** What only a look from outside shows; called once in a while and at the end. */
  audit?(): void | Promise<void>;
  close?(): void | Promise<void>;
}

export interface Target {
  readonly name: string;
  readonly about: string;
  /** Paths below src/ whose blocks are counted, each a prefix. */
  readonly sources: readonly string[];
  /** Milliseconds of processor time that one run may take; default 50. */
  readonly cpuMs?: number;
  /** Milliseconds that one run may wait for I/O before it counts as hung; default 10,000. */
  readonly waitMs?: number;
  /** Bytes that one run may allocate, garbage included; default 8 MiB. */
  readonly allocBytes?: number;
  /** Bytes that may stay behind beside the corpus, of many runs together; default 16 MiB. */
  readonly retainedBytes?: number;
  /** Shares of the time; default 1. */
  readonly weight?: number;
  open(): Bench | Promise<Bench>;
}

/** Runs what decodes; what it throws has to be a CpnsError of one of these statuses. @returns what it gave, if it did */
export function documented<T>(statuses: readonly Status[], work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof CpnsError)) throw error;
    assert.ok(statuses.includes(error.status), `undocumented status ${error.status}: ${error.message}`);
    return undefined;
  }
}

export const MALFORMED: readonly Status[] = ['malformed'];
export const UNREADABLE: readonly Status[] = ['malformed', 'oversize'];

/** The byte at a place of a part, 0 where there is none. */
export const byteAt = (bytes: Uint8Array | undefined, at: number): number => bytes?.[at] ?? 0;

/** One of a list, chosen by a byte of the input. */
export function pick<T>(list: readonly T[], byte: number): T {
  const chosen = list[byte % list.length];
  if (chosen === undefined) throw new TypeError('nothing to choose from');
  return chosen;
}

export const part = (...numbers: readonly number[]): Uint8Array => Uint8Array.from(numbers);
