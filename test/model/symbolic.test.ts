/**
 * The script behind the symbolic models (scripts/model-symbolic): that it reads models and ProVerif's results as they are, and
 * takes nothing for proven that was not. Runs without ProVerif; the texts it is given are ProVerif 2.05's own words.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expectedOf, parseModel, queriesOf, textOf } from '../../scripts/symbolic/model.ts';
import { toMarkdown, toText } from '../../scripts/symbolic/report.ts';
import { compare, parseSummary } from '../../scripts/symbolic/results.ts';

const FOLDER = new URL('../../docs/model/symbolic/', import.meta.url);
const SCRIPT = fileURLToPath(new URL('../../scripts/model-symbolic.ts', import.meta.url));

const SOURCE = `(* A model. *)
(*@ base      as built
  ! no-check  without the check
*)
event Done(bitstring).
let P = in(c, x: bitstring);
  if x = s then     (*- no-check *)
  (*+ no-check: let y = x in *)
  event Done(x).
(*? A1 true; no-check false
    Only the right one
    is taken. *)
query x: bitstring; event(Done(x)) ==> x = s.
(*? A2 true
    The secret is one. *)
query attacker(s).
(*? R1 reached
    It ends. *)
query x: bitstring; event(Done(x)).

process P
`;

const line = (query: string, ending: string) => `Query ${query} ${ending}.\n\n`;
const output = (...endings: readonly string[]) =>
  `-- Query event(Done(x_1)) ==> x_1 = s[] in process 0.
RESULT event(Done(x_1)) ==> x_1 = s[] is true.

--------------------------------------------------------------
Verification summary:

${endings.map((ending, index) => line(['event(Done(x_1)) ==> x_1 = s[]', 'not attacker(s[])', 'not event(Done(x_1))'][index] ?? '', ending)).join('')}--------------------------------------------------------------

`;

const model = parseModel('sample', SOURCE);
const variantOf = (name: string) => {
  const found = model.variants.find((variant) => variant.name === name);
  if (!found) throw new Error(`no variant ${name}`);
  return found;
};
const base = variantOf('base');
const looser = variantOf('no-check');

describe('symbolic models: reading a model', () => {
  it('variants, queries and what is expected of them', () => {
    assert.deepEqual(
      model.variants.map(({ name, looser: isLooser }) => [name, isLooser]),
      [
        ['base', false],
        ['no-check', true],
      ],
    );
    assert.deepEqual(
      model.queries.map((query) => [query.label, expectedOf(query, base), expectedOf(query, looser)]),
      [
        ['A1', 'true', 'false'],
        ['A2', 'true', 'true'],
        ['R1', 'reached', 'reached'],
      ],
    );
    assert.equal(model.queries[0]?.what, 'Only the right one is taken.');
  });
  it('a variant leaves out and puts in what is marked, and asks what it is there for', () => {
    const asBuilt = textOf(model, base);
    assert.match(asBuilt, /if x = s then\n/);
    assert.doesNotMatch(asBuilt, /let y/);
    assert.equal(asBuilt.match(/^query /gm)?.length, 3);
    const without = textOf(model, looser);
    assert.doesNotMatch(without, /if x = s/);
    assert.match(without, /\n {2}let y = x in\n/);
    assert.deepEqual(
      queriesOf(model, looser).map(({ label }) => label),
      ['A1', 'R1'],
    );
    assert.doesNotMatch(without, /attacker\(s\)/);
  });
  const refused: readonly (readonly [string, string, string, RegExp])[] = [
    ['a query without a mark', '(*? A2 true\n    The secret is one. *)\n', '', /one mark, one query/],
    ['an unknown expectation', 'A2 true', 'A2 maybe', /expected is one of/],
    ['an exception for no variant', 'no-check false', 'no-chekc false', /no such variant: no-chekc/],
    ['a line left out in no variant', '(*- no-check *)', '(*- other *)', /no such variant: other/],
    ['a mark that is broken', '(*+ no-check: let', '(*+ no-check let', /a mark that says nothing/],
    ['a label twice', 'A2 true', 'A1 true', /used twice/],
    ['no variants', '(*@', '(*', /no list of variants/],
  ];
  for (const [what, from, to, why] of refused)
    it(`refuses ${what}`, () => {
      assert.ok(SOURCE.includes(from));
      assert.throws(() => parseModel('sample', SOURCE.replace(from, to)), why);
    });
});

describe('symbolic models: reading results', () => {
  const resultsOf = (text: string, variant = base) =>
    compare(model, variant, text).map(({ result, asExpected }) => `${result} ${asExpected ? 'ok' : 'NOT'}`);
  it('all as expected', () => {
    const text = output('is true', 'is true', 'is false');
    assert.deepEqual(parseSummary(text), ['true', 'true', 'false']);
    assert.deepEqual(resultsOf(text), ['true ok', 'true ok', 'reached ok']);
  });
  it('an attack, what could not be proven, and what is never reached', () => {
    const text = output('is false', 'cannot be proved', 'is true');
    assert.deepEqual(resultsOf(text), ['false NOT', 'unproved NOT', 'unreached NOT']);
  });
  it('a looser variant in which no attack is found is no success', () => {
    assert.deepEqual(resultsOf(output('is true', 'is false'), looser), ['true NOT', 'reached ok']);
    assert.deepEqual(resultsOf(output('cannot be proved', 'is false'), looser), [
      'unproved NOT',
      'reached ok',
    ]);
    assert.deepEqual(resultsOf(output('is false', 'is false'), looser), ['false ok', 'reached ok']);
  });
  it('a result too few or too many leaves all missing', () => {
    assert.deepEqual(resultsOf(output('is true', 'is true')), Array(3).fill('missing NOT'));
    assert.deepEqual(
      resultsOf(output('is true', 'is true', 'is false'), looser),
      Array(2).fill('missing NOT'),
    );
  });
  it('a result over several lines', () => {
    const text = output('is true', 'is true', 'is false').replace(
      '==> x_1 = s[] is true.\n\nQ',
      '==>\n  x_1 = s[] is true.\n\nQ',
    );
    assert.deepEqual(parseSummary(text), ['true', 'true', 'false']);
  });
  it('no end is no result', () => {
    const text = output('is true', 'is true', 'is false');
    assert.throws(() => parseSummary(text.slice(0, text.indexOf('Verification'))), /no summary/);
    assert.throws(
      () => parseSummary('200 rules inserted. Base: 1 rules (1 with conclusion selected). Queue: 0 rules.'),
      /stopped before its end/,
    );
    assert.throws(
      () => parseSummary('File "a.pv", line 1, characters 1-2:\nError: Syntax error.'),
      /line 1.*Syntax error/,
    );
    assert.throws(() => parseSummary(text.replace('is false.', 'is odd.')), /not understood/);
  });
  it('the table says what is not as expected', () => {
    const findings = compare(model, base, output('is true', 'is false', 'is false'));
    const text = toText([{ model, variant: base, seconds: 1.25, findings, failure: undefined }], '2.05');
    assert.match(text, /^sample:base +A1 +true +true +1\.3 s$/m);
    assert.match(text, /^ +A2 +true +false {2}<-- NOT AS EXPECTED$/m);
    assert.match(text, /1 variants, 3 queries, 1 not as expected, 0 variants without an end/);
  });
});

describe('symbolic models: the file of results', () => {
  const findings = compare(model, base, output('is true', 'is false', 'is false'));
  const mine = { model, variant: base, seconds: 1.25, findings, failure: undefined };
  it('one model run again takes its own place, and the others stay as they are', () => {
    const other = (name: string, text: string) => `## ${name}\n\n${text}\n`;
    const before = `# Results\n\nOf old.\n\n${other('a', 'kept')}\n${other('sample', 'replaced')}\n${other('z', 'kept, too')}`;
    const after = toMarkdown([mine], '2.05', before);
    assert.deepEqual(
      after.match(/^## .*/gm),
      ['a', 'sample', 'z'].map((name) => `## ${name}`),
    );
    assert.ok(after.includes(`\n\n${other('a', 'kept')}\n## sample`));
    assert.ok(after.endsWith(`\n\n${other('z', 'kept, too')}`));
    assert.doesNotMatch(after, /replaced|Of old/);
    assert.match(after, /^ProVerif 2\.05: 1 variants, 3 queries, 1 not as expected/m);
    assert.equal(toMarkdown([mine], '2.05', after), after);
  });
  it('with everything run nothing is kept', () => {
    assert.deepEqual(toMarkdown([mine], '2.05', '').match(/^## .*/gm), ['## sample']);
  });
});

