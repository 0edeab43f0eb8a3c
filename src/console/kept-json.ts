/**
 * A small JSON file of mode 0600 in the state directory, checked against its schema when it is read and written whole or not
 * at all.
 */
import { readFileSync } from 'node:fs';
import * as v from 'valibot';
import { CpnsError } from '../base/errors.ts';
import { exists, replaceFile } from '../security/durable-file.ts';

export class KeptJson<S extends v.GenericSchema> {
  readonly #file: string;
  readonly #schema: S;

  constructor(file: string, schema: S) {
    this.#file = file;
    this.#schema = schema;
  }

  /** @returns undefined while there is none @throws CpnsError cannot-persist when it is something else */
  read(): v.InferOutput<S> | undefined {
    if (!exists(this.#file)) return undefined;
    try {
      return v.parse(this.#schema, JSON.parse(readFileSync(this.#file, 'utf8')));
    } catch {
      throw new CpnsError('cannot-persist', `${this.#file} can not be read; remove it to begin anew`);
    }
  }

  write(content: v.InferInput<S>): void {
    replaceFile(this.#file, `${JSON.stringify(content)}\n`, 0o600);
  }
}
