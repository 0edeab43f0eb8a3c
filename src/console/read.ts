/** What a request of the page has to look like. */
import * as v from 'valibot';
import { CpnsError } from '../base/errors.ts';

/** @throws CpnsError malformed, saying nothing of what came */
export function read<const S extends v.GenericSchema>(schema: S, body: unknown): v.InferOutput<S> {
  const result = v.safeParse(schema, body);
  if (!result.success) throw new CpnsError('malformed');
  return result.output;
}
