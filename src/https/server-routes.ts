/**
 * The HTTPS API as a table: method, pattern, who may call, what comes in, which handler answers (docs/protocol.md §9).
 * Owns matching and decoding. docs/openapi.yaml describes the same routes, and a test holds the two together.
 * Must not decide anything.
 */
import { type Bytes, fromHex } from '../base/bytes.ts';
import { CpnsError } from '../base/errors.ts';
import type { Message } from '../messages/message.ts';

export const API_PATH = '/cpns/v1/';
export const CBOR_MEDIA_TYPE = 'application/cbor';

export interface Answer {
  readonly httpStatus: 200 | 201 | 202;
  readonly body: Bytes;
}

/** One decoded request. */
export interface Call<Caller, Body> {
  readonly caller: Caller;
  /** The identifiers of the path, by name. */
  readonly parameters: Readonly<Record<string, Bytes>>;
  readonly body: Body;
  /** Exactly as received. */
  readonly bytes: Bytes;
}

export type Method = 'GET' | 'PUT' | 'POST';
/** `gateway`: a client certificate of a gateway in good standing. `anyone`: none is asked for. */
export type Access = 'gateway' | 'anyone';

export interface Route<Caller> {
  readonly method: Method;
  /** Below the base path; `{name}` stands for an identifier of {@link PARAMETERS}. */
  readonly pattern: string;
  readonly access: Access;
  readonly body: Message<unknown> | undefined;
  readonly handle: (call: Call<Caller, unknown>) => Promise<Answer> | Answer;
}

/** Bytes of each identifier in a path; lower-case hex there. */
const PARAMETERS: Readonly<Record<string, number>> = { txn: 16, joinId: 16, nonce: 16 };

/** A route with a body: what the handler gets is what the schema says. */
export function taking<Caller, Body>(
  method: Method,
  pattern: string,
  access: Access,
  body: Message<Body>,
  handle: (call: Call<Caller, Body>) => Promise<Answer> | Answer,
): Route<Caller> {
  return { method, pattern, access, body, handle: (call) => handle(call as Call<Caller, Body>) };
}

/** A route without a body. */
export function asking<Caller>(
  pattern: string,
  access: Access,
  handle: (call: Call<Caller, undefined>) => Promise<Answer> | Answer,
): Route<Caller> {
  return {
    ...{ method: 'GET', pattern, access, body: undefined },
    handle: (call) => handle(call as Call<Caller, undefined>),
  };
}

export interface Match<Caller> {
  readonly route: Route<Caller>;
  readonly parameters: Readonly<Record<string, Bytes>>;
}

/** @throws CpnsError not-found, or unexpected-message for a path that exists under another method */
export function matchRoute<Caller>(
  routes: readonly Route<Caller>[],
  method: string,
  path: string,
): Match<Caller> {
  let elsewhere = false;
  for (const route of routes) {
    const parameters = matchPattern(route.pattern, path);
    if (!parameters) continue;
    if (route.method === method) return { route, parameters };
    elsewhere = true;
  }
  throw new CpnsError(elsewhere ? 'unexpected-message' : 'not-found', elsewhere ? 'method' : undefined);
}

function matchPattern(pattern: string, path: string): Readonly<Record<string, Bytes>> | undefined {
  if (!path.startsWith(API_PATH)) return undefined;
  const wanted = pattern.split('/');
  const given = path.slice(API_PATH.length).split('/');
  if (wanted.length !== given.length) return undefined;
  const parameters: Record<string, Bytes> = {};
  for (const [index, part] of wanted.entries()) {
    const value = given[index] ?? '';
    const name = /^\{(\w+)\}$/.exec(part)?.[1];
    if (name === undefined) {
      if (part !== value) return undefined;
      continue;
    }
    const length = PARAMETERS[name] ?? 0;
    if (!/^[0-9a-f]+$/.test(value) || value.length !== 2 * length) return undefined;
    parameters[name] = fromHex(value);
  }
  return parameters;
}
