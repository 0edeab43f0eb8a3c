/**
 * What the runner and the PNE's process say to each other, one JSON object a line in the form of the control socket
 * (src/nodes/control-lines.ts): orders and answers by id, and events of id 0. Owns names and shapes; both ends are of the
 * same build, which the first order makes sure of.
 */
import * as v from 'valibot';
import { Adapter, Host, Program } from './report.ts';

const number = v.pipe(v.number(), v.finite());
const text = v.pipe(v.string(), v.maxLength(4096));
const nothing = v.null();

/** Bytes of a capture in one answer; in base64 they fit a line. */
export const CAPTURE_CHUNK_BYTES = 256 * 1024;

export const ORDERS = {
  /** Who answers. */
  hello: v.object({ program: Program, host: Host }),
  /** Its clock, milliseconds of no particular beginning; also the sign that somebody still listens. */
  clock: v.object({ atMs: number }),
  /** Opens the PNE with a state of its own, and shows a code; its adapter is known now. */
  enrol: v.object({ code: text, adapter: Adapter }),
  /** Opens the enrolled PNE as it was after its enrolment. */
  open: v.object({ atMs: number }),
  close: nothing,
  /** The capture of what was closed last, from `offset` on. */
  capture: v.object({ data: v.pipe(v.string(), v.maxLength(2 * CAPTURE_CHUNK_BYTES)), end: v.boolean() }),
} as const;

export type Order = keyof typeof ORDERS;
export type OrderResult<O extends Order> = v.InferOutput<(typeof ORDERS)[O]>;
export type Hello = OrderResult<'hello'>;

/** What the PNE tells unasked. */
export const PneHappening = v.object({
  atMs: number,
  kind: text,
  state: v.optional(v.picklist(['up', 'down'])),
  status: v.optional(text),
  what: v.optional(text),
});
export type PneHappening = v.InferOutput<typeof PneHappening>;

/** The PNE ends by itself when its runner has said nothing for so long: nothing is left behind a broken connection. */
export const SILENCE_LIMIT_MS = 60_000;
