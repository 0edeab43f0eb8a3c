/**
 * Reads a configuration file: TOML, checked against a schema, unknown keys refused, every fault reported at once.
 * Owns reading and reporting. What the keys mean is in the schemas beside it.
 */
import { readFileSync } from 'node:fs';
import { parse, TomlError } from 'smol-toml';
import * as v from 'valibot';
import { ConfigError } from './config-error.ts';
import { faultsOf, type Source } from './schema-faults.ts';

const MAX_FILE_BYTES = 1024 * 1024;

/**
 * Checks a TOML text against a schema.
 * @throws ConfigError with every fault, in the order of the file
 */
export function parseConfig<const S extends v.GenericSchema>(schema: S, source: Source): v.InferOutput<S> {
  let parsed: unknown;
  try {
    parsed = parse(source.text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const [first = 'not TOML'] = error.message.replace(/^Invalid TOML document: /, '').split('\n');
    throw new ConfigError(
      [
        {
          file: source.file,
          line: error.line,
          problem: `not TOML at column ${error.column}: ${first}`,
          expected: 'lines like key = "text", key = 5 or [table]',
        },
      ],
      { cause: error },
    );
  }
  const result = v.safeParse(schema, parsed);
  if (result.success) return result.output;
  throw new ConfigError(faultsOf(schema, result.issues, source));
}

/**
 * Reads and checks one file.
 * @throws ConfigError when it can't be read or is wrong
 */
export function readConfig<const S extends v.GenericSchema>(schema: S, file: string): v.InferOutput<S> {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
    throw new ConfigError([{ file, problem: `can't be read (${code})`, expected: 'a TOML file' }], {
      cause: error,
    });
  }
  if (text.length > MAX_FILE_BYTES) throw new ConfigError([{ file, problem: 'larger than 1 MiB' }]);
  return parseConfig(schema, { file, text });
}