describe('symbolic models: those of docs/model', () => {
  const names = readdirSync(FOLDER).filter((name) => name.endsWith('.pv'));
  const models = names.map((name) => parseModel(name, readFileSync(new URL(name, FOLDER), 'utf8')));
  it('are there', () => assert.ok(names.length >= 5));
  for (const { name, variants, queries } of models)
    it(`${name}: every query says what is expected, the base expects no attack, each looser variant one`, () => {
      assert.equal(variants[0]?.name, 'base');
      assert.ok(
        queries.some(({ expected }) => expected === 'reached'),
        'something is to be reached',
      );
      for (const query of queries) assert.notEqual(expectedOf(query, variants[0] ?? base), 'false');
      for (const variant of variants.filter((one) => one.looser))
        assert.ok(
          queries.some((query) => expectedOf(query, variant) === 'false'),
          `${variant.name} breaks nothing`,
        );
    });
});

describe('symbolic models: the command', () => {
  const run = (...args: readonly string[]) =>
    spawnSync(process.execPath, ['--import', 'tsx', SCRIPT, ...args], { encoding: 'utf8' });
  it('without ProVerif: runs nothing, says how to install it, exits with 77', () => {
    const { status, stdout, stderr } = run('--proverif', '/nonexistent/proverif');
    assert.equal(status, 77);
    assert.equal(stdout, '');
    assert.match(stderr, /not installed.*\n.*opam install proverif/);
  }).timeout(30_000);
  it('with a verifier: exits with 0 when all came out as expected, with 1 when one did not', () => {
    const folder = mkdtempSync(join(tmpdir(), 'cpns-symbolic-test-'));
    try {
      // Says of whatever it is given what it finds beside itself.
      const verifier = join(folder, 'proverif');
      writeFileSync(
        verifier,
        '#!/bin/sh\n[ "$1" = -help ] && echo "Proverif 2.05. A stand-in" || cat "$0.says"\n',
        {
          mode: 0o755,
        },
      );
      const says = (...endings: readonly string[]) => writeFileSync(`${verifier}.says`, output(...endings));
      says('is false', 'is false');
      const asExpected = run('--proverif', verifier, 'freshness:counted-again');
      assert.equal(asExpected.status, 0, asExpected.stderr);
      assert.match(asExpected.stdout, /^ProVerif 2\.05: 1 variants, 2 queries, 0 not as expected/m);
      says('is true', 'is false');
      const unexpected = run('--proverif', verifier, 'freshness:counted-again');
      assert.equal(unexpected.status, 1);
      assert.match(unexpected.stdout, /F2 +false +true {2}<-- NOT AS EXPECTED/);
      // Everything is there, and then the verifier dies: that is no end.
      says('is false', 'is false');
      writeFileSync(
        verifier,
        '#!/bin/sh\n[ "$1" = -help ] && echo "Proverif 2.05." && exit\ncat "$0.says"; kill -9 $$\n',
      );
      const killed = run('--proverif', verifier, 'freshness:counted-again');
      assert.equal(killed.status, 1);
      assert.match(killed.stdout, /^freshness:counted-again +ended by SIGKILL/m);
    } finally {
      rmSync(folder, { recursive: true });
    }
  }).timeout(60_000);
  it('an unknown model is wrong usage', () => {
    const { status, stderr } = run('nothing');
    assert.equal(status, 2);
    assert.match(stderr, /no such model or variant: nothing/);
  }).timeout(30_000);
});
