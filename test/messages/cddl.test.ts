/** docs/cpns.cddl: up to date, well formed, without loose ends, and in agreement with the codec. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { CATALOGUE } from '../../src/messages/catalogue.ts';
import { type CborMap, type CborValue, decodeCbor } from '../../src/messages/cbor.ts';
import { renderCddl } from '../../src/messages/cddl.ts';
import { looseEnds, matches, parseCddl } from './cddl-checker.ts';
import { SAMPLES } from './samples.ts';

describe('docs/cpns.cddl', () => {
  const text = readFileSync(new URL('../../docs/cpns.cddl', import.meta.url), 'utf8');
  const grammar = parseCddl(text);

  it('is what the declarations say (npx tsx scripts/generate-cddl.ts)', () => {
    assert.equal(text, renderCddl(CATALOGUE));
  });

  it('defines every name it uses and uses every name it defines', () => {
    assert.deepEqual(looseEnds(grammar, 'cpns'), []);
  });

  it('has rules for every message', () => {
    for (const { message } of SAMPLES) assert.ok(grammar.has(message.name), message.name);
  });

  for (const { message, minimal, maximal } of SAMPLES)
    it(`takes and refuses what the codec of ${message.name} does`, () => {
      for (const value of [minimal, maximal]) {
        const cbor = decodeCbor(message.encode(value)) as CborMap;
        assert.ok(matches(grammar, message.name, cbor));
        const others: CborValue[] = [
          -1,
          0,
          1,
          200,
          'x',
          '',
          new Uint8Array(0),
          new Uint8Array(8),
          [],
          new Map(),
          true,
          null,
        ];
        for (const key of [...cbor.keys(), 1000]) {
          const without = new Map(cbor);
          without.delete(key);
          compare(without);
          for (const other of others) compare(new Map<number | string, CborValue>([...cbor, [key, other]]));
        }
      }

      /** The grammar may take what a rule over several fields, a label or an unknown status makes the codec refuse. */
      function compare(cbor: CborMap): void {
        const inGrammar = matches(grammar, message.name, cbor);
        let inCodec = true;
        try {
          message.fromCbor(cbor, message.name);
        } catch {
          inCodec = false;
        }
        if (inCodec) assert.ok(inGrammar, 'the codec takes what the grammar refuses');
        else if (inGrammar)
          assert.match(refusal(cbor), /goes with kind|both answers|unknown status|no alternative/);
      }

      function refusal(cbor: CborMap): string {
        try {
          message.fromCbor(cbor, message.name);
        } catch (error) {
          return String(error);
        }
        return '';
      }
    });
});
