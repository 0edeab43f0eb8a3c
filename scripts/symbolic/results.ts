/**
 * What ProVerif said, and whether it is what was expected. Owns the reading of its "Verification summary", which lists the
 * results in the order of the queries; must not guess: what can't be read, or is not all there, is a failure.
 */
import { type Expectation, expectedOf, type Model, queriesOf, type Variant } from './model.ts';

export type Result = Expectation | 'unproved' | 'missing';

export interface Finding {
  readonly label: string;
  readonly what: string;
  readonly expected: Expectation;
  readonly result: Result;
  readonly asExpected: boolean;
}

const SUMMARY = 'Verification summary:';
const ENDING = /^Query (not event\([\s\S]*\)|[\s\S]*?) (is true|is false|cannot be proved)\.$/;

/**
 * The results of the summary in order.
 * @throws Error when there is no summary: ProVerif stopped before its end
 */
export function parseSummary(output: string): readonly ('true' | 'false' | 'unproved')[] {
  const start = output.lastIndexOf(SUMMARY);
  if (start < 0) throw new Error(errorIn(output));
  return output
    .slice(start + SUMMARY.length)
    .split(/\n(?=Query )/)
    .map(
      (part) =>
        part
          .split(/\n\s*\n|\n-{3,}/)[0]
          ?.replace(/\s+/g, ' ')
          .trim() ?? '',
    )
    .filter((part) => part.startsWith('Query '))
    .map((part) => {
      const ending = ENDING.exec(part)?.[2];
      if (!ending) throw new Error(`not understood: ${part}`);
      return ending === 'is true' ? 'true' : ending === 'is false' ? 'false' : 'unproved';
    });
}

function errorIn(output: string): string {
  const lines = output.trim().split('\n');
  const at = lines.findIndex((line) => line.startsWith('Error'));
  if (at >= 0) return lines.slice(Math.max(0, at - 1), at + 1).join(' ');
  return lines.at(-1)?.includes('rules inserted') ? 'stopped before its end' : 'no summary';
}

/** Each query of the variant with what it gave. A result more or less than there are queries leaves all of them missing. */
export function compare(model: Model, variant: Variant, output: string): readonly Finding[] {
  const results = parseSummary(output);
  const queries = queriesOf(model, variant);
  return queries.map((query, index) => {
    const { label, what } = query;
    const expected = expectedOf(query, variant);
    const given = results.length === queries.length ? results[index] : undefined;
    const result = given === undefined ? 'missing' : named(given, expected);
    return { label, what, expected, result, asExpected: result === expected };
  });
}

/** An event that a query says is impossible is reached when the query is false. */
function named(result: 'true' | 'false' | 'unproved', expected: Expectation): Result {
  if (expected !== 'reached' && expected !== 'unreached') return result;
  return result === 'false' ? 'reached' : result === 'true' ? 'unreached' : 'unproved';
}
