/**
 * The owner's passkeys, in a file of mode 0600 in the state directory: public keys, so that whoever reads it can log in
 * nowhere. Owns the file and its bounds. What a browser says of one is judged in webauthn.ts.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import * as v from 'valibot';
import { CpnsError } from '../base/errors.ts';
import { KeptJson } from './kept-json.ts';
import type { PasskeyView } from './view.ts';
import { ALGORITHMS, type Credential } from './webauthn.ts';

const FILE = 'console-passkeys.json';
const MAX_PASSKEYS = 16;
export const MAX_NAME_CHARS = 64;
const HANDLE_BYTES = 16;

const Stored = v.strictObject({
  /** What authenticators know the owner by. */
  handle: v.string(),
  passkeys: v.pipe(
    v.array(
      v.strictObject({
        ...{ id: v.string(), name: v.string(), rpId: v.string(), publicKey: v.string() },
        ...{ algorithm: v.picklist(ALGORITHMS), signCount: v.number() },
        ...{ addedAt: v.number(), usedAt: v.nullable(v.number()), wentBack: v.boolean() },
      }),
    ),
    v.maxLength(MAX_PASSKEYS),
  ),
});
type Stored = v.InferOutput<typeof Stored>;
export type Passkey = Stored['passkeys'][number];

export class Passkeys {
  readonly #file: KeptJson<typeof Stored>;
  #stored: Stored;

  /** @throws CpnsError cannot-persist when what is kept is something else */
  constructor(stateDir: string) {
    this.#file = new KeptJson(join(stateDir, FILE), Stored);
    const handle = randomBytes(HANDLE_BYTES).toString('base64url');
    this.#stored = this.#file.read() ?? { handle, passkeys: [] };
  }

  get handle(): string {
    return this.#stored.handle;
  }

  /** In the order they were added. */
  list(): readonly PasskeyView[] {
    return this.#stored.passkeys.map(({ id, name, rpId, addedAt, usedAt, wentBack }) => {
      return { id, name, rpId, addedAt, usedAt, wentBack };
    });
  }

  /** Host names under which one lets in. */
  names(): readonly string[] {
    return [...new Set(this.#stored.passkeys.map(({ rpId }) => rpId))];
  }

  find(id: string): Passkey | undefined {
    return this.#stored.passkeys.find((known) => known.id === id);
  }

  /** @param addedAt seconds since 1970 @throws CpnsError conflict when it is there, busy when there are too many */
  add(credential: Credential, about: Pick<Passkey, 'name' | 'rpId' | 'addedAt'>): void {
    const { passkeys } = this.#stored;
    if (this.find(credential.id))
      throw new CpnsError('conflict', undefined, { mend: 'This passkey is known already.' });
    if (passkeys.length >= MAX_PASSKEYS)
      throw new CpnsError('busy', undefined, {
        mend: `There are ${MAX_PASSKEYS} passkeys. Remove one first.`,
      });
    this.#keep([...passkeys, { ...credential, ...about, usedAt: null, wentBack: false }]);
  }

  change(id: string, change: Partial<Pick<Passkey, 'signCount' | 'usedAt' | 'wentBack'>>): void {
    this.#keep(this.#stored.passkeys.map((each) => (each.id === id ? { ...each, ...change } : each)));
  }

  /** @throws CpnsError not-found */
  remove(id: string): void {
    if (!this.find(id)) throw new CpnsError('not-found');
    this.#keep(this.#stored.passkeys.filter((each) => each.id !== id));
  }

  /** @throws CpnsError cannot-persist */
  removeAll(): void {
    if (this.#stored.passkeys.length > 0) this.#keep([]);
  }

  #keep(passkeys: readonly Passkey[]): void {
    const next = { ...this.#stored, passkeys: [...passkeys] };
    this.#file.write(next);
    this.#stored = next;
  }
}
