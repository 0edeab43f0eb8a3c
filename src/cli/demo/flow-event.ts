/**
 * One line of the demo: a message of the flow, whose PNE it concerns, and its form in the JSON file.
 * Owns the form of issue point 9. Pure.
 */
import type { PartyName } from '../../nodes/trace.ts';

export interface FlowEvent {
  /** From 1. */
  readonly pne: number;
  readonly step?: number;
  readonly name: string;
  readonly from: PartyName;
  readonly to: PartyName;
  readonly via: 'ble' | 'https' | 'local';
  readonly bytes: number;
  readonly segments?: number;
  /** Milliseconds since the demo began. */
  readonly atMs: number;
  readonly status?: string;
}

export type FlowResult =
  | {
      readonly result: 'registered';
      readonly pne: number;
      readonly pnId: string;
      readonly inventoryVersion: number;
    }
  | { readonly result: 'failed'; readonly pne?: number; readonly step: number; readonly status: string };

/** Keys in a fixed order, one object a line. */
export function flowLine(event: FlowEvent): string {
  const { step, name, from, to, via, bytes, segments, atMs, status, pne } = event;
  return JSON.stringify({ step, name, from, to, via, bytes, segments, atMs, status, pne });
}

export function resultLine(result: FlowResult): string {
  return JSON.stringify(result);
}
