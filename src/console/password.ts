/**
 * The owner's password: scrypt, in a file of mode 0600 in the state directory. Owns the file and the cost. One check at a
 * time, since each takes 32 MB: attempts beyond that are refused, not queued.
 */
import { createHash, randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { CpnsError } from '../base/errors.ts';
import { exists, removeFile, replaceFile } from '../security/durable-file.ts';

const FILE = 'console-password.json';
const MIN_PASSWORD_CHARS = 10;
const MAX_PASSWORD_CHARS = 128;
const SALT_BYTES = 16;
const KEY_BYTES = 32;
/** 32 MB and about 0.1 s of a desktop's core, 0.5 s of a Raspberry Pi 3's (RFC 7914; OWASP's least is 2^17 with r 8, or 2^15 with p 3). */
const COST = { N: 2 ** 15, r: 8, p: 3 } as const;
const MAX_MEMORY_BYTES = 64 * 1024 * 1024;

const hex = (bytes: number) => v.pipe(v.string(), v.regex(/^[0-9a-f]*$/), v.length(2 * bytes));
const Stored = v.strictObject({
  kdf: v.literal('scrypt'),
  ...{ N: v.literal(COST.N), r: v.literal(COST.r), p: v.literal(COST.p) },
  salt: hex(SALT_BYTES),
  hash: hex(KEY_BYTES),
});

export class Password {
  readonly #file: string;
  #stored: v.InferOutput<typeof Stored> | undefined;
  #isBusy = false;

  /** @throws CpnsError cannot-persist when what is kept is no password */
  constructor(stateDir: string) {
    this.#file = join(stateDir, FILE);
    if (exists(this.#file)) this.#stored = this.#read();
  }

  get isSet(): boolean {
    return this.#stored !== undefined;
  }

  /**
   * @param ended of the session that wants it: whoever is thrown out meanwhile leaves no password behind
   * @throws CpnsError malformed when it is too short or too long, not-authenticated, cannot-persist, busy
   */
  async set(password: string, ended: AbortSignal): Promise<void> {
    const { length } = [...password];
    if (length < MIN_PASSWORD_CHARS || length > MAX_PASSWORD_CHARS)
      throw new CpnsError('malformed', undefined, {
        mend: `A password has ${MIN_PASSWORD_CHARS} to ${MAX_PASSWORD_CHARS} characters.`,
      });
    const salt = randomBytes(SALT_BYTES);
    const hash = await this.#derive(password, salt);
    if (ended.aborted) throw new CpnsError('not-authenticated');
    const stored = {
      kdf: 'scrypt' as const,
      ...COST,
      salt: salt.toString('hex'),
      hash: hash.toString('hex'),
    };
    replaceFile(this.#file, `${JSON.stringify(stored)}\n`, 0o600);
    this.#stored = stored;
  }

  /** Back to one-time links only. @throws CpnsError cannot-persist */
  remove(): void {
    if (this.#stored) removeFile(this.#file);
    this.#stored = undefined;
  }

  /** @throws CpnsError busy while another is checked */
  async verify(password: string): Promise<boolean> {
    const stored = this.#stored;
    if (!stored || password.length > 2 * MAX_PASSWORD_CHARS) return false;
    const hash = await this.#derive(password, Buffer.from(stored.salt, 'hex'));
    // It may have been changed, or removed, meanwhile.
    return this.#stored === stored && timingSafeEqual(hash, Buffer.from(stored.hash, 'hex'));
  }

  async #derive(password: string, salt: Buffer): Promise<Buffer> {
    if (this.#isBusy) throw new CpnsError('busy');
    this.#isBusy = true;
    try {
      return await new Promise((resolve, reject) =>
        scrypt(keyOf(password), salt, KEY_BYTES, { ...COST, maxmem: MAX_MEMORY_BYTES }, (error, key) =>
          error ? reject(error) : resolve(key),
        ),
      );
    } finally {
      this.#isBusy = false;
    }
  }

  #read(): v.InferOutput<typeof Stored> {
    try {
      return v.parse(Stored, JSON.parse(readFileSync(this.#file, 'utf8')));
    } catch {
      throw new CpnsError(
        'cannot-persist',
        `${this.#file} is no password of the console; remove it and log in by a link`,
      );
    }
  }
}

/** The same letters from any keyboard; and of one length, since HMAC in scrypt takes no notice of zeros at the end. */
function keyOf(password: string): Buffer {
  return createHash('sha256').update(password.normalize('NFKC')).digest();
}
