/** The published vectors, computed by the browser's cryptography: every secret, key, record and signature of the files. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { fromHex, toHex } from '../../src/base/bytes.ts';
import { LINK_KINDS } from '../../src/link/open.ts';
import {
  deriveHomeRms,
  derivePrk1,
  derivePrk2,
  deriveRid,
  deriveRms,
  epochKeys,
  transcript1,
  transcript2,
  transcript3,
} from '../../src/security/key-schedule.ts';
import { browserPrimitives } from '../../src/web/primitives-browser.ts';

const read = (name: string) =>
  JSON.parse(readFileSync(new URL(`../vectors/${name}.json`, import.meta.url), 'utf8'));
const parties = read('parties');
const establishment = read('establishment');
const { enrolment, resumption } = read('enrolment');
const primitives = browserPrimitives();
const hex = (bytes: Uint8Array) => toHex(bytes);

interface Opening {
  readonly openG: string;
  readonly openP: string;
  readonly th1: string;
  readonly z: string;
  readonly ephemerals: Readonly<
    Record<'gateway' | 'pne', { readonly privateKey: string; readonly x: string }>
  >;
}

/** Agrees on Z from both sides, with the ephemerals of the file drawn as if by chance. */
function agreed(opening: Opening, kind: keyof typeof LINK_KINDS): string {
  const { gateway, pne } = opening.ephemerals;
  for (const [own, peer] of [
    [gateway, pne],
    [pne, gateway],
  ] as const) {
    const drawn = browserPrimitives(() => fromHex(own.privateKey)).generateEphemeral();
    assert.equal(hex(drawn.x), own.x);
    assert.equal(hex(drawn.agree(fromHex(peer.x))), opening.z);
  }
  const th1 = transcript1(primitives, LINK_KINDS[kind], fromHex(opening.openG), fromHex(opening.openP));
  assert.equal(hex(th1), opening.th1);
  return opening.z;
}

interface Part {
  readonly [name: string]: unknown;
}

/** Every object of a file that has all of these members. */
function* parts(value: unknown, members: readonly string[]): Generator<Readonly<Record<string, string>>> {
  if (typeof value !== 'object' || value === null) return;
  if (members.every((member) => typeof (value as Part)[member] === 'string'))
    yield value as Readonly<Record<string, string>>;
  for (const inner of Object.values(value)) yield* parts(inner, members);
}

const keys = Object.values(parties.keys as Record<string, { x: string; y: string }>).map(({ x, y }) =>
  primitives.publicKey(fromHex(x), fromHex(y)),
);

describe("the vectors in a browser's cryptography", () => {
  it('establishment.json: the key schedule', () => {
    const v = establishment;
    const z = agreed({ ...v.step0, ephemerals: v.ephemerals }, 'establish');
    const prk1 = derivePrk1(primitives, fromHex(v.step0.th1), fromHex(z));
    assert.equal(hex(prk1), v.epoch0.prk1);
    const th2 = transcript2(primitives, fromHex(v.step0.th1), fromHex(v.step1.sign1), fromHex(v.step2.body));
    assert.equal(hex(th2), v.th2);
    const th3 = transcript3(primitives, th2, fromHex(v.step4.payload));
    assert.equal(hex(th3), v.th3);
    const prk2 = derivePrk2(primitives, th3, prk1);
    assert.equal(hex(prk2), v.epoch1.prk2);
    assert.equal(hex(deriveRms(primitives, prk2)), v.resumption.rms);
    for (const [phase, prk, epoch] of [
      ['hs', prk1, v.epoch0],
      ['ap', prk2, v.epoch1],
    ] as const) {
      const { g2p, p2g } = epochKeys(primitives, prk, phase);
      assert.deepEqual([g2p.key, g2p.iv, p2g.key, p2g.iv].map(hex), [
        epoch.g2p.key,
        epoch.g2p.iv,
        epoch.p2g.key,
        epoch.p2g.iv,
      ]);
    }
  });

  it('enrolment.json: the code and the home are mixed in', () => {
    const z = agreed(enrolment, 'enrol');
    const prk1 = derivePrk1(primitives, fromHex(enrolment.th1), fromHex(z + enrolment.secret));
    assert.equal(hex(prk1), enrolment.prk1);
    assert.equal(hex(deriveHomeRms(primitives, prk1)), enrolment.homeRms);
    const z2 = agreed(resumption, 'resume');
    assert.equal(
      hex(derivePrk1(primitives, fromHex(resumption.th1), fromHex(z2 + resumption.rms))),
      resumption.prk1,
    );
    const { pne } = resumption.ephemerals;
    assert.equal(hex(deriveRid(primitives, fromHex(resumption.rms), fromHex(pne.x))), resumption.rid);
  });

  it('every record is sealed to the same bytes and opens', () => {
    let count = 0;
    for (const [file, epochs] of [
      [establishment, [establishment.epoch0, establishment.epoch1]],
      [enrolment, [enrolment]],
      [resumption, [resumption]],
    ] as const)
      for (const { plaintext, nonce, record } of parts(file, ['plaintext', 'nonce', 'record'])) {
        const sealed = epochs
          .flatMap(({ g2p, p2g }) => [g2p.key, p2g.key])
          .map((key: string) => ({
            key,
            made: hex(primitives.aeadSeal(fromHex(key), fromHex(nonce ?? ''), fromHex(plaintext ?? ''))),
          }));
        const found = sealed.find(({ made }) => made === record);
        assert.ok(found, `record ${record?.slice(0, 16)}`);
        const opened = primitives.aeadOpen(fromHex(found.key), fromHex(nonce ?? ''), fromHex(record ?? ''));
        assert.equal(opened && hex(opened), plaintext);
        count++;
      }
    assert.ok(count >= 17, `${count} records`);
  });

  it('every signature verifies with one party’s key and no other, and with no other message', () => {
    let count = 0;
    for (const file of [parties, establishment, enrolment, resumption])
      for (const { sigStructure, signature } of parts(file, ['sigStructure', 'signature'])) {
        const [message, bytes] = [fromHex(sigStructure ?? ''), fromHex(signature ?? '')];
        assert.equal(keys.filter((key) => primitives.verifyEs256(key, message, bytes)).length, 1);
        message[message.length - 1] = (message.at(-1) ?? 0) ^ 1;
        assert.equal(keys.filter((key) => primitives.verifyEs256(key, message, bytes)).length, 0);
        count++;
      }
    assert.ok(count >= 14, `${count} signatures`);
  });
});
