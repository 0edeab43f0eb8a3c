/**
 * The server's COSE keys as files: `server-1.key`, `server-2.key`, …. The newest signs, all that are there are believed;
 * of one that was retired `server-N.pub` stays, for audits of what it signed. And the root's statement of the set, made
 * anew only when the set has changed, so that a PNE is told of new keys once. Source: docs/protocol.md §4.4.
 */
import { createPublicKey } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Bytes, EMPTY, equal } from '../../base/bytes.ts';
import { CpnsError } from '../../base/errors.ts';
import type { ServerSeconds } from '../../base/time.ts';
import { ServerKeysPayload } from '../../messages/credential.ts';
import { assembleSign1, parseSign1 } from '../../security/cose.ts';
import { coseKeyOf } from '../../security/cose-key.ts';
import { removeFile, replaceFile } from '../../security/durable-file.ts';
import {
  coordinatesOf,
  loadKey,
  loadOrCreateKey,
  type SoftwareSigner,
  type StoredSigner,
} from '../../security/keystore.ts';
import type { PublicKey } from '../../security/primitives.ts';
import { toBeSigned } from '../../security/signed-message.ts';

/** As many as fit into a statement and into E1. */
const MAX_SERVER_KEYS = 4;
const KEY_FILE = /^server-(\d+)\.key$/;
const RETIRED_FILE = /^server-(\d+)\.pub$/;
const STATEMENT_FILE = 'server-keys.cose';
const PRIVATE_FILE = 0o600;

const keyPath = (stateDir: string, number: number): string => join(stateDir, `server-${number}.key`);
const retiredPath = (stateDir: string, number: number): string => join(stateDir, `server-${number}.pub`);

/** A key with the number in its file's name. */
export interface NumberedSigner {
  readonly number: number;
  readonly signer: StoredSigner;
}

/** Newest first. @throws CpnsError cannot-persist when one is no private key, or is open to others */
export function loadServerKeys(stateDir: string): readonly NumberedSigner[] {
  return numbersOf(stateDir, KEY_FILE)
    .slice(0, MAX_SERVER_KEYS)
    .map((number) => ({ number, signer: loadKey(keyPath(stateDir, number)) }));
}

/** Keys that sign no more and are believed no more, but once signed what is on record. */
export function retiredServerKeys(stateDir: string): readonly PublicKey[] {
  return numbersOf(stateDir, RETIRED_FILE).map((number) =>
    coordinatesOf(createPublicKey(readFileSync(retiredPath(stateDir, number)))),
  );
}

/**
 * Makes a new key, which signs from the server's next start on. The oldest is retired when the set would be too large.
 * @returns its number
 */
export function rollServerKey(stateDir: string): number {
  const present = numbersOf(stateDir, KEY_FILE);
  const number = Math.max(0, ...present, ...numbersOf(stateDir, RETIRED_FILE)) + 1;
  loadOrCreateKey(keyPath(stateDir, number));
  for (const old of present.slice(MAX_SERVER_KEYS - 1)) retire(stateDir, old);
  return number;
}

/**
 * Ends the belief in a key from the server's next start on; its private half is deleted.
 * @throws CpnsError not-found, conflict for the newest, which signs
 */
export function retireServerKey(stateDir: string, number: number): void {
  const present = numbersOf(stateDir, KEY_FILE);
  if (!present.includes(number)) throw new CpnsError('not-found', `no server key ${number}`);
  if (present[0] === number)
    throw new CpnsError('conflict', 'this key signs; run `cpns server key roll` first');
  retire(stateDir, number);
}

function retire(stateDir: string, number: number): void {
  const { publicKeyPem } = loadKey(keyPath(stateDir, number));
  replaceFile(retiredPath(stateDir, number), publicKeyPem, PRIVATE_FILE);
  removeFile(keyPath(stateDir, number));
}

/**
 * The root's statement of these keys: the one on disk, or a new one when they are not those it states.
 * @param laterThan a new one is issued a second after it, or after the last one when that is later
 */
export function serverKeysStatement(
  stateDir: string,
  keys: readonly PublicKey[],
  root: SoftwareSigner,
  laterThan: () => ServerSeconds,
): Bytes {
  const path = join(stateDir, STATEMENT_FILE);
  const last = existsSync(path) ? new Uint8Array(readFileSync(path)) : undefined;
  const stated = last && ServerKeysPayload.decode(parseSign1(last).payload);
  const encode = (issuedAt: ServerSeconds) =>
    ServerKeysPayload.encode({ keys: keys.map(coseKeyOf), issuedAt });
  if (last && stated && equal(parseSign1(last).payload, encode(stated.issuedAt))) return last;
  // Later than any enrolment that pinned the last set, were it in this very second.
  const payload = encode(Math.max(laterThan(), stated?.issuedAt ?? 0) + 1);
  const statement = assembleSign1(payload, root.sign(toBeSigned(ServerKeysPayload, EMPTY, payload)));
  replaceFile(path, statement, PRIVATE_FILE);
  return statement;
}

/** Highest first. */
function numbersOf(stateDir: string, pattern: RegExp): readonly number[] {
  return readdirSync(stateDir)
    .flatMap((name) => pattern.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => b - a);
}
